"""tf.data: from photo files to batches of the contract's images and labels."""

import math
import os
from collections.abc import Callable
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from landmarks_tf.config import TrainConfig
from landmarks_tf.data import augment
from landmarks_tf.data import epochs
from landmarks_tf.data import tf_image
from landmarks_tf.data.photo import ImageSize
from landmarks_tf.data.photo import as_image_size
from landmarks_tf.data.photo_set import PhotoSet
from landmarks_tf.data.pixels import PixelCache
from landmarks_tf.data.pixels import load_or_keep
from landmarks_tf.data.pixels import name_keys
from landmarks_tf.data.split import Share
from landmarks_tf.data.split import WHOLE

# AUTOTUNE begins with one and takes most of a first epoch to find this.
_NUM_PARALLEL = os.cpu_count()


def make_dataset(
    photos: PhotoSet,
    split: str,
    image_size: ImageSize,
    batch_size: int,
    cache: PixelCache | None = None,
) -> tf.data.Dataset:
    """Returns every photo of a split once, in the split's order, for evaluation.

    Args:
        photos: the catalog.
        split: a name of its splits.
        image_size: (height, width) in pixels, or one integer for a square.
        batch_size: photos a batch.
        cache: where decoded photos are kept for the next time through.

    Returns:
        batches of (images float32 `[batch, height, width, 3]`, RGB, in [0, 1], labels
        int32 `[batch]`); the last batch holds what is left.
    """
    examples = _examples(photos, split, image_size, cache)
    load_pixels = _pixel_loader(image_size, cache)
    pixels = examples.map(load_pixels, num_parallel_calls=_NUM_PARALLEL)
    return _batches(pixels, batch_size).prefetch(epochs.NUM_PREFETCHED)


def make_validation_dataset(
    photos: PhotoSet,
    image_size: ImageSize,
    batch_size: int,
    cache: PixelCache | None = None,
    share: Share = WHOLE,
) -> tf.data.Dataset:
    """Returns a host's share of every validation photo once, in order.

    Args:
        photos: the catalog.
        image_size: (height, width) in pixels, or one integer for a square.
        batch_size: photos a batch, of all hosts.
        cache: where decoded photos are kept for the next time through.
        share: of every batch that is this host's; other photos are not read.

    Returns:
        batches as `make_dataset` gives. Of several devices the last batch is filled up
        to divide by them, and weights float32 `[batch]` come third: 0 for what fills
        it, so that a loss averaged over all rows is that of the photos.
    """
    if share.num_devices == 1:
        return make_dataset(photos, "validation", image_size, batch_size, cache)
    examples = _examples(photos, "validation", image_size, cache)
    num_photos = len(examples)
    num_rows = math.ceil(num_photos / share.num_devices) * share.num_devices
    weight, num_filling = num_rows / num_photos, num_rows - num_photos
    weights = tf.constant([weight] * num_photos + [0.0] * num_filling)
    rows = tf.data.Dataset.zip(
        examples.concatenate(examples.take(1).repeat(num_filling)),
        tf.data.Dataset.from_tensor_slices(weights),
    )
    load_pixels = _pixel_loader(image_size, cache)
    pixels = epochs.take_share(rows, batch_size, share).map(
        lambda names, weight: (*load_pixels(*names), weight),
        num_parallel_calls=_NUM_PARALLEL,
    )
    batches = _batches(pixels, share.share_of(batch_size))
    # Of shares TensorFlow cannot tell by itself how many they are.
    steps = epochs.count_steps(num_rows, batch_size, share)
    batches = batches.apply(tf.data.experimental.assert_cardinality(steps))
    return batches.prefetch(epochs.NUM_PREFETCHED)


def make_training_dataset(
    photos: PhotoSet,
    options: TrainConfig,
    initial_epoch: int = 0,
    cache: PixelCache | None = None,
    share: Share = WHOLE,
) -> tf.data.Dataset:
    """Returns the epochs of a run one after the other, each shuffled anew.

    The order of an epoch and its random views depend on the seed and its number
    alone, so that a resumed run sees what the run that was never stopped would have
    seen, and several hosts what one would have.

    Args:
        photos: the catalog.
        options: of the run.
        initial_epoch: the first to come.
        cache: where decoded photos are kept for the next time through.
        share: of every batch that is this host's; other photos are not read.

    Returns:
        batches as `make_dataset` gives, of `options.epoch_sizes`, from `initial_epoch`
        to the last epoch; each epoch holds every training photo once and ends with a
        batch of what is left, save what does not divide by the devices of several
        hosts. Where `options.mixing` says so, targets float32 `[batch, num_classes]`
        are in the place of labels, mixed within a host's share.
    """

    mixers, num_classes = augment.build_mixers(), len(photos.class_names)
    num_photos = len(photos.splits["train"])
    examples = _examples(photos, "train", options.decoded_size, cache)
    load_pixels = _pixel_loader(options.decoded_size, cache)
    steps = epochs.count_steps(num_photos, options.batch_size, share)

    # Names are shuffled, not images: the buffer holds all of them.
    def load(shuffled: tf.data.Dataset, epoch: tf.Tensor, size: int) -> tf.data.Dataset:
        def load_example(place: tf.Tensor, names: tuple) -> tuple:
            image, label = load_pixels(*names)
            if options.augmentation != "none":
                number = epoch * num_photos + place
                image = _random_view(image, options, number, size)
            return image, label

        pixels = shuffled.map(load_example, num_parallel_calls=_NUM_PARALLEL)
        batches = _batches(pixels, share.share_of(options.batch_size))
        if options.mixing != "none":
            numbered = batches.enumerate(epoch * steps)
            batches = _mixed(numbered, mixers, num_classes, options, epoch, share)
        return batches

    return epochs.chain_epochs(examples, load, options, initial_epoch, share)


