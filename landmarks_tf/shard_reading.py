"""Photos from shards, which may lie wherever `tf.io.gfile` reads.

Owns how a set is opened, checked and unpacked. What a record is, `shard_records` says;
decodes no photo (`pipeline`).
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import tensorflow as tf

from landmarks_tf import file_cache
from landmarks_tf import shard_records
from landmarks_tf import shard_set
from landmarks_tf import split_file
from landmarks_tf.catalog import Catalog
from landmarks_tf.errors import InvalidInput
from landmarks_tf.shard_set import Shard
from landmarks_tf.shard_set import ShardSet

# What TensorFlow raises for a damaged shard. Others, such as too little memory, are not
# worth reading all shards for.
_FAULTS = (
    tf.errors.DataLossError,  # cut short, or a bit has flipped
    tf.errors.FailedPreconditionError,  # fewer or more photos
    tf.errors.InvalidArgumentError,  # a record of another shape
    tf.errors.NotFoundError,
    tf.errors.OutOfRangeError,
    tf.errors.PermissionDeniedError,
    UnicodeDecodeError,  # TensorFlow's message quotes a record
)
# Hashed at a time.
_CHUNK_BYTES = 2**20
# Stores that are far away answer slowly, but many at a time.
_NUM_REQUESTS = 32


def read_bytes(path: str) -> bytes:
    """Returns the bytes of a file.

    Raises:
        InvalidInput: if it cannot be read; names it.
    """
    with naming_file(path), tf.io.gfile.GFile(path, "rb") as file:
        return file.read()


def load_shard_set(data_dir: str) -> ShardSet:
    """Reads the manifest of a set of shards.

    Args:
        data_dir: its folder, or any URL that `tf.io.gfile` reads.

    Raises:
        InvalidInput: if it is missing or not as it is written.
    """
    path = shard_set.join(data_dir, shard_set.MANIFEST)
    plan = shard_set.join(data_dir, shard_set.PLAN)
    with naming_file(data_dir):
        is_begun = tf.io.gfile.exists(plan) and not tf.io.gfile.exists(path)
    if is_begun:
        raise InvalidInput(
            f"{data_dir} is not finished: go on with the same make_shards.py"
        )
    text = read_bytes(path)
    shards = shard_set.parse_manifest(text, path)
    digest = hashlib.sha256(text).hexdigest()
    return replace(shards, folder=data_dir, sha256=digest)


def load_catalog(shards: ShardSet) -> tuple[Catalog, dict[str, str], dict[str, str]]:
    """Reads which photos a set has; in its order, in which `train` is streamed.

    Returns:
        the catalog, whose files are not there until they are unpacked; the content
        hash by path of the photos as they came; the reason by path of those left out.

    Raises:
        InvalidInput: if `split.json` is not what the manifest says.
    """
    path = shard_set.join(shards.folder, shard_set.SPLIT)
    text = read_bytes(path)
    if hashlib.sha256(text).hexdigest() != shards.split_sha256:
        raise InvalidInput(f"{path} is damaged: its checksum is not the manifest's")
    catalog, hashes, skipped = split_file.parse_split(text, path, shards.class_names)
    for split, photos in catalog.splits.items():
        if len(photos) != shards.num_photos(split):
            raise InvalidInput(
                f"{shards.folder} must have {len(photos)} {split} photos by its "
                f"{shard_set.SPLIT}. Received: {shards.num_photos(split)} by its "
                f"{shard_set.MANIFEST}"
            )
    for photo in catalog.all_photos():
        if ".." in photo.path.split("/") or photo.path.startswith("/"):
            raise InvalidInput(f"{path} names a photo outside its folder: {photo.path}")
    data_dir = Path(shards.folder)
    return replace(catalog, data_dir=data_dir, shards=shards), hashes, skipped


def require_sizes(shards: ShardSet) -> None:
    """Raises InvalidInput for the first shard that is missing or of another size."""
    with ThreadPoolExecutor(_NUM_REQUESTS) as pool:
        for fault in pool.map(
            lambda shard: _find_size_fault(shards, shard), shards.shards
        ):
            if fault:
                raise InvalidInput(fault)


def verify(shards: ShardSet) -> Iterator[Shard]:
    """Reads all shards that are files, or remembers them; yields each that is whole.

    Those behind a URL are as far away as the training itself would read them: each of
    their records is checked then.

    Raises:
        InvalidInput: for the first whose checksum is not the manifest's.
    """
    if shard_set.is_url(shards.folder):
        return
    paths = [shards.path(shard) for shard in shards.shards]
    # A shard is large: a few at a time, so that little is lost where a run is killed.
    digests = file_cache.map_files(
        hash_file, paths, "sha256", chunk_size=os.cpu_count() or 1
    )
    for shard, digest in zip(shards.shards, digests):
        if digest != shard.sha256:
            raise InvalidInput(_damaged(shards.path(shard)))
        yield shard


@contextlib.contextmanager
def naming_faults(shards: ShardSet | None) -> Iterator[None]:
    """Tells which shard it is that keeps TensorFlow from going on; None for no shards.

    TensorFlow's own message names no file, and is some hundred lines long.

    Raises:
        InvalidInput: names the shard; where none is at fault, what came is raised.
    """
    try:
        yield
    except _FAULTS:
        if shards:
            require_sizes(shards)  # of all before one is read
            for shard in shards.shards:
                _require_records(shards, shard)
        raise


def _require_records(shards: ShardSet, shard: Shard) -> None:
    """Reads a shard; raises InvalidInput if it is not the manifest's, or no photos."""
    path = shards.path(shard)
    if hash_file(path) != shard.sha256:
        raise InvalidInput(_damaged(path))
    num_classes, num_photos = len(shards.class_names), 0
    try:
        for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
            num_photos += shard_records.read_record(record, num_classes) is not None
    except tf.errors.DataLossError:
        num_photos = -1
    if num_photos != shard.num_photos:
        raise InvalidInput(_no_photo(path))


