"""A photo in whatever form a program holds it, and the photos that a user names.

No TensorFlow.
"""

import io
import threading
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from landmarks_tf.data.photo import MAX_PIXELS
from landmarks_tf.data.photo import read_photo
from landmarks_tf.data.photo import turn_upright
from landmarks_tf.errors import InvalidInput

_LOADING = threading.Lock()
# By which rounding may leave [0, 1].
_ROUNDING = 1e-6

# A path, the bytes of a file, an open file, a picture of Pillow's, or pixels: uint8
# [height, width, 3] in 0..255 or floats in [0, 1], RGB.
Photo = str | Path | bytes | IO[bytes] | Image.Image | np.ndarray


def open_photo(photo: Photo, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Returns a photo as 8-bit RGB, upright by its EXIF orientation, in its own size.

    Args:
        photo: in any of the forms above.
        max_pixels: a file of more is not decoded.

    Raises:
        InvalidInput: if it cannot be read; the message names it.
    """
    try:
        if isinstance(photo, np.ndarray):
            return _from_array(photo)
        if isinstance(photo, Image.Image):
            return _from_picture(photo)
        file = photo if isinstance(photo, (str, Path)) else io.BytesIO(_bytes_of(photo))
        return read_photo(file, max_pixels)[1]
    except InvalidInput as error:
        raise InvalidInput(f"{name_photo(photo)}: {error}") from error


def _bytes_of(photo: bytes | bytearray | memoryview | IO[bytes]) -> bytes:
    # Read at once: a file need not be one that can be read again from its start.
    contents = photo.read() if hasattr(photo, "read") else photo
    if not isinstance(contents, (bytes, bytearray, memoryview)):
        raise InvalidInput(
            "a photo must be a path, bytes, a file opened with mode 'rb', a picture of "
            f"Pillow's or an array. Received: {type(photo).__name__}"
        )
    return bytes(contents)


def name_photo(photo: Photo) -> str:
    """Returns the path of a photo, or "photo" for one that has none."""
    if isinstance(photo, (str, Path)):
        return str(photo)
    name = getattr(photo, "filename", "") or getattr(photo, "name", "")
    return str(name) if isinstance(name, (str, Path)) and str(name) else "photo"


def _from_picture(picture: Image.Image) -> Image.Image:
    try:
        with _LOADING:  # Pillow reads a file when it is first asked for pixels
            picture.load()
        return turn_upright(picture)
    except Exception as error:  # of a file that it reads only now
        raise InvalidInput(f"damaged ({error})") from error


def _from_array(pixels: np.ndarray) -> Image.Image:
    is_rgb = pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.size > 0
    is_float = np.issubdtype(pixels.dtype, np.floating)
    if not is_rgb or not (is_float or pixels.dtype == np.uint8):
        raise InvalidInput(
            "an array must be uint8 or float [height, width, 3]. Received: "
            f"{pixels.dtype} {list(pixels.shape)}"
        )
    if is_float:
        # Written so that NaN is refused too.
        if not (pixels.min() >= -_ROUNDING and pixels.max() <= 1 + _ROUNDING):
            raise InvalidInput(
                "an array of floats must be in [0, 1]. Received: "
                f"{pixels.min():.3g} to {pixels.max():.3g}"
            )
        pixels = np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(pixels)
