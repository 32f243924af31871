"""A file system of Beam's with a scheme, `other://FOLDER/...`, as buckets have."""

import os
import shutil

from apache_beam.io.localfilesystem import LocalFileSystem

SCHEME = "other"
_START = f"{SCHEME}://"


class OtherStore(LocalFileSystem):
    """Local files by another name. Beam finds it among its subclasses."""

    @classmethod
    def scheme(cls):
        return SCHEME

    def join(self, basepath, *paths):
        return "/".join([basepath.rstrip("/"), *paths])

    def split(self, path):
        head, _, tail = path.rpartition("/")
        return head, tail

    def match(self, patterns, limits=None):
        results = super().match([_local(pattern) for pattern in patterns], limits)
        for result in results:
            for metadata in result.metadata_list:
                metadata.path = _START + metadata.path
        return results

    def mkdirs(self, path):
        super().mkdirs(_local(path))

    def create(self, path, *arguments, **named):
        return super().create(_local(path), *arguments, **named)

    def open(self, path, *arguments, **named):
        return super().open(_local(path), *arguments, **named)

    def rename(self, sources, targets):
        super().rename(list(map(_local, sources)), list(map(_local, targets)))

    def delete(self, paths):
        for path in map(_local, paths):
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)

    def exists(self, path):
        # As in a bucket: a folder is nothing by itself.
        return super().exists(_local(path)) and not _local(path).endswith("/")


def other(path):
    """Returns the address of a local file or folder in the store."""
    return f"{_START}{path}"


def _local(path):
    return path.removeprefix(_START)
