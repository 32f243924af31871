"""Which photo is for training, which for validation and which for testing.

Owns the stratified split. Does not own its file (`split_file`).
"""

import functools
import hashlib
import math
from collections import Counter
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path

from landmarks_tf.config import SPLITS
from landmarks_tf.config import TrainConfig
from landmarks_tf.data import file_check
from landmarks_tf.data import photo_set
from landmarks_tf.data import split_file
from landmarks_tf.errors import InvalidInput
from landmarks_tf.progress import Progress


def load_divided(
    data_dir: Path, config: TrainConfig, progress: Progress = Progress()
) -> photo_set.PhotoSet:
    """Lists a data folder, reads its photos and divides those that can be read.

    Args:
        data_dir: see `photo_set.load_photos`.
        config: whose seed, fractions and split file divide the photos.
        progress: hears of photos that are skipped.

    Returns:
        the photos with their splits, hashes and the reasons of those in none.
    """
    return divide(photo_set.load_photos(data_dir), config, progress)


def divide(
    listed: photo_set.PhotoSet, config: TrainConfig, progress: Progress = Progress()
) -> photo_set.PhotoSet:
    """Reads all photos and divides those that can be read; see `load_divided`."""
    checks = file_check.check_photos(listed, progress=progress)
    readable, skipped = file_check.skip_unreadable(listed, checks, progress)
    if listed.splits["test"] and not readable.splits["test"]:
        raise InvalidInput(f"no readable test photos in {listed.data_dir}")
    readable.require_all_classes("train")
    hashes = {path: check.sha256 for path, check in checks.items()}
    photos, alike = split_photos(
        readable,
        hashes,
        config,
        file_check.group_duplicates(checks),
        _load_earlier(readable, hashes, config.split_file, progress),
    )
    file_check.tell_skipped(photos, alike, progress)
    _tell_counts(photos, len(skipped), len(alike), progress)
    photos.require_all_classes("train")
    return replace(photos, hashes=hashes, skipped=skipped | alike)


def _load_earlier(
    photos: photo_set.PhotoSet, hashes: Mapping[str, str], path: str, progress: Progress
) -> dict[str, str]:
    """Returns the split of an earlier run by content, and tells how many are new."""
    if not path:
        return {}
    earlier = split_file.load_earlier(Path(path), photos, hashes)
    num_new = sum(hashes[p.path] not in earlier for p in photos.all_photos())
    progress.tell(f"split of {path}: kept; {num_new} photos are not in it")
    return earlier


def _tell_counts(
    photos: photo_set.PhotoSet, num_unreadable: int, num_alike: int, progress: Progress
) -> None:
    """Tells how many photos each split has, and which class cannot be tested."""
    why = ["cannot be read", "show what another split shows"]
    counts = (num_unreadable, num_alike)
    parts = [f"{n} {text}" for n, text in zip(counts, why) if n]
    if parts:
        progress.warn(f"left out {sum(counts)} photos: {', '.join(parts)}")
    for name in photos.classes_without("test"):
        progress.warn(f"warning: no test photos of class {name}")
    sizes = [f"{len(photos.splits[name])} {name}" for name in SPLITS]
    progress.tell(f"photos: {', '.join(sizes)}")


@dataclass(frozen=True)
class Share:
    """The part of every batch that one host reads, where several train one network.

    Attributes:
        process_count: how many hosts there are.
        process_index: of this one, from 0.
        num_devices: of all hosts together, of each as many.
    """

    process_count: int = 1
    process_index: int = 0
    num_devices: int = 1

    def share_of(self, num_rows: int) -> int:
        """Returns how many of so many rows each host has: for each device as many."""
        return num_rows // self.num_devices * (self.num_devices // self.process_count)


WHOLE = Share()


