"""Which photos a data folder holds and which landmark each shows.

Owns the listing of folders, class names and labels. Reads names, never files; which
photo is for training and which for testing is decided in `split`. No TensorFlow.
"""

import dataclasses
import glob
import itertools
import os
from collections import defaultdict
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from landmarks_tf.errors import InvalidInput
from landmarks_tf.errors import require
from landmarks_tf.names import fits_in_a_line

PHOTO_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")
_KINDS = "JPEG, PNG, WebP, GIF or BMP"


class Photo(NamedTuple):
    """A photo's path relative to the data folder (with `/`) and its label."""

    path: str
    label: int


@dataclasses.dataclass(frozen=True)
class PhotoSet:
    """The photos of a data folder by split.

    Attributes:
        data_dir: the folder that every photo's path is relative to.
        class_names: tuple of str; a label is an index into it.
        splits: photos by split name, each sorted by path.
        ignored: relative paths of what else is there: files that are hidden, have no
            photo's suffix or lie in no class, and folders, which end with a slash.
        hashes: SHA-256 of the bytes, in hexadecimal, by path; empty before it is known.
        skipped: the reason by path of the photos that are in no split.
    """

    data_dir: Path
    class_names: tuple[str, ...]
    splits: Mapping[str, tuple[Photo, ...]]
    ignored: tuple[str, ...] = ()
    hashes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    skipped: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def absolute_paths(self, split: str) -> list[str]:
        """Returns the files of a split, in the order of its photos."""
        return [str(self.data_dir / photo.path) for photo in self.splits[split]]

    def labels(self, split: str) -> list[int]:
        """Returns the labels of a split, in the order of its photos."""
        return [photo.label for photo in self.splits[split]]

    def draw_evenly(self, split: str, num_photos: int) -> "PhotoSet":
        """Returns a split of so many photos at most, of each class as many as can be.

        The first of each class come first, then the second.
        """
        by_label = defaultdict(list)
        for photo in self.splits[split]:
            by_label[photo.label].append(photo)
        rounds = itertools.zip_longest(*by_label.values())
        in_turn = [photo for photos in rounds for photo in photos if photo is not None]
        return dataclasses.replace(self, splits={split: tuple(in_turn[:num_photos])})

    def all_photos(self) -> list[Photo]:
        """Returns the photos of all splits."""
        return [photo for photos in self.splits.values() for photo in photos]

    def visible_ignored(self) -> list[str]:
        """Returns the paths of `ignored` that are not hidden."""
        return [path for path in self.ignored if "/." not in f"/{path}"]

    def classes_without(self, split: str) -> list[str]:
        """Returns the names of the classes that have no photo in a split."""
        seen = set(self.labels(split))
        return [name for i, name in enumerate(self.class_names) if i not in seen]

    def require_all_classes(self, split: str) -> None:
        """Raises InvalidInput if a class has no photo in a split."""
        for name in self.classes_without(split):
            raise InvalidInput(f"no photos of class {name} in {self.data_dir}")

    def with_class_names(self, class_names: Sequence[str]) -> "PhotoSet":
        """Returns the photos with the same class names in another order.

        Raises:
            InvalidInput: if they are not the same names.
        """
        is_same = sorted(self.class_names) == sorted(class_names)
        require(is_same, "class_names", f"{self.class_names}", tuple(class_names))
        labels = [list(class_names).index(name) for name in self.class_names]
        splits = {
            split: tuple(Photo(photo.path, labels[photo.label]) for photo in photos)
            for split, photos in self.splits.items()
        }
        return dataclasses.replace(self, class_names=tuple(class_names), splits=splits)

    def without(self, paths: Collection[str]) -> "PhotoSet":
        """Returns the photos less some relative paths."""
        splits = {
            split: tuple(photo for photo in photos if photo.path not in paths)
            for split, photos in self.splits.items()
        }
        return dataclasses.replace(self, splits=splits)


def load_photos(data_dir: Path | str) -> PhotoSet:
    """Lists a data folder.

    Args:
        data_dir: holds `train/` and, optionally, `test/`, each with a folder of
            photos for every class; or holds the class folders themselves.

    Returns:
        the photos in the splits `train` and `test`; `test` is empty where there is
        no such folder. Class names are those of the training folders, sorted.

    Raises:
        InvalidInput: if the folder is missing, has no class folders, has an empty
            class, or its `test/` has a class that `train/` does not.
    """
    photos, problems = list_data_dir(data_dir)
    for problem in problems:
        raise InvalidInput(problem)
    return photos


def list_data_dir(data_dir: Path | str) -> tuple[PhotoSet, list[str]]:
    """Lists a data folder as `load_photos` does, whatever is wrong with its classes.

    Returns:
        the photos, and what keeps it from being trained on. A class that is only in
        `test/` has a label behind those of `train/`.

    Raises:
        InvalidInput: if the folder is missing, or has `test/` and no `train/`.
    """
    data_dir = Path(data_dir)
    if not data_dir.is_dir():
        raise InvalidInput(f"no such folder: `data_dir`={data_dir}")
    test_dir = data_dir / "test"
    has_train, has_test = (data_dir / "train").is_dir(), test_dir.is_dir()
    if has_test and not has_train:
        raise InvalidInput(f"{data_dir} has a folder test/ but no folder train/")
    train_dir = data_dir / "train" if has_train else data_dir
    class_names = list_class_folders(train_dir)
    unseen = (
        sorted({*list_class_folders(test_dir)} - {*class_names}) if has_test else []
    )
    labels = {name: label for label, name in enumerate([*class_names, *unseen])}
    train, others = list_photos(data_dir, train_dir, labels)
    read = ("train", "test") if has_train else labels
    others += _list_beside(data_dir, data_dir, read)
    if has_train:
        others += _list_beside(data_dir, train_dir, labels)
    test: tuple[Photo, ...] = ()
    if has_test:
        test, others_test = list_photos(data_dir, test_dir, labels)
        others += others_test + _list_beside(data_dir, test_dir, labels)
    photos = PhotoSet(data_dir, tuple(labels), {"train": train, "test": test}, others)
    problems = []
    if len(class_names) < 2:
        problems.append(
            f"{train_dir} must hold a folder of photos for each of at least two "
            f"classes. Received: {len(class_names)} folders"
        )
    problems += [
        f"no photos of class {name} in {data_dir}"
        for name in photos.classes_without("train")
        if name not in unseen
    ]
    problems += [f"{test_dir / name}: training never saw this class" for name in unseen]
    problems += [
        f"a class name must be UTF-8 without line breaks. Received: {name!a}"
        for name in labels
        if not fits_in_a_line(name)
    ]
    if has_test and not test:
        problems.append(f"no photos in class folders in {test_dir}")
    return photos, problems


