"""From photo bytes to a model's input as TensorFlow operations.

Owns the same steps as `photo`, in the same order, for the places where a graph is
needed: the tf.data pipeline and the SavedModel's bytes signature. Owns which photos
TensorFlow cannot decode, though Pillow may.
"""

import tensorflow as tf

from landmarks_tf.data import cache
from landmarks_tf.data.photo import unreadable_reason
from landmarks_tf.data.photo_set import PhotoSet

_PNG = b"\x89PNG"
_RIFF = b"RIFF"  # a WebP
_EXIF = b"Exif\0\0"
# EXIF lies in the first segments of a JPEG, each of at most 64 KiB.
_HEADER_BYTES = 128 * 1024
_ORIENTATION_TAG = 0x0112
# For what few photos need. Without, the operations of a branch lie in its caller's
# graph, where TensorFlow visits each of them also when the branch is not taken: with
# some hundreds of them that takes as long as decoding a JPEG.
apart = tf.function(experimental_attributes={"_noinline": True})


def preprocess(contents: tf.Tensor, image_size: tuple[int, int]) -> tf.Tensor:
    """Returns one photo's bytes as uint8 pixels `[height, width, 3]`, upright RGB.

    Resized quickly, within a grey level of the definition: see `export.tf_resize`.

    Args:
        contents: scalar string, the bytes of a JPEG, PNG, GIF, BMP or WebP file.
        image_size: (height, width) in pixels.
    """
    return resize(decode(contents), image_size)


def normalize(pixels: tf.Tensor) -> tf.Tensor:
    """Returns uint8 pixels in 0..255 as float32 in [0, 1], of the same shape."""
    # In one pass through memory, where a cast and a division are two.
    return tf.quantization.dequantize(tf.bitcast(pixels, tf.quint8), 0.0, 1.0)


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


def find_unreadable(photos: PhotoSet) -> dict[str, str]:
    """Decodes every photo as training will, in parallel, or remembers it.

    Returns:
        for each photo that cannot be decoded, the reason in a few words by its
        relative path, in the order of the photos.
    """
    # As a graph: step by step in Python, this takes ten times as long.
    run = tf.function(decode, input_signature=[tf.TensorSpec([], tf.string)])

    def find_reason(path: str) -> str:
        try:
            with open(path, "rb") as file:
                run(file.read())
        except OSError as error:
            return cache.Passing(error.strerror or error)
        except tf.errors.InvalidArgumentError:
            # Pillow knows the words for it.
            reason = unreadable_reason(path)
            return reason or "TensorFlow cannot decode it"
        return ""

    names = [photo.path for photo in photos.all_photos()]
    files = [str(photos.data_dir / name) for name in names]
    question = f"decode 1, TensorFlow {tf.__version__}"
    reasons = cache.map_files(find_reason, files, question)
    return {name: reason for name, reason in zip(names, reasons) if reason}


def read_orientation(contents: tf.Tensor) -> tf.Tensor:
    """Returns the EXIF orientation of a photo's bytes, int32 1..8; 1 where none is.

    The tag is searched in the first directory of the TIFF structure (CIPA DC-008,
    section 4.6) behind the marker of a JPEG or in the chunk of a PNG or WebP.
    """
    tiff = tf.case(
        [
            (_starts_with(contents, _PNG), lambda: _behind(contents, b"eXIf")),
            (_starts_with(contents, _RIFF), lambda: _tiff_in_webp(contents)),
        ],
        lambda: _behind(tf.strings.substr(contents, 0, _HEADER_BYTES), _EXIF),
    )
    return tf.cond(
        tf.reduce_any(tf.strings.substr(tiff, 0, 4) == [b"II*\0", b"MM\0*"]),
        lambda: _orientation_in_tiff(tf.strings.substr(tiff, 0, _HEADER_BYTES)),
        lambda: tf.constant(1),
    )


def _decode_jpeg(contents: tf.Tensor) -> tf.Tensor:
    # TensorFlow's default, the fast inverse transform, is a grey level off Pillow's.
    return tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE")


@apart
def _decode_other(contents: tf.Tensor) -> tf.Tensor:
    def decode_gif_or_bmp() -> tf.Tensor:
        # The transparent parts of a GIF are black.
        return tf.io.decode_image(contents, channels=3, expand_animations=False)

    image = tf.case(
        [
            (_starts_with(contents, _PNG), lambda: _decode_png(contents)),
            (_starts_with(contents, _RIFF), lambda: _decode_webp(contents)),
        ],
        decode_gif_or_bmp,
    )
    return _orient(image, read_orientation(contents))


def _starts_with(contents: tf.Tensor, magic: bytes) -> tf.Tensor:
    return tf.equal(tf.strings.substr(contents, 0, len(magic)), magic)


