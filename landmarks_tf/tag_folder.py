"""The files of a tagging job: what is to be done, and what is done already.

`job.json` says what was asked, `shards/00003-of-00012.json` which photos a shard holds,
`tags-00003-of-00012.jsonl` (or `.parquet`) and `bad-00003-of-00012.jsonl` what came of
it. Written through Apache Beam's file systems: the folder may be in a bucket.
"""

import contextlib
import hashlib
import json
import os
import re
import uuid
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from landmarks_tf import folder_lock
from landmarks_tf.errors import InvalidInput
from landmarks_tf.errors import first_line
from landmarks_tf.library import is_remote

TAGS = "tags"
BAD = "bad"
_JOB = "job.json"
_SHARDS = "shards"
_ASIDE = "unfinished-"


@dataclass(frozen=True)
class TagFolder:
    """A job's folder; a worker holds one too.

    Attributes:
        path: of the folder.
        suffixes: of the files of each kind, "tags" and "bad".
        num_photos: of the job.
        num_shards: that they are divided into.
        changes: how the library differs from the one that the job was begun with, in
            words; empty if it does not.
    """

    path: str
    suffixes: Mapping[str, str]
    num_photos: int
    num_shards: int
    changes: str = ""

    def find_finished(self) -> set[int]:
        """Returns the shards of which all files are there."""
        found = set(_list_names(self.path))
        return {
            number
            for number in range(self.num_shards)
            if all(self._name(kind, number) in found for kind in self.suffixes)
        }

    def load_photos(self, number: int) -> list[str]:
        """Returns the paths of the photos of a shard."""
        folder = FileSystems.join(self.path, _SHARDS)
        return _read_json(
            FileSystems.join(folder, _shard_name(number, self.num_shards))
        )

    def write(self, kind: str, number: int, contents: bytes) -> None:
        """Writes one of a shard's files, which appears whole or not at all."""
        _write(self.path, self._name(kind, number), contents)

    def remove_leftovers(self) -> None:
        """Removes what workers that were killed left half-written.

        And what others are writing: only of a folder that is held.
        """
        names = [n for n in _list_names(self.path) if n.startswith(_ASIDE)]
        paths = [FileSystems.join(self.path, name) for name in names]
        if is_remote(self.path) and paths:
            FileSystems.delete(paths)
        else:  # of local files Beam takes the names for patterns
            for path in paths:
                os.remove(path)

    def _name(self, kind: str, number: int) -> str:
        label = _label(number, self.num_shards)
        return f"{kind}-{label}.{self.suffixes[kind]}"


@contextlib.contextmanager
def hold(path: str) -> Iterator[None]:
    """Keeps other jobs out of a folder, which is made if it is not there.

    A bucket has no locks: there it does nothing.

    Raises:
        InvalidInput: if another job holds it, or it cannot be written.
    """
    if is_remote(path):
        yield
        return
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder_lock.hold(folder)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        yield
    finally:
        folder_lock.release(folder)


def begin(
    path: str,
    suffixes: Mapping[str, str],
    asked: Mapping[str, str | int],
    photos: Sequence[str],
    photos_per_shard: int,
) -> TagFolder:
    """Begins a job, or goes on with the one that the folder holds.

    Args:
        path: of the folder; is made if it is not there.
        suffixes: of the files of each kind.
        asked: what else the answers depend on, by argument.
        photos: paths of the library, in a fixed order.
        photos_per_shard: each shard holds so many, the last one the rest.

    Raises:
        InvalidInput: if the folder holds another job or something else, or cannot be
            written.
    """
    asked = {**asked, "photos_per_shard": photos_per_shard}
    try:
        if FileSystems.exists(FileSystems.join(path, _JOB)):
            return _go_on(path, suffixes, asked, photos)
        if any(re.match(f"({TAGS}|{BAD})-", name) for name in _list_names(path)):
            raise InvalidInput(
                f"`output_dir` holds tags without their {_JOB}: choose another. "
                f"Received: output_dir={path}"
            )
        num_shards = -(-len(photos) // photos_per_shard)
        shards = FileSystems.join(path, _SHARDS)
        for number in range(num_shards):
            start = number * photos_per_shard
            shard = photos[start : start + photos_per_shard]
            _write_json(shards, _shard_name(number, num_shards), shard)
        job = {
            "asked": asked,
            "num_photos": len(photos),
            "num_shards": num_shards,
            "photos_sha256": _digest(photos),
        }
        # Last: without it nothing has begun.
        _write_json(path, _JOB, job)
    except InvalidInput:
        raise
    except (BeamIOError, OSError, ValueError) as error:
        raise _unusable(path, error) from error
    return TagFolder(path, suffixes, len(photos), num_shards)


def _unusable(path: str, error: Exception) -> InvalidInput:
    return InvalidInput(
        f"`output_dir` cannot be used ({first_line(error)}). "
        f"Received: output_dir={path}"
    )


def _go_on(
    path: str,
    suffixes: Mapping[str, str],
    asked: Mapping[str, str | int],
    photos: Sequence[str],
) -> TagFolder:
    try:
        job = _read_json(FileSystems.join(path, _JOB))
        num_photos, num_shards = int(job["num_photos"]), int(job["num_shards"])
        before, digest = dict(job["asked"]), str(job["photos_sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            f"{FileSystems.join(path, _JOB)} is damaged: choose another --output_dir"
        ) from error
    for name in asked:
        if before.get(name) != asked[name]:
            raise InvalidInput(
                f"`output_dir` {path} holds another job, of {name}="
                f"{before.get(name)}: choose another. Received: {name}={asked[name]}"
            )
    folder = TagFolder(path, suffixes, num_photos, num_shards)
    if digest == _digest(photos):
        return folder
    listed = {x for n in range(num_shards) for x in folder.load_photos(n)}
    changes = (
        f"{len(set(photos) - listed)} photos are new in the library and "
        f"{len(listed - set(photos))} are gone since the job was begun"
    )
    return TagFolder(path, suffixes, num_photos, num_shards, changes)


def _label(number: int, num_shards: int) -> str:
    return f"{number:05}-of-{num_shards:05}"


def _shard_name(number: int, num_shards: int) -> str:
    return f"{_label(number, num_shards)}.json"


def _list_names(path: str) -> list[str]:
    if not is_remote(path):
        return os.listdir(path) if os.path.isdir(path) else []
    (match,) = FileSystems.match([FileSystems.join(path, "*")])
    return [FileSystems.split(metadata.path)[1] for metadata in match.metadata_list]


def _write(path: str, name: str, contents: bytes) -> None:
    # Of its own name: a runner may let two workers do the same shard.
    aside = FileSystems.join(path, f"{_ASIDE}{uuid.uuid4().hex}-{name}")
    with FileSystems.create(aside) as file:
        file.write(contents)
    FileSystems.rename([aside], [FileSystems.join(path, name)])


def _write_json(path: str, name: str, record: object) -> None:
    _write(path, name, (json.dumps(record, indent=1) + "\n").encode())


def _read_json(path: str) -> Any:
    with FileSystems.open(path) as file:
        return json.loads(file.read())


def _digest(photos: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(list(photos)).encode()).hexdigest()