def load_evaluation_photos(
    data_dir: Path, split: str, class_names: Sequence[str]
) -> PhotoSet:
    """Lists photos to test a trained network on.

    Args:
        data_dir: holds class folders, in a folder named as the split or in itself.
        split: name of the one split of the result.
        class_names: of the network.

    Raises:
        InvalidInput: if the folder is missing or empty, or has a class that the
            network does not know.
    """
    if not data_dir.is_dir():
        raise InvalidInput(f"no such folder: `data_dir`={data_dir}")
    folder = data_dir / split if (data_dir / split).is_dir() else data_dir
    labels = {name: label for label, name in enumerate(class_names)}
    for name in list_class_folders(folder):
        if name not in labels:
            raise InvalidInput(f"{folder / name}: training never saw this class")
    photos, ignored = list_photos(data_dir, folder, labels)
    if not photos:
        raise InvalidInput(f"no photos in class folders in {folder}")
    return PhotoSet(data_dir, tuple(class_names), {split: photos}, ignored)


def find_class_names(data_dir: Path, split: str) -> tuple[str, ...]:
    """Returns the sorted names of the class folders, those of `train/` if it is there.

    Raises:
        InvalidInput: if the folder is missing.
    """
    if not data_dir.is_dir():
        raise InvalidInput(f"no such folder: `data_dir`={data_dir}")
    folders = (data_dir / name for name in ("train", split))
    folder = next((path for path in folders if path.is_dir()), data_dir)
    return tuple(list_class_folders(folder))


def list_class_folders(folder: Path) -> list[str]:
    """Returns the names of the visible folders in `folder`, sorted."""
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if _is_dir(entry) and not entry.name.startswith(".")
        )


def is_photo_name(name: str) -> bool:
    """Returns whether a file's name is visible and ends as a photo's does."""
    return name.lower().endswith(PHOTO_SUFFIXES) and not name.startswith(".")


def list_photos(
    data_dir: Path, folder: Path, labels: Mapping[str, int]
) -> tuple[tuple[Photo, ...], tuple[str, ...]]:
    """Returns the photos in the class folders of `folder`, and what else is there.

    Args:
        data_dir: folder that paths are relative to.
        folder: holds the class folders.
        labels: by class name; folders of other names are passed over.

    Returns:
        the photos sorted by path, and the relative paths of other files and, with a
        slash at the end, of folders.
    """
    photos, ignored = [], []
    # Plain strings and scandir: a million photos are listed in seconds.
    prefix = "" if folder == data_dir else f"{folder.relative_to(data_dir)}/"
    for class_name in list_class_folders(folder):
        if class_name not in labels:
            continue
        with os.scandir(folder / class_name) as entries:
            names = sorted((entry.name, _is_dir(entry)) for entry in entries)
        for name, is_dir in names:
            path = f"{prefix}{class_name}/{name}"
            if is_photo_name(name) and not is_dir:
                photos.append(Photo(path, labels[class_name]))
            else:
                ignored.append(f"{path}/" if is_dir else path)
    return tuple(photos), tuple(ignored)


def _list_beside(
    data_dir: Path, folder: Path, names: Collection[str]
) -> tuple[str, ...]:
    """Returns the paths of what else lies in a folder of folders of these names."""
    prefix = "" if folder == data_dir else f"{folder.relative_to(data_dir)}/"
    with os.scandir(folder) as entries:
        others = [
            f"{prefix}{entry.name}" + ("/" if _is_dir(entry) else "")
            for entry in entries
            if entry.name not in names or not _is_dir(entry)
        ]
    return tuple(sorted(others))


def _is_dir(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def find_photos(named: Iterable[str | Path]) -> list[Path]:
    """Returns the files named, the photos in the folders named, recursively; each once.

    Args:
        named: files, folders, or patterns of them such as `holiday/**/*.jpg`.

    Raises:
        InvalidInput: if a folder holds no photo, or a pattern fits nothing.
    """
    found: dict[Path, None] = {}
    for path in itertools.chain.from_iterable(map(_expand, named)):
        found |= dict.fromkeys(_photos_of_folder(path) if path.is_dir() else [path])
    return list(found)


def _expand(name: str | Path) -> list[Path]:
    path = Path(name)
    if path.exists() or not glob.has_magic(str(name)):
        return [path]
    fitting = sorted(glob.glob(str(name), recursive=True))
    if not fitting:
        raise InvalidInput(f"no file or folder fits {name}")
    return [Path(match) for match in fitting]


def _photos_of_folder(folder: Path) -> list[Path]:
    files = sorted(folder.rglob("*"))
    photos = [f for f in files if is_photo_name(f.name) and not f.is_dir()]
    if not photos:
        raise InvalidInput(f"no photos in the folder {folder} ({_KINDS})")
    return photos