def _decode_png(contents: tf.Tensor) -> tf.Tensor:
    rgba = tf.io.decode_png(contents, channels=4)
    # To 1, 2 and 4 bits, TensorFlow 2.21 adds the alpha of that depth, not of 8 bits.
    depth = tf.minimum(_octet(contents, 24), 8)
    opaque = tf.cast(tf.bitwise.left_shift(1, depth) - 1, tf.uint8)
    # Composing takes ten times the photo's memory.
    is_opaque = tf.reduce_all(rgba[..., 3] == opaque)
    return tf.cond(is_opaque, lambda: rgba[..., :3], lambda: _compose_on_white(rgba))


def _decode_webp(contents: tf.Tensor) -> tf.Tensor:
    """Decodes a WebP, or the first frame of an animated one."""
    # The flags of a VP8X chunk: 2 is animation. An animation of opaque frames must
    # not reach TensorFlow 2.21, which writes past the end of its buffer.
    is_extended = tf.equal(_octet(contents, 15), ord("X"))
    is_animated = tf.logical_and(is_extended, _octet(contents, 20) & 2 > 0)
    still = tf.cond(is_animated, lambda: _first_frame(contents), lambda: contents)
    image = tf.io.decode_image(still, channels=0, expand_animations=False)
    image = tf.ensure_shape(image, (None, None, None))
    return tf.cond(
        tf.shape(image)[-1] == 4,
        lambda: _compose_on_white(image),
        lambda: tf.ensure_shape(image[..., :3], (None, None, 3)),
    )


def _first_frame(contents: tf.Tensor) -> tf.Tensor:
    """Returns the first frame of an animated WebP as the bytes of a still one.

    Layouts of RIFF, VP8X and ANMF: https://developers.google.com/speed/webp/docs/
    riff_container
    """
    chunks = tf.strings.split(contents, sep=b"ANMF", maxsplit=1)
    # Zeros keep every look-up inside a file that is cut short.
    chunk = tf.strings.join([tf.concat([chunks, [b""]], axis=0)[1], b"\0" * 32])
    num_bytes = tf.reduce_sum(
        _octets(tf.strings.substr(chunk, 0, 4)) * [1, 2**8, 2**16, 2**24]
    )
    frame = tf.strings.substr(chunk, 20, tf.maximum(0, num_bytes - 16))
    body = tf.strings.join(
        [
            b"WEBPVP8X\x0a\0\0\0",
            # Alpha alone stays of the flags.
            _as_bytes([_octet(contents, 20) & 0x10]),
            b"\0\0\0",
            tf.strings.substr(chunk, 10, 6),  # width and height less one
            frame,
        ]
    )
    num_bytes = tf.strings.length(body)
    shifts = tf.constant([0, 8, 16, 24])
    size = tf.bitwise.right_shift(num_bytes, shifts) & 255
    return tf.strings.join([b"RIFF", _as_bytes(size), body])


def _octets(string: tf.Tensor) -> tf.Tensor:
    """Returns a string's bytes as int32."""
    return tf.cast(tf.io.decode_raw(string, tf.uint8), tf.int32)


def _octet(contents: tf.Tensor, place: int) -> tf.Tensor:
    """Returns the byte at a place as int32; 0 behind the end."""
    start = tf.strings.join([tf.strings.substr(contents, 0, place + 1), b"\0" * 32])
    return _octets(tf.strings.substr(start, place, 1))[0]


def _as_bytes(octets: tf.Tensor) -> tf.Tensor:
    """Returns int32 numbers in 0..255 as a string of as many bytes."""
    table = tf.constant([bytes([octet]) for octet in range(256)])
    return tf.strings.reduce_join(tf.gather(table, octets))


def _compose_on_white(rgba: tf.Tensor) -> tf.Tensor:
    rgba = tf.ensure_shape(rgba, (None, None, 4))
    color, alpha = tf.split(tf.cast(rgba, tf.float32), [3, 1], axis=-1)
    return tf.cast(tf.round(255 + (color - 255) * alpha / 255), tf.uint8)


def _orient(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    return tf.cond(orientation == 1, lambda: image, lambda: _turn(image, orientation))


@apart
def _turn(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    turned = tf.cond(
        orientation >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image
    )
    mirror = tf.reduce_any(orientation == (2, 3, 6, 7))
    flip = tf.reduce_any(orientation == (3, 4, 7, 8))
    turned = tf.cond(mirror, lambda: tf.reverse(turned, [1]), lambda: turned)
    return tf.cond(flip, lambda: tf.reverse(turned, [0]), lambda: turned)


def _behind(contents: tf.Tensor, marker: bytes) -> tf.Tensor:
    """Returns what follows the first place of a marker; empty where none is."""
    parts = tf.strings.split(contents, sep=marker, maxsplit=1)
    return tf.concat([parts, [b""]], axis=0)[1]


@apart
def _tiff_in_webp(contents: tf.Tensor) -> tf.Tensor:
    # Behind the chunk's size; some writers put a JPEG's marker in front.
    chunk = tf.strings.join([_behind(contents, b"EXIF"), b"\0" * 10])
    skipped = tf.where(_starts_with(tf.strings.substr(chunk, 4, 6), _EXIF), 10, 4)
    return tf.strings.substr(chunk, skipped, -1)


@apart
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
