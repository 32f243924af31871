"""Which photos of a folder are for training, for validation and for testing."""

import sys
from pathlib import Path

import checking
from absl import flags

from landmarks_tf.config import TrainConfig
from landmarks_tf.data import file_check
from landmarks_tf.data import split
from landmarks_tf.data import split_file
from landmarks_tf.data.photo_set import PhotoSet
from landmarks_tf.errors import InvalidInput
from landmarks_tf.names import printable

_SPLIT_FILE = flags.DEFINE_string(
    "split_file",
    None,
    "split.json of an earlier run: its photos stay in their splits, whatever --seed "
    "and the fractions say; new ones are divided by them. A photo that has changed or "
    "gone is refused. Recorded in run.flags as the run's own split.",
)


def require_split_file() -> None:
    """Raises InvalidInput if --split_file is none."""
    if _SPLIT_FILE.value:
        split_file.load_hashes(Path(_SPLIT_FILE.value))


def divide(
    listing: PhotoSet, options: TrainConfig
) -> tuple[PhotoSet, dict[str, str], dict[str, str]]:
    """Reads all photos and divides those that can be read; names the others.

    Args:
        listing: of a folder.
        options: of them the seed and the fractions.

    Returns:
        the catalog with its three splits; the content hash by path; the reason by path
        of the photos that are left out.
    """
    inspections = checking.inspect(listing)
    readable, skipped = checking.skip_unreadable(listing, inspections)
    if listing.splits["test"] and not readable.splits["test"]:
        raise InvalidInput(f"no readable test photos in {listing.data_dir}")
    readable.require_all_classes("train")
    hashes = {path: inspections[path].sha256 for path in inspections}
    photos, alike = split.split_photos(
        readable,
        hashes,
        options,
        file_check.group_duplicates(inspections),
        _load_earlier(readable, hashes),
    )
    checking.name_skipped(photos, alike)
    checking.print_left_out(
        cannot_be_read=len(skipped), show_what_another_split_shows=len(alike)
    )
    photos.require_all_classes("train")
    return photos, hashes, skipped | alike


def print_counts(photos: PhotoSet) -> None:
    """Tells how many photos each split has, and which class cannot be tested."""
    for name in photos.classes_without("test"):
        text = f"warning: no test photos of class {name}"
        print(printable(text), file=sys.stderr)
    counts = [f"{len(photos.splits[name])} {name}" for name in split.SPLITS]
    print(f"photos: {', '.join(counts)}", flush=True)


def _load_earlier(photos: PhotoSet, hashes: dict[str, str]) -> dict[str, str]:
    """Returns the split of --split_file by content, and tells how many are new."""
    if not _SPLIT_FILE.value:
        return {}
    path = Path(_SPLIT_FILE.value)
    earlier = split_file.load_earlier(path, photos, hashes)
    num_new = sum(hashes[p.path] not in earlier for p in photos.all_photos())
    print(f"split of {path}: kept; {num_new} photos are not in it")
    return earlier