def make_feature_dataset(
    features: np.ndarray, labels: Sequence[int], batch_size: int
) -> tf.data.Dataset:
    """Returns the features of photos with their labels in order, for evaluation.

    Args:
        features: float32 `[num_photos, num_features]`.
        labels: of the photos.
        batch_size: photos a batch.

    Returns:
        batches of (features float32 `[batch, num_features]`, labels int32 `[batch]`).
    """
    return _feature_examples(features, labels).batch(batch_size)


def make_feature_training_dataset(
    features: np.ndarray,
    labels: Sequence[int],
    options: TrainConfig,
    initial_epoch: int = 0,
) -> tf.data.Dataset:
    """Returns epochs as `make_training_dataset` does, of features in their place.

    Args:
        features: float32 `[num_photos, num_features]`.
        labels: of the photos.
        options: of the run.
        initial_epoch: the first to come.
    """
    examples = _feature_examples(features, labels)

    def load(shuffled: tf.data.Dataset, epoch: tf.Tensor, size: int) -> tf.data.Dataset:
        del epoch, size
        return shuffled.map(lambda place, example: example).batch(options.batch_size)

    return epochs.chain_epochs(examples, load, options, initial_epoch)


def _feature_examples(features: np.ndarray, labels: Sequence[int]) -> tf.data.Dataset:
    slices = (features, tf.constant(labels, tf.int32))
    return tf.data.Dataset.from_tensor_slices(slices)


def _examples(
    photos: PhotoSet, split: str, image_size: ImageSize, cache: PixelCache | None
) -> tf.data.Dataset:
    """Returns (path, key in the cache, label) of each photo; no cache, empty keys."""
    files = photos.absolute_paths(split)
    # As bytes: file names need not be UTF-8.
    paths = tf.constant([os.fsencode(path) for path in files], tf.string)
    keys = [""] * len(files)
    if cache is not None:
        keys = name_keys(files, as_image_size(image_size))
    labels = tf.constant(photos.labels(split), tf.int32)
    columns = paths, tf.constant(keys, tf.string), labels
    return tf.data.Dataset.from_tensor_slices(columns)


def _pixel_loader(
    image_size: ImageSize, cache: PixelCache | None
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple]:
    """Returns what turns an example of `_examples` into (uint8 image, label)."""
    height_width = as_image_size(image_size)

    def load(path: tf.Tensor, key: tf.Tensor, label: tf.Tensor) -> tuple:
        def decode() -> tf.Tensor:
            contents = tf.io.read_file(path)
            return tf_image.preprocess(contents, height_width)

        if cache is None:
            return decode(), label
        return load_or_keep(cache, key, decode, height_width), label

    return load


def _random_view(
    image: tf.Tensor, options: TrainConfig, number: tf.Tensor, size: int
) -> tf.Tensor:
    """Takes a view of an image that is its own among all `number`s of a run."""
    seed = tf.stack([tf.constant(options.seed, tf.int64), number])
    return augment.random_view(image, seed, (size, size))


def _mixed(
    numbered: tf.data.Dataset,
    mixers: tuple,
    num_classes: int,
    options: TrainConfig,
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
        seed = tf.stack([tf.constant(options.seed, tf.int64), own])
        return tf.cond(
            epoch < options.num_mixed_epochs,
            lambda: augment.mix_photos(mixers, images, targets, seed),
            lambda: (images, targets),
        )

    return numbered.map(mix, num_parallel_calls=_NUM_PARALLEL)


def _batches(pixels: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
    """Batches uint8 images, which has a quarter of the bytes to copy, then converts."""

    def to_contract(pixels: tf.Tensor, *others: tf.Tensor) -> tuple:
        return tf_image.normalize(pixels), *others

    return pixels.batch(batch_size).map(to_contract, num_parallel_calls=_NUM_PARALLEL)
