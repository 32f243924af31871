"""What a set of shards is: files of photos, and `manifest.json`, which tells of them.

Owns the manifest's text, written and read, and what is to be true of it. Opens no
files (`shard_reading`, `shard_writing`); no TensorFlow.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path

from landmarks_tf import wording
from landmarks_tf.errors import InvalidInput

MANIFEST = "manifest.json"
SPLIT = "split.json"
# While a set is being made: what it will be, so that it goes on as it began.
PLAN = "unfinished.json"
# A change of what is in the files needs another number.
VERSION = 1
# Their photos are as they came, and are unpacked: those of `calibration` are some of
# `train`, which exported files are made with.
WHOLE_SPLITS = ("validation", "test", "calibration")
_FILE = re.compile(r"(train|validation|test|calibration)-\d{5}-of-\d{5}\.tfrecord")
_SETTINGS = {
    "image_size",
    "quality",
    "photos_per_shard",
    "validation_fraction",
    "test_fraction",
    "seed",
}


@dataclass(frozen=True)
class Shard:
    """A file of photos.

    Attributes:
        file: its name in the folder of the set.
        split: what its photos are for.
        num_photos: how many there are.
        num_bytes: of the file.
        sha256: of its bytes, in hexadecimal.
    """

    file: str
    split: str
    num_photos: int
    num_bytes: int
    sha256: str


@dataclass(frozen=True)
class ShardSet:
    """What a manifest says.

    Attributes:
        class_names: in the order of the labels.
        settings: the numbers that the set was made with, by their flags' names.
        split_sha256: of the bytes of its `split.json`, in hexadecimal.
        shards: in the order of the photos in `split.json`.
        folder: where the files are, a path or a URL; not written.
        sha256: of the manifest's own bytes; not written.
    """

    class_names: tuple[str, ...]
    settings: Mapping[str, int | float]
    split_sha256: str
    shards: tuple[Shard, ...]
    folder: str = ""
    sha256: str = ""

    def paths(self, split: str) -> list[str]:
        """Returns the files of a split, in order, each a path or a URL."""
        return [self.path(shard) for shard in self.shards if shard.split == split]

    def path(self, shard: Shard) -> str:
        """Returns where a shard is."""
        return join(self.folder, shard.file)

    def num_photos(self, *splits: str) -> int:
        """Returns how many photos some splits have."""
        return sum(shard.num_photos for shard in self.shards if shard.split in splits)


def join(folder: str, name: str) -> str:
    """Returns a file's place in a folder, which may be a URL."""
    return f"{folder.rstrip('/')}/{name}"


def is_url(path: str) -> bool:
    """Returns whether a path is for `tf.io.gfile` alone, such as gs://bucket/shards."""
    return "://" in path


def is_shard_set(data_dir: str) -> bool:
    """Returns whether a folder is a set of shards, whole or not, and not of photos."""
    if is_url(data_dir):
        return True
    paths = [*Path(data_dir).iterdir()] if Path(data_dir).is_dir() else []
    has_manifest = any(path.name == MANIFEST for path in paths)
    has_shards = any(_FILE.fullmatch(path.name) for path in paths)
    if has_manifest and has_shards:
        return True  # whatever a file system or a NAS has put beside: lost+found
    return (has_manifest or has_shards) and not any(path.is_dir() for path in paths)


def name_shard(split: str, index: int, num_shards: int) -> str:
    """Returns the file name of one of a split's shards."""
    return f"{split}-{index:05}-of-{num_shards:05}.tfrecord"


def format_manifest(shards: ShardSet) -> str:
    """Returns the text of `manifest.json`."""
    record = {"version": VERSION} | asdict(shards)
    del record["folder"], record["sha256"]
    return json.dumps(record, indent=1) + "\n"


def parse_manifest(text: bytes, path: str) -> ShardSet:
    """Reads the bytes of a `manifest.json`.

    Args:
        text: the bytes.
        path: where they are from, for messages.

    Returns:
        the set, without its folder and checksum.

    Raises:
        InvalidInput: if it is of another version, or not as `format_manifest` writes.
    """
    version: object = None
    try:
        record = json.loads(text)
        version = record.pop("version")
        record["shards"] = tuple(Shard(**shard) for shard in record["shards"])
        record["class_names"] = tuple(record["class_names"])
        shards = ShardSet(**record)
        is_whole = _is_whole(shards)
    except (ValueError, KeyError, TypeError, AttributeError):
        is_whole = False
    if version is not None and version != VERSION:
        raise InvalidInput(
            f"{path} must be of version {VERSION}. Received: version {version}"
        )
    if not is_whole:
        raise InvalidInput(f"{path} is not a manifest as make_shards.py writes it")
    return shards


def _is_whole(shards: ShardSet) -> bool:
    """Returns whether what a manifest says can be true."""
    numbers = [*shards.settings.values()]
    for shard in shards.shards:
        match = _FILE.fullmatch(shard.file)
        if not match or match[1] != shard.split or len(shard.sha256) != 64:
            return False
        numbers += [shard.num_photos, shard.num_bytes]
    files = {shard.file for shard in shards.shards}
    return (
        set(shards.settings) == _SETTINGS
        and all(isinstance(number, (int, float)) for number in numbers)
        and len(files) == len(shards.shards)
        and all(
            isinstance(name, str) and wording.fits_in_a_line(name)
            for name in shards.class_names
        )
        and len(set(shards.class_names)) == len(shards.class_names) >= 2
    )
