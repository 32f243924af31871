"""Random views of a photo, for training alone.

Owns the random crop, mirroring and colours, as TensorFlow operations whose outcome
depends on their seed alone. Keras has no layer for the crop, and its random layers in
a parallel `map` draw in the order in which threads come.
"""

import tensorflow as tf

# Share of the photo's area and shape of the part that is kept: the usual ones
# (Szegedy et al. 2015, "Going deeper with convolutions", section 6), save that less
# than a third of a photo often shows no more of its landmark.
_AREA = (0.35, 1.0)
_ASPECT_RATIO = (3 / 4, 4 / 3)
# How much brighter, starker or more colourful a view is than its photo, at most.
_COLOR_RANGE = 0.3


def random_view(
    pixels: tf.Tensor, seed: tf.Tensor, augmentation: str, size: tuple[int, int]
) -> tf.Tensor:
    """Returns a view of a photo, which its seed decides.

    Args:
        pixels: uint8 `[height, width, 3]`, of static shape.
        seed: int64 `[2]`.
        augmentation: "crop_flip", or "crop_flip_color" for other colours too.
        size: (height, width) of the view.

    Returns:
        uint8 `[*size, 3]`.
    """
    view = crop_and_flip(pixels, seed, size)
    if augmentation == "crop_flip_color":
        view = jitter_colors(view, tf.random.fold_in(seed, 1))
    return view


def crop_and_flip(
    pixels: tf.Tensor, seed: tf.Tensor, size: tuple[int, int]
) -> tf.Tensor:
    """Returns a random part of a photo, mirrored half the time.

    Args:
        pixels: uint8 `[height, width, 3]`, of static shape.
        seed: int64 `[2]`; the same seed, the same view.
        size: (height, width) of the view.

    Returns:
        uint8 `[*size, 3]`.
    """
    crop_seed, flip_seed = tf.unstack(tf.random.split(seed, 2))
    begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.shape(pixels),
        # No box is to be kept in sight.
        bounding_boxes=tf.zeros((1, 0, 4)),
        seed=crop_seed,
        aspect_ratio_range=_ASPECT_RATIO,
        area_range=_AREA,
        use_image_if_no_bounding_boxes=True,
    )
    part = tf.slice(pixels, begin, extent)
    view = tf.image.resize(part, size)
    view = tf.image.stateless_random_flip_left_right(view, flip_seed)
    return tf.cast(tf.round(view), tf.uint8)


def jitter_colors(pixels: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns a photo in random brightness, contrast and saturation.

    Args:
        pixels: uint8 `[height, width, 3]`.
        seed: int64 `[2]`; the same seed, the same colours.

    Returns:
        uint8 `[height, width, 3]`.
    """
    seeds = tf.unstack(tf.random.split(seed, 3))
    low, high = 1 - _COLOR_RANGE, 1 + _COLOR_RANGE
    view = tf.cast(pixels, tf.float32)
    # A factor, as of the light, and not tf.image's summand.
    view *= tf.random.stateless_uniform((), seeds[0], low, high)
    view = tf.image.stateless_random_contrast(view, low, high, seeds[1])
    view = tf.clip_by_value(view, 0, 255)
    view = tf.image.stateless_random_saturation(view, low, high, seeds[2])
    return tf.cast(tf.round(tf.clip_by_value(view, 0, 255)), tf.uint8)