def hash_file(path: str) -> str:
    """Returns the SHA-256 of a file or URL, in hexadecimal."""
    digest = hashlib.sha256()
    with naming_file(path), tf.io.gfile.GFile(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def unpack(
    shards: ShardSet, catalog: Catalog, hashes: Mapping[str, str], folder: Path
) -> Iterator[str]:
    """Writes the photos that are not streamed as files, byte for byte as they came.

    Args:
        shards: the set.
        catalog: of it.
        hashes: content hash by path.
        folder: where.

    Yields:
        the path of each photo when it is written.

    Raises:
        InvalidInput: if one is damaged or missing; names its shard.
    """
    for split in shard_set.WHOLE_SPLITS:
        own = "train" if split == "calibration" else split
        expected = {photo.path: photo.label for photo in catalog.splits[own]}
        num_written = 0
        for path, name, label, contents in _read_photos(shards, split):
            if expected.get(name) != label:
                raise InvalidInput(f"shard {path} has a photo of no place: {name}")
            if hashlib.sha256(contents).hexdigest() != hashes[name]:
                raise InvalidInput(_damaged(path))
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(contents)
            del expected[name]
            num_written += 1
            yield name
        if num_written != shards.num_photos(split):
            raise InvalidInput(
                f"{shards.folder} must have {shards.num_photos(split)} {split} photos "
                f"by its {shard_set.MANIFEST}. Received: {num_written}"
            )


def _read_photos(shards: ShardSet, split: str) -> Iterator[tuple[str, str, int, bytes]]:
    """Yields for each photo of a split its shard, its path, label and bytes."""
    for shard in shards.shards:
        if shard.split != split:
            continue
        path = shards.path(shard)
        with naming_faults(replace(shards, shards=(shard,))):
            for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
                photo = shard_records.read_record(record, len(shards.class_names))
                if photo is None:
                    raise InvalidInput(_no_photo(path))
                yield path, *photo


def _find_size_fault(shards: ShardSet, shard: Shard) -> str:
    path = shards.path(shard)
    try:
        with naming_file(path):
            num_bytes = tf.io.gfile.stat(path).length
    except InvalidInput as error:
        return f"shard {error}"
    if num_bytes != shard.num_bytes:
        return f"shard {path} must have {shard.num_bytes} bytes. Received: {num_bytes}"
    return ""


def _damaged(path: str) -> str:
    return f"shard {path} is damaged: its checksum is not the manifest's"


def _no_photo(path: str) -> str:
    return f"shard {path} is damaged: its records are not the photos of its manifest"


@contextlib.contextmanager
def naming_file(path: str) -> Iterator[None]:
    """Turns TensorFlow's errors of files into InvalidInput that names the file."""
    try:
        yield
    except tf.errors.NotFoundError as error:
        raise InvalidInput(f"{path} is missing") from error
    except tf.errors.OpError as error:
        reason = (error.message or type(error).__name__).splitlines()[0]
        raise InvalidInput(f"{path}: {reason}") from error
