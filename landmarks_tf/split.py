"""Which photo is for training, which for validation and which for testing.

Owns the stratified split and its file `split.json`. Reads bytes, never pixels; no
TensorFlow.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from landmarks_tf.catalog import Catalog
from landmarks_tf.catalog import Photo
from landmarks_tf.errors import InvalidInput

SPLITS = ("train", "validation", "test")


def hash_photos(catalog: Catalog) -> dict[str, str]:
    """Returns the SHA-256 of every photo's bytes, in hexadecimal, by its path."""
    paths = [photo.path for photo in catalog.all_photos()]
    with ThreadPoolExecutor() as pool:
        hashes = pool.map(_hash_file, [catalog.data_dir / path for path in paths])
        return dict(zip(paths, hashes))


def split_catalog(
    catalog: Catalog,
    hashes: Mapping[str, str],
    validation_fraction: float,
    test_fraction: float,
    seed: int,
) -> Catalog:
    """Divides the training photos: a test split where there is none, a validation.

    Args:
        catalog: with the splits `train` and `test`.
        hashes: content hash by path, see `hash_photos`.
        validation_fraction: of the training photos, after the test photos are out.
        test_fraction: of all photos; used only where `test` is empty.
        seed: another seed, another split.

    Returns:
        the catalog with the splits `train`, `validation` and `test`.

    Raises:
        InvalidInput: if there are too few photos to divide.
    """
    train, test = catalog.splits["train"], catalog.splits["test"]
    if not test:
        train, test = _hold_out(train, hashes, test_fraction, f"test {seed}")
    train, validation = _hold_out(
        train, hashes, validation_fraction, f"validation {seed}"
    )
    splits = {"train": train, "validation": validation, "test": test}
    return replace(catalog, splits=splits)


def write_split(
    path: Path, catalog: Catalog, hashes: Mapping[str, str], skipped: Mapping[str, str]
) -> None:
    """Writes `split.json`: relative path and content hash of each split's photos.

    Args:
        path: the file to write.
        catalog: with its three splits.
        hashes: content hash by path.
        skipped: reason by path of the photos that could not be read.
    """
    record: dict[str, object] = {"data_dir": str(catalog.data_dir.resolve())}
    for split in SPLITS:
        paths = [photo.path for photo in catalog.splits[split]]
        record[split] = {path: hashes[path] for path in paths}
    record["skipped"] = dict(skipped)
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def load_split(
    path: Path,
    class_names: Sequence[str],
    data_dir: Path | None = None,
    names: Sequence[str] = SPLITS,
) -> Catalog:
    """Reads `split.json` back and compares it with the files.

    Args:
        path: the file.
        class_names: of the run; a photo's label is that of its folder's name.
        data_dir: where the photos are now; default: where they were.
        names: the splits to read.

    Returns:
        the catalog with these splits.

    Raises:
        InvalidInput: if a photo of them has gone or changed; names the first one.
    """
    record = _load_record(path)
    labels = {name: label for label, name in enumerate(class_names)}
    splits = {}
    for split in names:
        folders = [file.split("/")[-2] for file in record[split]]
        for folder in folders:
            if folder not in labels:
                raise InvalidInput(f"{path} has a class that is no label: {folder}")
        photos = zip(record[split], [labels[folder] for folder in folders])
        splits[split] = tuple(Photo(*photo) for photo in photos)
    data_dir = Path(record["data_dir"]) if data_dir is None else data_dir
    catalog = Catalog(data_dir, tuple(class_names), splits)
    for photo in catalog.all_photos():
        if not (data_dir / photo.path).is_file():
            raise InvalidInput(f"{data_dir / photo.path} is gone since the split")
    hashes = hash_photos(catalog)
    for split in names:
        for file, digest in record[split].items():
            if hashes[file] != digest:
                raise InvalidInput(f"{data_dir / file} has changed since the split")
    return catalog


def is_split_of(path: Path, data_dir: Path, split: str) -> bool:
    """Returns whether the first photo of a split lies, unchanged, in `data_dir`."""
    record = _load_record(path)
    file, digest = next(iter(record[split].items()))
    return (data_dir / file).is_file() and _hash_file(data_dir / file) == digest


def _load_record(path: Path) -> dict:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        is_whole = all(record[split] for split in SPLITS) and "data_dir" in record
    except (ValueError, KeyError, TypeError):
        is_whole = False
    if not is_whole:
        raise InvalidInput(f"{path} is not a split as train.py writes it")
    return record


def _hash_file(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hold_out(
    photos: Sequence[Photo], hashes: Mapping[str, str], fraction: float, salt: str
) -> tuple[tuple[Photo, ...], tuple[Photo, ...]]:
    """Returns (kept, held out): the latter a `fraction` of each class.

    A class's photos are ordered by the hash of salt and content, so neither file
    names nor the order of listing decide.
    """
    counts = Counter(photo.label for photo in photos)
    left = _allocate(counts, fraction)

    def draw(photo: Photo) -> tuple[str, str]:
        key = f"{salt} {hashes[photo.path]}"
        return hashlib.sha256(key.encode()).hexdigest(), photo.path

    held_out = set()
    for photo in sorted(photos, key=draw):
        if left[photo.label] > 0:
            left[photo.label] -= 1
            held_out.add(photo)
    return _select(photos, held_out, False), _select(photos, held_out, True)


def _select(
    photos: Iterable[Photo], chosen: Collection[Photo], is_chosen: bool
) -> tuple[Photo, ...]:
    return tuple(photo for photo in photos if (photo in chosen) is is_chosen)


def _allocate(counts: Mapping[int, int], fraction: float) -> dict[int, int]:
    """Divides floor(fraction of all), at least 1, over the classes.

    Largest remainders (Hamilton's method), so that each class gives its share to
    within one photo; every class keeps at least one.
    """
    # The epsilon keeps 0.29 * 100 = 28.999999999999996 from losing a photo.
    total = max(1, math.floor(sum(counts.values()) * fraction + 1e-9))
    shares = {
        label: min(math.floor(count * fraction), count - 1)
        for label, count in counts.items()
    }
    by_remainder = sorted(
        (label for label, count in counts.items() if shares[label] < count - 1),
        key=lambda label: (shares[label] - counts[label] * fraction, label),
    )
    for label in by_remainder[: total - sum(shares.values())]:
        shares[label] += 1
    if sum(shares.values()) == 0:
        raise InvalidInput("too few photos to hold any out: add photos to a class")
    return shares
