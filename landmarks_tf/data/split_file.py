"""`split.json`: which file, by path and content, was for training, validation, testing.

Owns writing it, reading it and comparing it with the photos that are there. Reads
bytes, never pixels; no TensorFlow.
"""

import hashlib
import json
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from landmarks_tf.config import SPLITS
from landmarks_tf.data.photo_set import Photo
from landmarks_tf.data.photo_set import PhotoSet
from landmarks_tf.errors import InvalidInput


def hash_photos(photos: PhotoSet) -> dict[str, str]:
    """Returns the SHA-256 of every photo's bytes, in hexadecimal, by its path."""
    paths = [photo.path for photo in photos.all_photos()]
    with ThreadPoolExecutor() as pool:
        hashes = pool.map(_hash_file, [photos.data_dir / path for path in paths])
        return dict(zip(paths, hashes))


def write_split(path: Path, photos: PhotoSet) -> None:
    """Writes `split.json`: relative path and content hash of each split's photos.

    Args:
        path: the file.
        photos: with its three splits, hashes and what is skipped.
    """
    record: dict[str, object] = {"data_dir": str(photos.data_dir.resolve())}
    for split in SPLITS:
        record[split] = {p.path: photos.hashes[p.path] for p in photos.splits[split]}
    record["skipped"] = dict(photos.skipped)
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def load_split(
    path: Path,
    class_names: Sequence[str],
    data_dir: Path | None = None,
    names: Sequence[str] = SPLITS,
    reads_photos: bool = True,
) -> PhotoSet:
    """Reads `split.json` back and compares it with the files.

    Args:
        path: the file.
        class_names: of the run; a photo's label is that of its folder's name.
        data_dir: where the photos are now; default: where they were.
        names: the splits to read.
        reads_photos: whether to see that they are the same to the last byte.

    Returns:
        the photos in these splits.

    Raises:
        InvalidInput: if a photo of them has gone or changed; names the first one.
    """
    record = _load_record(path)
    data_dir = data_dir or Path(record["data_dir"])
    labels = {name: label for label, name in enumerate(class_names)}
    splits = {}
    for split in names:
        folders = [file.split("/")[-2] for file in record[split]]
        for folder in folders:
            if folder not in labels:
                raise InvalidInput(f"{path} has a class that is no label: {folder}")
        rows = zip(record[split], [labels[folder] for folder in folders])
        splits[split] = tuple(Photo(*row) for row in rows)
    recorded = {f: digest for name in names for f, digest in record[name].items()}
    photos = PhotoSet(
        data_dir, tuple(class_names), splits, (), recorded, record["skipped"]
    )
    for photo in photos.all_photos():
        if not (data_dir / photo.path).is_file():
            raise InvalidInput(f"{data_dir / photo.path} is gone since the split")
    for file, digest in (hash_photos(photos) if reads_photos else {}).items():
        if digest != recorded[file]:
            raise InvalidInput(f"{data_dir / file} has changed since the split")
    return photos


def load_earlier(
    path: Path, photos: PhotoSet, hashes: Mapping[str, str]
) -> dict[str, str]:
    """Returns the split of each photo of an earlier run, by its content.

    Args:
        path: the earlier run's `split.json`.
        photos: that are there now.
        hashes: content hash by path.

    Raises:
        InvalidInput: if one of its photos has gone, changed, or moved into another
            class or between train/ and test/; names the first one. A photo that has
            another name now, has not.
    """
    for change in find_changes(path, photos, hashes):
        raise InvalidInput(change)
    record = _load_record(path)
    return {digest: split for split in SPLITS for digest in record[split].values()}


def find_changes(
    path: Path, photos: PhotoSet, hashes: Mapping[str, str]
) -> Iterator[str]:
    """Yields what has become of photos that `split.json` names, a line for each.

    Takes the arguments of `load_earlier`.
    """
    record = _load_record(path)
    test = {photo.path for photo in photos.splits["test"]}
    present: dict[str, set[tuple[str, bool]]] = {}
    for photo in photos.all_photos():
        place = photos.class_names[photo.label], photo.path in test
        present.setdefault(hashes[photo.path], set()).add(place)
    for split in SPLITS:
        for file, digest in record[split].items():
            places = present.get(digest, set())
            classes = {class_name for class_name, _ in places}
            if not places:
                change = "has changed" if file in hashes else "is gone"
                yield f"{file} {change} since the split of {path}"
            elif file.split("/")[-2] not in classes:
                now = " and ".join(sorted(classes))
                yield f"{file} is in the class {now} since the split of {path}"
            elif test and (split == "test") not in {is_test for _, is_test in places}:
                yield f"{file} has changed sides since the split of {path}"


def apply_split(path: Path, photos: PhotoSet) -> PhotoSet:
    """Returns photos divided as `split.json` says, of those that are there.

    Photos that were left out then are left out; those that the file does not name are
    in the split `new`.
    """
    record = _load_record(path)
    split_of = {file: split for split in SPLITS for file in record[split]}
    splits: dict[str, list[Photo]] = {split: [] for split in (*SPLITS, "new")}
    for photo in photos.all_photos():
        if photo.path not in record["skipped"]:
            splits[split_of.get(photo.path, "new")].append(photo)
    return replace(photos, splits={name: tuple(p) for name, p in splits.items()})


def find_new(path: Path, photos: PhotoSet) -> list[str]:
    """Returns the paths of photos that `split.json` does not name."""
    record = _load_record(path)
    known = {file for section in (*SPLITS, "skipped") for file in record[section]}
    return [photo.path for photo in photos.all_photos() if photo.path not in known]


def load_hashes(path: Path, names: Sequence[str] = SPLITS) -> dict[str, str]:
    """Returns the content hash of each photo of some splits, by its path."""
    record = _load_record(path)
    return {file: digest for split in names for file, digest in record[split].items()}


def load_counts(path: Path) -> dict[str, int]:
    """Returns how many photos each split of a `split.json` has."""
    record = _load_record(path)
    return {name: len(record[name]) for name in SPLITS}


def is_split_of(path: Path, data_dir: Path, split: str) -> bool:
    """Returns whether the first photo of a split lies, unchanged, in `data_dir`."""
    record = _load_record(path)
    file, digest = next(iter(record[split].items()))
    return (data_dir / file).is_file() and _hash_file(data_dir / file) == digest


def _load_record(path: Path) -> dict:
    if not path.is_file():
        raise InvalidInput(f"no such file: `split_file`={path}")
    try:
        record = json.loads(path.read_bytes())
        is_whole = (
            all(record[split] and isinstance(record[split], dict) for split in SPLITS)
            and isinstance(record["skipped"], dict)
            and isinstance(record["data_dir"], str)
        )
    except (ValueError, KeyError, TypeError):
        is_whole = False
    if not is_whole:
        raise InvalidInput(f"{path} is not a split as train.py writes it")
    for split in SPLITS:
        for file, digest in record[split].items():
            if "/" not in file or "\0" in file or not isinstance(digest, str):
                raise InvalidInput(f"{path} is damaged at {file!a}")
    return record


def _hash_file(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
