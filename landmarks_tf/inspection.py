"""What one photo file is: read once, with Pillow.

Owns the reading of a file for the check of a data folder. Does not judge a folder
(`data_check`). No TensorFlow.
"""

import functools
import hashlib
import io
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

from landmarks_tf import duplicates
from landmarks_tf import file_cache
from landmarks_tf import preprocessing
from landmarks_tf.errors import InvalidInput

# A change of what is found out about a file needs another number.
_QUESTION = f"inspection 1, Pillow {PIL.__version__}"
_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg"),
    "MPO": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
}


@dataclass(frozen=True)
class Inspection:
    """What was found out about one file.

    Attributes:
        problem: why it cannot be read as a photo, in a few words; empty if it can.
        sha256: of its bytes, in hexadecimal; empty if they cannot be read.
        perceptual_hash: see `duplicates`, in hexadecimal; empty if there is none.
        width: in pixels, upright; 0 if it cannot be read.
        height: likewise.
        conversions: what this program sees to and others pass over in silence, such
            as an EXIF orientation.
    """

    problem: str = ""
    sha256: str = ""
    perceptual_hash: str = ""
    width: int = 0
    height: int = 0
    conversions: tuple[str, ...] = ()


def inspect_photos(
    data_dir: Path,
    paths: Sequence[str],
    max_pixels: int = preprocessing.MAX_PIXELS,
    database: Path | None = None,
) -> Iterator[Inspection]:
    """Reads photos in parallel, or takes what is remembered of unchanged ones.

    Args:
        data_dir: folder that the paths are relative to.
        paths: the files.
        max_pixels: a photo of more is not decoded; that is its problem.
        database: see `file_cache.map_files`.

    Yields:
        an inspection for each path, in order.
    """
    ask = functools.partial(_ask, max_pixels=max_pixels)
    files = [os.path.join(data_dir, path) for path in paths]
    question = f"{_QUESTION}, {max_pixels} pixels"
    for answer in file_cache.map_files(ask, files, question, database):
        record = json.loads(answer)
        yield Inspection(**record | {"conversions": tuple(record["conversions"])})


def group_duplicates(inspections: Mapping[str, Inspection]) -> list[list[str]]:
    """Returns groups of paths that show the same picture, see `duplicates`."""
    readable = {path: i for path, i in inspections.items() if not i.problem}
    groups = duplicates.group_duplicates(
        [inspection.sha256 for inspection in readable.values()],
        [bytes.fromhex(i.perceptual_hash) for i in readable.values()],
    )
    paths = list(readable)
    return [[paths[index] for index in group] for group in groups]


def inspect_photo(path: str, max_pixels: int = preprocessing.MAX_PIXELS) -> Inspection:
    """Reads one photo."""
    try:
        preprocessing.require_file(Path(path))
        with open(path, "rb") as file:
            contents = file.read()
    except InvalidInput as error:
        return Inspection(str(error))
    except FileNotFoundError:
        return Inspection("dangling link" if os.path.islink(path) else "no such file")
    except OSError as error:
        return Inspection((error.strerror or str(error)).lower())
    sha256 = hashlib.sha256(contents).hexdigest()
    try:
        image, upright = preprocessing.read_photo(io.BytesIO(contents), max_pixels)
    except InvalidInput as error:
        return Inspection(str(error), sha256)
    perceptual_hash = duplicates.perceptual_hash(upright).hex()
    conversions = tuple(_conversions(image, contents, os.path.splitext(path)[1]))
    return Inspection("", sha256, perceptual_hash, *upright.size, conversions)


def _ask(path: str, max_pixels: int) -> str:
    return json.dumps(asdict(inspect_photo(path, max_pixels)))


def _conversions(image: Image.Image, contents: bytes, suffix: str) -> Iterator[str]:
    """Names what is done to a loaded photo beyond decoding it."""
    orientation = preprocessing.read_orientation(image)
    if orientation != 1:
        yield f"EXIF orientation {orientation}"
    if image.mode == "CMYK":
        yield "CMYK"
    elif image.mode in ("1", "L", "LA"):
        yield "greyscale"
    elif image.mode in ("P", "PA") and image.format != "GIF":
        yield "palette"
    if image.format == "PNG" and contents[24] == 16:  # the header's bit depth
        yield "16-bit"
    if image.has_transparency_data:
        yield "transparent"
    if getattr(image, "is_animated", False) and image.format != "MPO":
        yield "animated"
    if suffix.lower() not in _SUFFIXES[str(image.format)]:
        yield f"{image.format} content in a file named {suffix.lower()}"
