"""Random views of a photo, for training alone.

Owns the random crop, mirroring, colours and mixing, as TensorFlow operations whose
outcome depends on their seed alone. Keras has no layer for the crop, and its random
layers in a parallel `map` draw in the order in which threads come.
"""

import functools
import os

import keras
import tensorflow as tf

from landmarks_tf.config import TrainConfig
from landmarks_tf.data.split import Share

# Share of the photo's area and shape of the part that is kept: the usual ones
# (Szegedy et al. 2015, "Going deeper with convolutions", section 6), save that less
# than a quarter of a photo often shows no more of its landmark.
_AREA = (0.25, 1.0)
_ASPECT_RATIO = (3 / 4, 4 / 3)
# How much brighter, starker or more colourful a view is than its photo, at most.
_COLOR_RANGE = 0.3
# TensorFlow draws a part in whole pixels: in so many that any photo's are finer.
_GRID = (4096, 4096, 3)
# Zhang et al. 2018, "mixup", section 3.1: of the strengths tried on ImageNet, 0.1 to
# 0.4; with few photos the strongest.
_MIXUP_ALPHA = 0.4


def random_view(pixels: tf.Tensor, seed: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Returns a view of a photo, which its seed decides: a part, mirrored, coloured.

    At any size of the photo and of the view it is the same view.

    Args:
        pixels: uint8 `[height, width, 3]`.
        seed: int64 `[2]`.
        size: (height, width) of the view.

    Returns:
        uint8 `[*size, 3]`.
    """
    view = crop_and_flip(pixels, seed, size)
    return jitter_colors(view, tf.random.fold_in(seed, 1))


def crop_and_flip(
    pixels: tf.Tensor, seed: tf.Tensor, size: tuple[int, int]
) -> tf.Tensor:
    """Returns a random part of a photo, mirrored half the time.

    Args:
        pixels: uint8 `[height, width, 3]`.
        seed: int64 `[2]`; the same seed, the same part.
        size: (height, width) of the view.

    Returns:
        uint8 `[*size, 3]`.
    """
    part_seed, flip_seed = tf.unstack(tf.random.split(seed, 2))
    _, _, part = tf.image.stateless_sample_distorted_bounding_box(
        _GRID,
        # No box is to be kept in sight.
        bounding_boxes=tf.zeros((1, 0, 4)),
        seed=part_seed,
        aspect_ratio_range=_ASPECT_RATIO,
        area_range=_AREA,
        use_image_if_no_bounding_boxes=True,
    )
    top, left, bottom, right = tf.unstack(part[0, 0])
    is_mirrored = tf.random.stateless_uniform((), flip_seed) < 0.5
    left, right = tf.cond(is_mirrored, lambda: (right, left), lambda: (left, right))
    view = tf.image.crop_and_resize(
        pixels[tf.newaxis], [[top, left, bottom, right]], [0], size
    )
    return tf.cast(tf.round(view[0]), tf.uint8)


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


class _SeededDraws(keras.random.SeedGenerator):
    """Draws that follow from one seed, where Keras's own count in a variable."""

    def __init__(self, seed: tf.Tensor) -> None:
        self._seed = seed
        self._num_drawn = 0

    def next(self, ordered: bool = True) -> tf.Tensor:
        self._num_drawn += 1
        return tf.random.fold_in(self._seed, self._num_drawn)


def build_mixers() -> tuple[keras.Layer, keras.Layer]:
    """Returns the two layers that `mix_photos` chooses from: CutMix and MixUp.

    To be built outside of a dataset's functions, since they make variables.
    """
    return keras.layers.CutMix(), keras.layers.MixUp(_MIXUP_ALPHA)


def mix_photos(
    mixers: tuple[keras.Layer, keras.Layer],
    images: tf.Tensor,
    targets: tf.Tensor,
    seed: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Puts each photo of a batch together with another, or leaves all as they are.

    A mixer is chosen for the whole batch, each for a quarter of them.

    Args:
        mixers: of `build_mixers`.
        images: float32 `[batch, height, width, 3]`.
        targets: float32 `[batch, num_classes]`, rows that sum to 1.
        seed: int64 `[2]`, which decides all.

    Returns:
        images and targets as they came, mixed in the same proportions.
    """

    def apply(layer: keras.Layer) -> tuple[tf.Tensor, tf.Tensor]:
        data = {"images": images, "labels": targets}
        # Called by its parts and not as a whole, a layer of Keras's would compute in
        # the backend that trains; a dataset's functions are TensorFlow's.
        layer.backend.set_backend("tensorflow")
        draws = _SeededDraws(seed)
        chosen = layer.get_random_transformation(data, training=True, seed=draws)
        mixed = layer.transform_images(images, chosen)
        return mixed, layer.transform_labels(targets, chosen)

    draw = tf.random.stateless_uniform((), tf.random.fold_in(seed, 0), 0, 4, tf.int32)
    branches = {place: functools.partial(apply, m) for place, m in enumerate(mixers)}
    return tf.switch_case(draw, branches, default=lambda: (images, targets))


def mix_batches(
    numbered: tf.data.Dataset,
    mixers: tuple,
    num_classes: int,
    config: TrainConfig,
    epoch: tf.Tensor,
    share: Share,
) -> tf.data.Dataset:
    """Turns labels into targets, and mixes photos in the epochs that are for it.

    Takes batches with their number in the run, and gives them without.
    """

    def mix(number: tf.Tensor, batch: tuple) -> tuple:
        images, labels = batch
        targets = tf.one_hot(labels, num_classes)
        own = number * share.process_count + share.process_index
        seed = tf.stack([tf.constant(config.seed, tf.int64), own])
        return tf.cond(
            epoch < config.num_mixed_epochs,
            lambda: mix_photos(mixers, images, targets, seed),
            lambda: (images, targets),
        )

    return numbered.map(mix, num_parallel_calls=os.cpu_count())
