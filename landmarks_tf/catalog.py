"""Which photos a data folder holds and which landmark each shows.

Owns the listing of folders, class names and labels. Reads names, never files; which
photo is for training and which for testing is decided in `split`. No TensorFlow.
"""

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from landmarks_tf.errors import InvalidInput

PHOTO_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")


class Photo(NamedTuple):
    """A photo's path relative to the data folder (with `/`) and its label."""

    path: str
    label: int


@dataclass(frozen=True)
class Catalog:
    """The photos of a data folder by split.

    Attributes:
        data_dir: the folder that every photo's path is relative to.
        class_names: tuple of str; a label is an index into it.
        splits: photos by split name, each sorted by path.
        ignored: relative paths of visible files that have no photo's suffix.
    """

    data_dir: Path
    class_names: tuple[str, ...]
    splits: Mapping[str, tuple[Photo, ...]]
    ignored: tuple[str, ...] = ()

    def absolute_paths(self, split: str) -> list[str]:
        """Returns the files of a split, in the order of its photos."""
        return [str(self.data_dir / photo.path) for photo in self.splits[split]]

    def labels(self, split: str) -> list[int]:
        """Returns the labels of a split, in the order of its photos."""
        return [photo.label for photo in self.splits[split]]

    def all_photos(self) -> list[Photo]:
        """Returns the photos of all splits."""
        return [photo for photos in self.splits.values() for photo in photos]

    def classes_without(self, split: str) -> list[str]:
        """Returns the names of the classes that have no photo in a split."""
        seen = set(self.labels(split))
        return [name for i, name in enumerate(self.class_names) if i not in seen]

    def require_all_classes(self, split: str) -> None:
        """Raises InvalidInput if a class has no photo in a split."""
        for name in self.classes_without(split):
            raise InvalidInput(f"no photos of class {name} in {self.data_dir}")

    def without(self, paths: Collection[str]) -> "Catalog":
        """Returns the catalog less some relative paths."""
        splits = {
            split: tuple(photo for photo in photos if photo.path not in paths)
            for split, photos in self.splits.items()
        }
        return replace(self, splits=splits)


def load_catalog(data_dir: Path | str) -> Catalog:
    """Lists a data folder.

    Args:
        data_dir: holds `train/` and, optionally, `test/`, each with a folder of
            photos for every class; or holds the class folders themselves.

    Returns:
        a catalog with the splits `train` and `test`; `test` is empty where there is
        no such folder. Class names are those of the training folders, sorted.

    Raises:
        InvalidInput: if the folder is missing, has no class folders, has an empty
            class, or its `test/` has a class that `train/` does not.
    """
    data_dir = Path(data_dir)
    if not data_dir.is_dir():
        raise InvalidInput(f"no such folder: `data_dir`={data_dir}")
    train_dir = data_dir / "train"
    test_dir = data_dir / "test"
    if not train_dir.is_dir():
        if test_dir.is_dir():
            raise InvalidInput(f"{data_dir} has a folder test/ but no folder train/")
        train_dir = data_dir
    class_names = load_class_folders(train_dir)
    train, ignored = list_photos(data_dir, train_dir, class_names)
    test: tuple[Photo, ...] = ()
    if test_dir.is_dir():
        test, ignored_test = list_photos(data_dir, test_dir, class_names)
        ignored += ignored_test
        if not test:
            raise InvalidInput(f"no photos in class folders in {test_dir}")
    catalog = Catalog(data_dir, class_names, {"train": train, "test": test}, ignored)
    catalog.require_all_classes("train")
    return catalog


def load_evaluation_catalog(
    data_dir: Path, split: str, class_names: Sequence[str]
) -> Catalog:
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
    photos, ignored = list_photos(data_dir, folder, class_names)
    if not photos:
        raise InvalidInput(f"no photos in class folders in {folder}")
    return Catalog(data_dir, tuple(class_names), {split: photos}, ignored)


def load_class_folders(folder: Path) -> tuple[str, ...]:
    """Returns the names of the visible folders in `folder`, sorted.

    Raises:
        InvalidInput: if there are fewer than two.
    """
    names = [path.name for path in folder.iterdir() if path.is_dir()]
    names = sorted(name for name in names if not name.startswith("."))
    if len(names) < 2:
        raise InvalidInput(
            f"{folder} must hold a folder of photos for each of at least two "
            f"classes. Received: {len(names)} folders"
        )
    return tuple(names)


def is_photo(path: Path) -> bool:
    """Returns whether a file is visible and named as a photo is."""
    has_suffix = path.suffix.lower() in PHOTO_SUFFIXES
    return has_suffix and not path.name.startswith(".") and not path.is_dir()


def list_photos(
    data_dir: Path, folder: Path, class_names: Sequence[str]
) -> tuple[tuple[Photo, ...], tuple[str, ...]]:
    """Returns the photos in the class folders of `folder`, and the ignored files.

    Raises:
        InvalidInput: if `folder` has a class folder that is not in `class_names`.
    """
    labels = {name: label for label, name in enumerate(class_names)}
    photos = []
    ignored = []
    for class_dir in sorted(path for path in folder.iterdir() if path.is_dir()):
        if class_dir.name.startswith("."):
            continue
        if class_dir.name not in labels:
            raise InvalidInput(f"{class_dir}: training never saw this class")
        for file in sorted(class_dir.iterdir()):
            if file.name.startswith(".") or file.is_dir():
                continue
            path = file.relative_to(data_dir).as_posix()
            if is_photo(file):
                photos.append(Photo(path, labels[class_dir.name]))
            else:
                ignored.append(path)
    return tuple(photos), tuple(ignored)
