"""Pillow's bilinear resize as TensorFlow operations, to the last bit.

`tf.image.resize` is quicker and within a grey level of it, which does for training; an
exported model has to give the answer that the definition gives.
"""

import tensorflow as tf

# Pillow weighs pixels in whole numbers of so many bits (PRECISION_BITS in Resample.c).
_BITS = 22


def resize_exactly(image: tf.Tensor, image_size: tuple[int, int]) -> tf.Tensor:
    """Returns uint8 `[height, width, 3]`: what `photo.resize` makes of it.

    Args:
        image: uint8 `[any, any, 3]`.
        image_size: (height, width) in pixels.
    """
    height, width = image_size
    columns = _resize_rows(tf.transpose(image, (1, 0, 2)), width)
    pixels = _resize_rows(tf.transpose(columns, (1, 0, 2)), height)
    return tf.ensure_shape(pixels, (height, width, 3))


def _resize_rows(image: tf.Tensor, num_rows: int) -> tf.Tensor:
    """Returns uint8 `[num_rows, width, 3]` of uint8 `[any, width, 3]`."""
    num_pixels, width = tf.unstack(tf.shape(image)[:2])
    weights = _weights(num_pixels, num_rows)
    values = tf.cast(tf.reshape(image, (num_pixels, -1)), tf.int32)
    sums = tf.sparse.sparse_dense_matmul(weights, values)
    rounded = tf.bitwise.right_shift(sums + 2 ** (_BITS - 1), _BITS)
    return tf.reshape(tf.cast(rounded, tf.uint8), (num_rows, width, 3))


def _weights(num_pixels: tf.Tensor, num_rows: int) -> tf.SparseTensor:
    """Returns int32 `[num_rows, num_pixels]`: how much each pixel is of each row.

    Step by step as `precompute_coeffs` in Pillow's Resample.c, whose rounding in
    between shows in the last bit.
    """
    scale = tf.cast(num_pixels, tf.float64) / num_rows
    # How far a pixel is seen: antialiased where it shrinks.
    reach = tf.maximum(scale, 1.0)
    centers = (tf.range(num_rows, dtype=tf.float64)[:, tf.newaxis] + 0.5) * scale
    first = tf.maximum(tf.cast(centers - reach + 0.5, tf.int32), 0)
    last = tf.minimum(tf.cast(centers + reach + 0.5, tf.int32), num_pixels)
    places = first + tf.range(2 * tf.cast(tf.math.ceil(reach), tf.int32) + 1)
    distances = tf.cast(places, tf.float64) - centers + 0.5
    triangle = tf.maximum(1.0 - tf.abs(distances * (1.0 / reach)), 0.0)
    triangle = tf.where(places < last, triangle, 0.0)
    shares = triangle / tf.reduce_sum(triangle, axis=1, keepdims=True)
    rows = tf.broadcast_to(tf.range(num_rows)[:, tf.newaxis], tf.shape(places))
    # Behind the last pixel the weights are 0; the place has to be one that there is.
    indices = tf.stack([rows, tf.minimum(places, num_pixels - 1)], axis=-1)
    return tf.SparseTensor(
        tf.cast(tf.reshape(indices, (-1, 2)), tf.int64),
        tf.cast(tf.reshape(shares * 2**_BITS + 0.5, (-1,)), tf.int32),
        tf.cast(tf.stack([num_rows, num_pixels]), tf.int64),
    )