def split_photos(
    photos: photo_set.PhotoSet,
    hashes: Mapping[str, str],
    config: TrainConfig,
    groups: Iterable[Collection[str]] = (),
    earlier: Mapping[str, str] | None = None,
) -> tuple[photo_set.PhotoSet, dict[str, str]]:
    """Divides the training photos: a test split where there is none, a validation.

    Content and seed decide, not names or order. Each class gives its share to within
    one photo or, where it has groups, to within the largest of them.

    Args:
        photos: in the splits `train` and `test`.
        hashes: content hash by path, see `split_file.hash_photos`.
        config: of it `seed` (another one, another split); `test_fraction`, of all
            photos, used only where `test` is empty; and `validation_fraction`, of the
            training photos, after the test photos are out.
        groups: of paths that show the same picture and must not be divided.
        earlier: split by content hash, see `split_file.load_earlier`: these photos
            stay there.

    Returns:
        the photos in the splits `train`, `validation` and `test`, and the reason by
        path of the photos in none, because they show what another split holds.

    Raises:
        InvalidInput: if there are too few photos to divide.
    """
    unit_of = {path: unit for unit, paths in enumerate(groups) for path in paths}
    fixed, left_out = _fix(photos, hashes, unit_of, earlier or {})
    rest = photos.without(left_out)

    def draw(salt: str, photo: photo_set.Photo) -> tuple[str, str]:
        key = f"{salt} {config.seed} {hashes[photo.path]}"
        return hashlib.sha256(key.encode()).hexdigest(), photo.path

    train, test = rest.splits["train"], rest.splits["test"]
    held_out = {}
    fractions = {} if test else {"test": config.test_fraction}
    fractions["validation"] = config.validation_fraction
    for name, fraction in fractions.items():
        drawn = sorted(train, key=functools.partial(draw, name))
        chosen = _hold_out(drawn, fraction, name, unit_of, fixed)
        held_out[name] = tuple(photo for photo in train if photo in chosen)
        train = tuple(photo for photo in train if photo not in chosen)
    splits = {"train": train, "test": test} | held_out
    return replace(rest, splits={name: splits[name] for name in SPLITS}), left_out


def _fix(
    photos: photo_set.PhotoSet,
    hashes: Mapping[str, str],
    unit_of: Mapping[str, int],
    earlier: Mapping[str, str],
) -> tuple[dict[str, str], dict[str, str]]:
    """Returns the split of training photos that have no choice, and who has no place.

    Where the test photos are given, what shows the same picture has no place. Else a
    photo stays in its earlier split, and new ones join those they are alike with.
    """
    test = photos.splits["test"]
    tested: dict[object, str] = {}
    for photo in test:
        tested[hashes[photo.path]] = photo.path
        tested[unit_of.get(photo.path, photo.path)] = photo.path
    fixed, left_out = {}, {}
    splits_of_unit: dict[int, set[str]] = {}
    for photo in photos.splits["train"]:
        unit = unit_of.get(photo.path)
        same = tested.get(hashes[photo.path]) or tested.get(unit)
        place = earlier.get(hashes[photo.path])
        if same:
            left_out[photo.path] = f"the same picture as {same}"
        elif place and not (test and place == "test"):
            fixed[photo.path] = place
            if unit is not None:
                splits_of_unit.setdefault(unit, set()).add(place)
    for photo in photos.splits["train"]:
        places = splits_of_unit.get(unit_of.get(photo.path, -1), set())
        if photo.path in fixed or photo.path in left_out or not places:
            continue
        if len(places) == 1:
            (fixed[photo.path],) = places
        else:
            names = " and ".join(sorted(places))
            left_out[photo.path] = f"the same picture as photos of {names}"
    return fixed, left_out


def _hold_out(
    photos: Sequence[photo_set.Photo],
    fraction: float,
    name: str,
    unit_of: Mapping[str, int],
    fixed: Mapping[str, str],
) -> set[photo_set.Photo]:
    """Returns a `fraction` of each class, the first in order, groups undivided."""
    counts = Counter(photo.label for photo in photos)
    left = Counter(_allocate(counts, fraction))
    held_out = {photo for photo in photos if fixed.get(photo.path) == name}
    left.subtract(photo.label for photo in held_out)
    units: dict[object, list[photo_set.Photo]] = {}
    for photo in photos:
        if photo.path not in fixed:
            units.setdefault(unit_of.get(photo.path, photo.path), []).append(photo)
    for unit in units.values():
        wanted = Counter(photo.label for photo in unit)
        if all(left[label] >= count for label, count in wanted.items()):
            left.subtract(wanted)
            held_out.update(unit)
    if not held_out:
        # Only groups are there, each larger than a share.
        held_out.update(_first_spare(units.values(), counts))
    if not held_out:
        raise InvalidInput(f"too few different photos to hold any out for {name}")
    return held_out


def _first_spare(
    units: Iterable[list[photo_set.Photo]], counts: Mapping[int, int]
) -> list[photo_set.Photo]:
    """Returns the first group without which every class has a photo left."""
    for unit in units:
        wanted = Counter(photo.label for photo in unit)
        if all(counts[label] > count for label, count in wanted.items()):
            return unit
    return []


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
    return shares
