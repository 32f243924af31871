"""What one photo file is: read once, with Pillow.

Owns the reading of a file for the check of a data folder. Does not judge a folder
(`audit`). No TensorFlow.
"""

import hashlib
import itertools
import json
import os
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path

import PIL
from PIL import Image

from landmarks_tf.data import cache
from landmarks_tf.data import duplicates
from landmarks_tf.data.photo import read_photo
from landmarks_tf.data.photo import require_file
from landmarks_tf.data.photo import unsupported_format
from landmarks_tf.data.photo_set import PhotoSet
from landmarks_tf.errors import InvalidInput
from landmarks_tf.progress import Progress

# A change of what is found out about a file needs another number.
_QUESTION = f"check 2, Pillow {PIL.__version__}"
_HEADER_BYTES = 32
# Photos skipped that are named; split.json names them all.
_MAX_NAMED = 100
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")


@dataclass(frozen=True)
class FileCheck:
    """What was found out about one file.

    Attributes:
        problem: why it cannot be read as a photo, in a few words; empty if it can.
        sha256: of its bytes, in hexadecimal; empty if they cannot be read.
        perceptual_hash: see `duplicates`, in hexadecimal; empty if there is none.
        width: in pixels, upright; 0 if it cannot be read.
        height: likewise.
    """

    problem: str = ""
    sha256: str = ""
    perceptual_hash: str = ""
    width: int = 0
    height: int = 0


def check_files(
    data_dir: Path, paths: Sequence[str], database: Path | None = None
) -> Iterator[FileCheck]:
    """Reads photos in parallel, or takes what is remembered of unchanged ones.

    Args:
        data_dir: folder that the paths are relative to.
        paths: the files.
        database: see `map_files`.

    Yields:
        a check for each path, in order.
    """
    files = [os.path.join(data_dir, path) for path in paths]
    for answer in cache.map_files(_ask, files, _QUESTION, database):
        yield FileCheck(**json.loads(answer))


def group_duplicates(checks: Mapping[str, FileCheck]) -> list[list[str]]:
    """Returns groups of paths that show the same picture, see `duplicates`."""
    paths = [path for path, check in checks.items() if not check.problem]
    groups = duplicates.group_duplicates(
        [checks[path].sha256 for path in paths],
        [bytes.fromhex(checks[path].perceptual_hash) for path in paths],
    )
    return [[paths[index] for index in group] for group in groups]


def check_file(path: str) -> FileCheck:
    """Reads one photo.

    Raises:
        OSError: if the file cannot be read.
    """
    try:
        require_file(Path(path))
    except InvalidInput as error:
        return FileCheck(str(error))
    with open(path, "rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        try:
            _, upright = read_photo(file)
        except InvalidInput as error:
            return FileCheck(str(error), sha256)
    perceptual_hash = duplicates.perceptual_hash(upright).hex()
    return FileCheck("", sha256, perceptual_hash, *upright.size)


def find_format(path: str) -> str:
    """Says what a file is that is not named as a photo; reads no more than its header.

    Returns:
        a format that is read, such as "JPEG"; why it is not; or nothing for no photo.
    """
    try:
        require_file(Path(path))
        with open(path, "rb") as file:
            reason = unsupported_format(file.read(_HEADER_BYTES))
        if reason:
            return reason
        with Image.open(path, formats=_FORMATS) as image:
            return str(image.format)
    except Exception:  # Pillow raises all kinds for what is no photo
        return ""


def _ask(path: str) -> str:
    try:
        return json.dumps(asdict(check_file(path)))
    except FileNotFoundError:
        problem = "dangling link" if os.path.islink(path) else "no such file"
    except OSError as error:
        problem = (error.strerror or str(error)).lower()
    return cache.Passing(json.dumps(asdict(FileCheck(problem))))


def check_photos(
    photos: PhotoSet, progress: Progress = Progress()
) -> dict[str, FileCheck]:
    """Reads every photo, or remembers it, and returns what was found by its path."""
    paths = [photo.path for photo in photos.all_photos()]
    checks = check_files(photos.data_dir, paths)
    return dict(zip(paths, progress.track(checks, "reading photos", len(paths))))


def skip_unreadable(
    photos: PhotoSet, checks: Mapping[str, FileCheck], progress: Progress = Progress()
) -> tuple[PhotoSet, dict[str, str]]:
    """Leaves out the photos that cannot be decoded, and tells which.

    Returns:
        the rest, and the reason by relative path of those left out.
    """
    from landmarks_tf.data.tf_image import find_unreadable

    skipped = {path: check.problem for path, check in checks.items() if check.problem}
    # What Pillow can decode, TensorFlow must too, or training ends at that photo.
    skipped |= find_unreadable(photos.without(skipped))
    tell_skipped(photos, skipped, progress)
    return photos.without(skipped), skipped


def tell_skipped(
    photos: PhotoSet, skipped: Mapping[str, str], progress: Progress
) -> None:
    """Tells which photos are skipped and why, the first of very many."""
    for path, reason in itertools.islice(skipped.items(), _MAX_NAMED):
        progress.warn(f"skipped {photos.data_dir / path}: {reason}")
