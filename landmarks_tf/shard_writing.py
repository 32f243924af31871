"""Photos into shards: which lies where, what becomes of it; files that appear whole.

Owns the order of photos and the writing. Which photo is for what was decided before
(`split`).
"""

import contextlib
import functools
import hashlib
import io
import json
import os
from collections import deque
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import tensorflow as tf

from landmarks_tf import folder_lock
from landmarks_tf import preprocessing
from landmarks_tf import shard_reading
from landmarks_tf import shard_records
from landmarks_tf import shard_set
from landmarks_tf import split_file
from landmarks_tf.catalog import Catalog
from landmarks_tf.catalog import Photo
from landmarks_tf.errors import InvalidInput
from landmarks_tf.shard_set import Shard
from landmarks_tf.shard_set import ShardSet

# Training photos that are kept as they came too: int8 files are calibrated on so many.
NUM_CALIBRATION_PHOTOS = 500
_UNFINISHED = "unfinished-"
# Prepared ahead of the file that they go into, for each core.
_NUM_AHEAD = 4


def count_photos(photos: Catalog) -> int:
    """Returns how many photos a set of these has, those that it has twice included."""
    own = photos.all_photos()
    return len(own) + min(NUM_CALIBRATION_PHOTOS, len(photos.splits["train"]))


def is_finished(folder: str, settings: Mapping[str, Any], listing: Catalog) -> bool:
    """Returns whether a set of these settings and photos is there already.

    Args:
        folder: a path or a URL; need not be there.
        settings: as in `ShardSet`.
        listing: of the photos, read or not.

    Raises:
        InvalidInput: if another set is there, or something else.
    """
    with shard_reading.naming_file(folder):
        names = tf.io.gfile.listdir(folder) if tf.io.gfile.isdir(folder) else []
    if shard_set.MANIFEST not in names:
        # Who was killed before its plan was there may have left these.
        strange = [
            name
            for name in names
            if name != folder_lock.LOCK and not name.startswith(_UNFINISHED)
        ]
        if strange and shard_set.PLAN not in names:
            raise InvalidInput(f"{folder} is something else: choose another name")
        return False
    shards = shard_reading.load_shard_set(folder)
    for name, value in settings.items():
        if shards.settings[name] != value:
            raise InvalidInput(
                f"{folder} was made with {name}={shards.settings[name]}: choose "
                f"another --output_dir. Received: {name}={value}"
            )
    made_of, _, left_out = shard_reading.load_catalog(shards)
    known = {photo.path for photo in made_of.all_photos()} | set(left_out)
    others = known ^ {photo.path for photo in listing.all_photos()}
    if others:
        raise InvalidInput(
            f"{folder} was made of other photos: choose another --output_dir. They "
            f"differ in {len(others)}, the first: {min(others)}"
        )
    return True


def write_set(
    folder: str,
    photos: Catalog,
    hashes: Mapping[str, str],
    left_out: Mapping[str, str],
    settings: Mapping[str, Any],
    progress: Callable[[int], object] = lambda num_photos: None,
) -> ShardSet:
    """Writes a set of shards, or what is missing of one that was begun.

    Args:
        folder: a path or a URL.
        photos: the catalog, with its three splits.
        hashes: content hash by path.
        left_out: reason by path of the photos that are in no split.
        settings: as in `ShardSet`.
        progress: called with the number of photos that were just done.

    Raises:
        InvalidInput: if what was begun there is another set, or a photo cannot be read
            any more, or another program writes there.
    """
    tf.io.gfile.makedirs(folder)
    with _alone_in(folder):
        return _write_set(folder, photos, hashes, left_out, settings, progress)


def _write_set(
    folder: str,
    photos: Catalog,
    hashes: Mapping[str, str],
    left_out: Mapping[str, str],
    settings: Mapping[str, Any],
    progress: Callable[[int], object],
) -> ShardSet:
    photos = order_photos(photos, hashes, settings["seed"])
    text = split_file.format_split(photos, hashes, left_out)
    split_sha256 = hashlib.sha256(text.encode()).hexdigest()
    _begin(folder, json.dumps({**settings, "split_sha256": split_sha256}))
    plan = plan_shards(photos, settings["photos_per_shard"])
    shards = tuple(
        _write_shard(
            folder,
            split,
            file,
            own,
            functools.partial(_make_record, photos, hashes, split, settings),
            progress,
        )
        for (split, file), own in plan.items()
    )
    made = ShardSet(photos.class_names, dict(settings), split_sha256, shards)
    _write_text(folder, shard_set.SPLIT, text)
    _write_text(folder, shard_set.MANIFEST, shard_set.format_manifest(made))
    for name in tf.io.gfile.listdir(folder):
        if name.startswith(_UNFINISHED) or name == shard_set.PLAN:
            tf.io.gfile.remove(shard_set.join(folder, name))
    return made


def order_photos(photos: Catalog, hashes: Mapping[str, str], seed: int) -> Catalog:
    """Returns the catalog with each split in the random order of its shards.

    By content and seed, not by class: then a buffer of a few thousand photos, in which
    training shuffles them, is as good as all of them.
    """

    def draw(photo: Photo) -> tuple[str, str]:
        key = f"shards {seed} {hashes[photo.path]}"
        return hashlib.sha256(key.encode()).hexdigest(), photo.path

    splits = {name: tuple(sorted(own, key=draw)) for name, own in photos.splits.items()}
    return replace(photos, splits=splits)


