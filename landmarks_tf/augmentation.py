"""Random views of a photo, for training alone.

Owns the random crop and mirroring, as TensorFlow operations whose outcome depends on
their seed alone. Keras has no layer for the crop, and its random layers in a parallel
`map` draw in the order in which threads come.
"""

import tensorflow as tf

# Share of the photo's area and shape of the part that is kept: the usual ones
# (Szegedy et al. 2015, "Going deeper with convolutions", section 6), save that less
# than a third of a photo often shows no more of its landmark.
_AREA = (0.35, 1.0)
_ASPECT_RATIO = (3 / 4, 4 / 3)


def crop_and_flip(pixels: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns a random part of a photo in the photo's size, mirrored half the time.

    Args:
        pixels: uint8 `[height, width, 3]`, of static shape.
        seed: int64 `[2]`; the same seed, the same view.

    Returns:
        uint8 `[height, width, 3]`.
    """
    crop_seed, flip_seed = tf.unstack(tf.random.split(seed, 2))
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.shape(pixels),
        # No box is to be kept in sight.
        bounding_boxes=tf.zeros((1, 0, 4)),
        seed=crop_seed,
        aspect_ratio_range=_ASPECT_RATIO,
        area_range=_AREA,
        use_image_if_no_bounding_boxes=True,
    )
    part = tf.slice(pixels, begin, size)
    view = tf.image.resize(part, pixels.shape[:2])
    view = tf.image.stateless_random_flip_left_right(view, flip_seed)
    return tf.ensure_shape(tf.cast(tf.round(view), tf.uint8), pixels.shape)
