"""From photo bytes to a model's input as TensorFlow operations.

Owns the same steps as `preprocessing`, in the same order, for the places where a
graph is needed: the tf.data pipeline and the SavedModel's bytes signature.
"""

import tensorflow as tf

# EXIF lies in the first segments of a JPEG, each of at most 64 KiB.
_HEADER_BYTES = 128 * 1024
_ORIENTATION_TAG = 0x0112


def preprocess(contents: tf.Tensor, image_size: tuple[int, int]) -> tf.Tensor:
    """Returns one photo's bytes as uint8 pixels `[height, width, 3]`, upright RGB.

    Args:
        contents: scalar string, the bytes of a JPEG, PNG, GIF, BMP or WebP file.
        image_size: (height, width) in pixels.
    """
    return resize(decode(contents), image_size)


def normalize(pixels: tf.Tensor) -> tf.Tensor:
    """Returns uint8 pixels in 0..255 as float32 in [0, 1], of the same shape."""
    return tf.cast(pixels, tf.float32) / 255.0


def decode(contents: tf.Tensor) -> tf.Tensor:
    """Returns one photo's bytes as uint8 `[height, width, 3]`, upright RGB."""
    return tf.cond(
        tf.io.is_jpeg(contents),
        lambda: _orient(_decode_jpeg(contents), read_orientation(contents)),
        lambda: _decode_other(contents),
    )


def resize(image: tf.Tensor, image_size: tuple[int, int]) -> tf.Tensor:
    """Returns uint8 `[height, width, 3]`: bilinear, antialiased where it shrinks.

    Without shrinking, antialiasing changes nothing and costs 2.7 times the time.
    Rounding to whole grey levels is what Pillow does.
    """
    shrinks = tf.reduce_any(tf.shape(image)[:2] > tf.constant(image_size))
    resized = tf.cond(
        shrinks,
        lambda: tf.image.resize(image, image_size, antialias=True),
        lambda: tf.image.resize(image, image_size),
    )
    pixels = tf.cast(tf.round(resized), tf.uint8)
    return tf.ensure_shape(pixels, (*image_size, 3))


def read_orientation(contents: tf.Tensor) -> tf.Tensor:
    """Returns the EXIF orientation of a JPEG's bytes, int32 1..8; 1 where none is.

    The tag is searched in the first directory of the TIFF structure behind the
    `Exif` marker (CIPA DC-008, section 4.6).
    """
    header = tf.strings.substr(contents, 0, _HEADER_BYTES)
    parts = tf.strings.split(header, sep=b"Exif\0\0", maxsplit=1)
    return tf.cond(
        tf.size(parts) > 1,
        lambda: _orientation_in_tiff(parts[1]),
        lambda: tf.constant(1),
    )


def _decode_jpeg(contents: tf.Tensor) -> tf.Tensor:
    # TensorFlow's default, the fast inverse transform, is a grey level off Pillow's.
    return tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE")


def _decode_other(contents: tf.Tensor) -> tf.Tensor:
    return tf.cond(
        tf.equal(tf.strings.substr(contents, 0, 4), b"\x89PNG"),
        lambda: _compose_on_white(tf.io.decode_png(contents, channels=4)),
        lambda: tf.io.decode_image(contents, channels=3, expand_animations=False),
    )


def _compose_on_white(rgba: tf.Tensor) -> tf.Tensor:
    color, alpha = tf.split(tf.cast(rgba, tf.float32), [3, 1], axis=-1)
    return tf.cast(tf.round(255 + (color - 255) * alpha / 255), tf.uint8)


def _orient(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    def turn() -> tf.Tensor:
        turned = tf.cond(
            orientation >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image
        )
        mirror = tf.reduce_any(orientation == (2, 3, 6, 7))
        flip = tf.reduce_any(orientation == (3, 4, 7, 8))
        turned = tf.cond(mirror, lambda: tf.reverse(turned, [1]), lambda: turned)
        return tf.cond(flip, lambda: tf.reverse(turned, [0]), lambda: turned)

    return tf.cond(orientation == 1, lambda: image, turn)


def _orientation_in_tiff(tiff: tf.Tensor) -> tf.Tensor:
    octets = tf.cast(tf.io.decode_raw(tiff, tf.uint8), tf.int64)
    # Eight zeros keep every look-up inside a header that is cut short.
    octets = tf.concat([octets, tf.zeros(8, tf.int64)], axis=0)
    little_endian = octets[0] == ord("I")

    def number(field: tf.Tensor, width: int) -> tf.Tensor:
        field = tf.cond(little_endian, lambda: field[..., ::-1], lambda: field)
        weights = [256**power for power in reversed(range(width))]
        return tf.reduce_sum(field * tf.constant(weights, tf.int64), axis=-1)

    directory = tf.minimum(number(octets[4:8], 4), tf.size(octets, tf.int64) - 2)
    count = number(octets[directory : directory + 2], 2)
    entries = octets[directory + 2 : directory + 2 + 12 * count]
    entries = tf.reshape(entries[: tf.size(entries) // 12 * 12], (-1, 12))
    is_orientation = number(entries[:, 0:2], 2) == _ORIENTATION_TAG
    values = number(tf.boolean_mask(entries, is_orientation)[:, 8:10], 2)
    value = tf.concat([values, [1]], axis=0)[0]
    is_valid = tf.logical_and(value >= 1, value <= 8)
    return tf.cast(tf.where(is_valid, value, 1), tf.int32)