def plan_shards(
    photos: Catalog, photos_per_shard: int
) -> dict[tuple[str, str], tuple[Photo, ...]]:
    """Divides the photos of an `order_photos`, in their order, into files.

    Returns:
        by split and file name, so many photos at most; `calibration` has some of
        those of `train`, of each class as many as can be.
    """
    drawn = photos.draw_evenly("train", NUM_CALIBRATION_PHOTOS).splits["train"]
    plan = {}
    for split, own in (*photos.splits.items(), ("calibration", drawn)):
        num_shards = -(-len(own) // photos_per_shard)
        for index in range(num_shards):
            # As even as can be.
            begin, end = (len(own) * (index + i) // num_shards for i in (0, 1))
            name = shard_set.name_shard(split, index, num_shards)
            plan[split, name] = own[begin:end]
    return plan


def pack_photo(path: Path, sha256: str, image_size: int, quality: int) -> bytes:
    """Returns the bytes of a photo, shrunk to `image_size` where it is larger.

    Upright and by the definition's own resize, each side by itself: it stretches both
    to a square, so that a side which is shorter loses nothing by staying as it is. A
    photo keeps its bytes if it is not larger, or its copy would take no less of them.

    Args:
        path: the file.
        sha256: of its bytes, in hexadecimal.
        image_size: height and width at most, in pixels.
        quality: of the JPEG, 1..100; colours have the resolution of brightness.

    Raises:
        InvalidInput: if it has changed or cannot be read; names it.
    """
    contents = read_photo(path, sha256)
    try:
        _, upright = preprocessing.read_photo(io.BytesIO(contents))
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}") from error
    height, width = (min(image_size, side) for side in (upright.height, upright.width))
    if (width, height) == upright.size:
        return contents
    file = io.BytesIO()
    preprocessing.resize(upright, (height, width)).save(
        file, "JPEG", quality=quality, subsampling=0
    )
    copy = file.getvalue()
    return copy if len(copy) < len(contents) else contents


def read_photo(path: Path, sha256: str) -> bytes:
    """Returns the bytes of a photo file.

    Raises:
        InvalidInput: if they are others than they were.
    """
    contents = path.read_bytes()
    if hashlib.sha256(contents).hexdigest() != sha256:
        raise InvalidInput(f"{path} has changed while shards were made of it")
    return contents


@contextlib.contextmanager
def _alone_in(folder: str) -> Iterator[None]:
    """Keeps other programs from writing in a folder; no URL can be locked."""
    if shard_set.is_url(folder):
        yield
        return
    folder_lock.hold(Path(folder))
    try:
        yield
    finally:
        folder_lock.release(Path(folder))


def _begin(folder: str, plan: str) -> None:
    """Writes what a set will be, or sees that what was begun is the same."""
    path = shard_set.join(folder, shard_set.PLAN)
    if tf.io.gfile.exists(shard_set.join(folder, shard_set.MANIFEST)):
        raise InvalidInput(f"{folder} is finished: another program has written it")
    if not tf.io.gfile.exists(path):
        _write_text(folder, shard_set.PLAN, plan)
    elif shard_reading.read_bytes(path) != plan.encode():
        raise InvalidInput(
            f"{folder} was begun with other flags or photos: go on with those, or "
            "choose another --output_dir"
        )


def _write_shard(
    folder: str,
    split: str,
    file: str,
    photos: tuple[Photo, ...],
    pack: Callable[[Photo], bytes],
    progress: Callable[[int], object],
) -> Shard:
    """Writes a file of photos in order, or takes the whole one that is there."""
    path = shard_set.join(folder, file)
    if tf.io.gfile.exists(path) and shard_records.count_records(path) == len(photos):
        progress(len(photos))
    else:
        aside = shard_set.join(folder, _UNFINISHED + file)
        with shard_reading.naming_file(path):
            with tf.io.TFRecordWriter(aside) as writer:
                for record in _map_ahead(pack, photos):
                    writer.write(record)
                    progress(1)
            tf.io.gfile.rename(aside, path, overwrite=True)
    num_bytes = tf.io.gfile.stat(path).length
    return Shard(file, split, len(photos), num_bytes, shard_reading.hash_file(path))


def _make_record(
    photos: Catalog,
    hashes: Mapping[str, str],
    split: str,
    settings: Mapping[str, Any],
    photo: Photo,
) -> bytes:
    path, sha256 = photos.data_dir / photo.path, hashes[photo.path]
    if split in shard_set.WHOLE_SPLITS:
        contents = read_photo(path, sha256)
    else:
        size, quality = settings["image_size"], settings["quality"]
        contents = pack_photo(path, sha256, size, quality)
    return shard_records.make_record(contents, photo.label, photo.path)


def _write_text(folder: str, name: str, text: str) -> None:
    """Writes a small file of a set, which appears whole."""
    path, aside = (shard_set.join(folder, n) for n in (name, _UNFINISHED + name))
    with shard_reading.naming_file(path):
        with tf.io.gfile.GFile(aside, "w") as file:
            file.write(text)
        tf.io.gfile.rename(aside, path, overwrite=True)


def _map_ahead(
    pack: Callable[[Photo], bytes], photos: Iterable[Photo]
) -> Iterator[bytes]:
    """Yields `pack(photo)` for each photo in order; few of them are in memory."""
    num_threads = os.cpu_count() or 1
    # Threads, not processes: Pillow decodes, resizes and encodes outside Python's lock.
    with ThreadPoolExecutor(num_threads) as pool:
        futures: deque[Future[bytes]] = deque()
        try:
            for photo in photos:
                futures.append(pool.submit(pack, photo))
                if len(futures) >= _NUM_AHEAD * num_threads:
                    yield futures.popleft().result()
            while futures:
                yield futures.popleft().result()
        finally:
            for future in futures:
                future.cancel()
