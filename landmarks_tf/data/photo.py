"""From a photo file to a model's input, with Pillow and NumPy: the definition.

Owns decoding, EXIF orientation, resizing and normalisation of one photo where no
TensorFlow is at hand: programs, phones' tests, the predictor. The same steps as
TensorFlow operations are in `tf_image`; a test holds the two together.
"""

import re
import warnings
from collections.abc import Iterable
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
from PIL import BmpImagePlugin
from PIL import ExifTags
from PIL import GifImagePlugin
from PIL import Image
from PIL import UnidentifiedImageError

from landmarks_tf.errors import InvalidInput
from landmarks_tf.errors import require

_REASONS = (
    (FileNotFoundError, "no such file"),
    (PermissionError, "permission denied"),
    (Image.DecompressionBombError, "too many pixels"),
)
# A photo of more is not decoded: more than phones make, and a gigabyte of memory here.
MAX_PIXELS = 120_000_000
# What people take for photos and TensorFlow cannot decode, by the first bytes.
_UNSUPPORTED = (
    (rb"....ftyp(hei|hev|mif1|msf1)", "HEIC"),
    (rb"....ftypavi", "AVIF"),
    (rb"II\*\0|MM\0\*", "TIFF or a camera's raw format"),
    (rb"\xff\x0a|....JXL ", "JPEG XL"),
    (rb"....jP  ", "JPEG 2000"),
    (rb"\s*(<\?xml|<svg)", "SVG"),
    (rb"%PDF", "PDF"),
)
_NUM_MAGIC_BYTES = 16
_STRIP_HEIGHT = 256
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Raw modes of the 24-bit, 32-bit and grey BMPs.
_PLAIN_BMP = ("BGR", "BGRX", "BGRA", "BGXR", "L")
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")

# Warnings of odd EXIF fields, which nobody asked for, and of large photos, for which
# there is a limit of our own.
# For good, because `warnings.catch_warnings` is not for threads.
warnings.filterwarnings("ignore", module=r"PIL\.")

ImageSize = int | Sequence[int]
PathLike = str | Path


def as_image_size(image_size: ImageSize) -> tuple[int, int]:
    """Returns `image_size` as (height, width) in pixels.

    Args:
        image_size: a positive integer for a square, or (height, width).

    Raises:
        InvalidInput: if it is neither.
    """
    sizes = image_size if isinstance(image_size, Sequence) else (image_size,) * 2
    is_size = len(sizes) == 2 and all(_is_positive_integer(size) for size in sizes)
    wanted = "a positive integer or a (height, width) pair of them"
    require(is_size, "image_size", wanted, image_size)
    return int(sizes[0]), int(sizes[1])


def load_images(
    paths: PathLike | Iterable[PathLike], image_size: ImageSize = 800
) -> np.ndarray:
    """Reads photo files as a batch that `keras.Model.predict` takes.

    Each photo is decoded, turned upright by its EXIF orientation, composed on white
    where it is transparent, stretched to `image_size` (bilinear, antialiased) and
    divided by 255.

    Args:
        paths: photo files (JPEG, PNG, WebP, GIF or BMP), or a single one.
        image_size: (height, width) in pixels, or one integer for a square.

    Returns:
        float32 array `[len(paths), height, width, 3]`, RGB, in [0, 1], in the order
        of `paths`.

    Raises:
        InvalidInput: if a file cannot be read as a photo; the message names it.
    """
    if isinstance(paths, (str, Path)):
        paths = [paths]
    height_width = as_image_size(image_size)
    images = [load_pixels(path, height_width) for path in paths]
    return normalize(np.array(images, np.uint8).reshape((-1, *height_width, 3)))


def load_pixels(file: PathLike | IO[bytes], image_size: tuple[int, int]) -> np.ndarray:
    """Returns one photo as uint8 `[height, width, 3]`, RGB, in 0..255.

    Raises:
        InvalidInput: if the file cannot be read as a photo.
    """
    return np.asarray(resize(load_photo(file), image_size))


def load_photo(file: PathLike | IO[bytes]) -> Image.Image:
    """Returns one photo as 8-bit RGB, upright, in its own size.

    Raises:
        InvalidInput: if the file cannot be read as a photo; the message names it.
    """
    try:
        return read_photo(file)[1]
    except InvalidInput as error:
        name = getattr(file, "name", "photo") if hasattr(file, "read") else file
        raise InvalidInput(f"{name}: {error}") from error


def resize(image: Image.Image, image_size: tuple[int, int]) -> Image.Image:
    """Returns an RGB image stretched to (height, width): bilinear, antialiased.

    First horizontally, then vertically, each rounded to whole grey levels: Pillow
    before 13 did so by itself, 13 turns the order round for some shapes.
    """
    height, width = image_size
    wide = image.resize((width, image.height), Image.Resampling.BILINEAR)
    return wide.resize((width, height), Image.Resampling.BILINEAR)


def normalize(pixels: np.ndarray) -> np.ndarray:
    """Returns uint8 pixels in 0..255 as float32 in [0, 1], of the same shape."""
    # A product, as in the graph and in Keras's Rescaling(1 / 255).
    return pixels.astype(np.float32) * np.float32(1 / 255)


def unreadable_reason(path: PathLike) -> str:
    """Returns in a few words why a file cannot be read; empty if Pillow can."""
    try:
        read_photo(path)
    except InvalidInput as error:
        return str(error)
    return ""


def read_photo(
    file: PathLike | IO[bytes], max_pixels: int = MAX_PIXELS
) -> tuple[Image.Image, Image.Image]:
    """Returns a photo as it was opened, and as 8-bit RGB, turned upright.

    Args:
        file: of a photo.
        max_pixels: a photo of more is not decoded.

    Raises:
        InvalidInput: if it cannot be read; the message is the reason in a few words.
    """
    try:
        if isinstance(file, (str, Path)):
            require_file(Path(file))
        with Image.open(file, formats=_FORMATS) as image:
            _refuse(image, max_pixels)
            return image, turn_upright(image)
    except Exception as error:  # its decoders raise all kinds for damaged files
        raise InvalidInput(_reason(error, file)) from error


def turn_upright(image: Image.Image) -> Image.Image:
    """Returns a picture as 8-bit RGB, turned by its EXIF orientation, without EXIF."""
    image.load()
    turn = _TURNS.get(read_orientation(image))
    upright = _as_rgb(image)
    if turn is None:
        return upright
    upright = upright.transpose(turn)
    upright.info.pop("exif", None)  # or it would be turned again
    return upright


def require_file(path: Path) -> None:
    """Raises InvalidInput for what is there but no file: a pipe would block."""
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "a pipe or device"
        raise InvalidInput(f"{kind}, not a photo")


def _refuse(image: Image.Image, max_pixels: int) -> None:
    """Raises InvalidInput for what is too large or TensorFlow reads otherwise."""
    if image.width * image.height > max_pixels:
        raise InvalidInput(f"{image.width}x{image.height} are too many pixels")
    if isinstance(image, BmpImagePlugin.BmpImageFile):
        args = image.tile[0].args
        if not isinstance(args, tuple) or args[0] not in _PLAIN_BMP:
            raise InvalidInput("a BMP with a palette or few bits: save it as PNG")
    if isinstance(image, GifImagePlugin.GifImageFile) and image.tile:
        if image.tile[0].extents != (0, 0, *image.size):
            raise InvalidInput("a GIF that its first frame does not fill")


def read_orientation(image: Image.Image) -> int:
    """Returns the EXIF orientation of a loaded photo, 1..8; 1 where none is."""
    # Not ImageOps.exif_transpose: it writes all of EXIF anew, and fails where a field
    # that nobody asked for is malformed. Not getexif: it looks elsewhere too (XMP).
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif", b""))
        value = exif.get(ExifTags.Base.Orientation, 1)
    except Exception:  # malformed in one of very many ways
        return 1
    return value if value in _TURNS else 1


def _reason(error: Exception, file: PathLike | IO[bytes]) -> str:
    if isinstance(error, InvalidInput):
        return str(error)
    if isinstance(error, UnidentifiedImageError):
        return _unidentified(file)
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    return f"damaged ({error})"


def _unidentified(file: PathLike | IO[bytes]) -> str:
    """Says what bytes are that Pillow does not know as one of our formats."""
    if isinstance(file, (str, Path)):
        with open(file, "rb") as opened:
            start = opened.read(_NUM_MAGIC_BYTES)
    else:
        file.seek(0)
        start = file.read(_NUM_MAGIC_BYTES)
    if not start:
        return "empty file"
    reason = unsupported_format(start)
    return reason or "not a photo (of JPEG, PNG, WebP, GIF or BMP format)"


def unsupported_format(start: bytes) -> str:
    """Names the format that a file's first bytes are of, if it is to be converted."""
    for pattern, name in _UNSUPPORTED:
        if re.match(pattern, start, re.DOTALL):
            return f"{name} is not supported: convert it to JPEG"
    return ""


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":
        # Pillow's own conversion turns all but the darkest pixels white.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    # TensorFlow's GIF decoder keeps no alpha: what is transparent there is black.
    color = "black" if image.format == "GIF" else "white"
    opaque = Image.new("RGB", image.size)
    # Part by part: whole, the photo would be in memory four times.
    for top in range(0, image.height, _STRIP_HEIGHT):
        box = (0, top, image.width, min(top + _STRIP_HEIGHT, image.height))
        strip = image.crop(box).convert("RGBA")
        ground = Image.new("RGBA", strip.size, color)
        opaque.paste(Image.alpha_composite(ground, strip).convert("RGB"), box)
    return opaque


def _is_positive_integer(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and int(value) > 0
