"""tf.data: from photo files to batches of the contract's images and labels."""

import math
import os
from collections.abc import Callable
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from landmarks_tf import file_cache
from landmarks_tf import graph_preprocessing
from landmarks_tf import preprocessing
from landmarks_tf.catalog import Catalog
from landmarks_tf.options import TrainingOptions
from landmarks_tf.preprocessing import ImageSize
from landmarks_tf.preprocessing import as_image_size

# A split whose decoded images take no more than this is kept in memory.
MAX_CACHED_BYTES = 2**30


def make_dataset(
    photos: Catalog, split: str, image_size: ImageSize, batch_size: int
) -> tf.data.Dataset:
    """Returns every photo of a split once, in the split's order, for evaluation.

    Args:
        photos: the catalog.
        split: a name of its splits.
        image_size: (height, width) in pixels, or one integer for a square.
        batch_size: photos a batch.

    Returns:
        batches of (images float32 `[batch, height, width, 3]`, RGB, in [0, 1], labels
        int32 `[batch]`); the last batch holds what is left.
    """
    pixels = _load_pixels(_examples(photos, split), image_size)
    return _batches(_cached(pixels), batch_size).prefetch(tf.data.AUTOTUNE)


def make_training_dataset(
    photos: Catalog, options: TrainingOptions, initial_epoch: int = 0
) -> tf.data.Dataset:
    """Returns the epochs of a run one after the other, each shuffled anew.

    The order of an epoch depends on the seed and its number alone, so that a resumed
    run sees what the run that was never stopped would have seen.

    Returns:
        batches as `make_dataset` gives, from `initial_epoch` to the last epoch; each
        epoch holds every training photo once and ends with a batch of what is left.
    """
    examples = _examples(photos, "train")
    pixels = _load_pixels(examples, options.image_size)
    cached = _cached(pixels)

    def load(shuffled: tf.data.Dataset) -> tf.data.Dataset:
        if cached is pixels:
            shuffled = _load_pixels(shuffled, options.image_size)
        return _batches(shuffled, options.batch_size)

    # Names are shuffled, not images, unless the images are in memory anyway: the
    # buffer holds all of them. The order is the same.
    source = examples if cached is pixels else cached
    return _shuffled_epochs(source, load, options, initial_epoch)


def make_feature_dataset(
    features: np.ndarray, labels: Sequence[int], batch_size: int
) -> tf.data.Dataset:
    """Returns features with their labels in order, for evaluation.

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
    options: TrainingOptions,
    initial_epoch: int = 0,
) -> tf.data.Dataset:
    """Returns epochs as `make_training_dataset` does, of features in their place."""
    examples = _feature_examples(features, labels)

    def load(shuffled: tf.data.Dataset) -> tf.data.Dataset:
        return shuffled.batch(options.batch_size)

    return _shuffled_epochs(examples, load, options, initial_epoch)


def _feature_examples(features: np.ndarray, labels: Sequence[int]) -> tf.data.Dataset:
    slices = (features, tf.constant(labels, tf.int32))
    return tf.data.Dataset.from_tensor_slices(slices)


def _shuffled_epochs(
    examples: tf.data.Dataset,
    load: Callable[[tf.data.Dataset], tf.data.Dataset],
    options: TrainingOptions,
    initial_epoch: int,
) -> tf.data.Dataset:
    """Chains the epochs to come; `load` makes batches of shuffled examples."""

    def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        # In a traced function this sets the seed of its graph alone: the order would
        # else depend on whether and when the program set the global one. TensorFlow
        # compares it with 0 and then takes a tensor for a truth value.
        tf.random.set_seed(options.seed + 1)
        shuffled = examples.shuffle(
            len(examples), seed=epoch, reshuffle_each_iteration=False
        )
        return load(shuffled)

    epochs = tf.data.Dataset.range(initial_epoch, options.epochs)
    steps = math.ceil(len(examples) / options.batch_size) * len(epochs)
    dataset = epochs.flat_map(one_epoch)
    # Of a flat_map TensorFlow cannot tell by itself how long it is.
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    return dataset.prefetch(tf.data.AUTOTUNE)


def find_unreadable(photos: Catalog) -> dict[str, str]:
    """Decodes every photo as training will, in parallel, or remembers it.

    Returns:
        for each photo that cannot be decoded, the reason in a few words by its
        relative path, in the catalog's order.
    """
    # As a graph: step by step in Python, this takes ten times as long.
    decode = tf.function(
        graph_preprocessing.decode, input_signature=[tf.TensorSpec([], tf.string)]
    )

    def unreadable_reason(path: str) -> str:
        try:
            with open(path, "rb") as file:
                decode(file.read())
        except OSError as error:
            return file_cache.Passing(error.strerror or error)
        except tf.errors.InvalidArgumentError:
            # Pillow knows the words for it.
            reason = preprocessing.unreadable_reason(path)
            return reason or "TensorFlow cannot decode it"
        return ""

    names = [photo.path for photo in photos.all_photos()]
    files = [str(photos.data_dir / name) for name in names]
    question = f"decode 1, TensorFlow {tf.__version__}"
    reasons = file_cache.map_files(unreadable_reason, files, question)
    return {name: reason for name, reason in zip(names, reasons) if reason}


def _examples(photos: Catalog, split: str) -> tf.data.Dataset:
    # As bytes: file names need not be UTF-8.
    files = [os.fsencode(path) for path in photos.absolute_paths(split)]
    paths = tf.constant(files, tf.string)
    labels = tf.constant(photos.labels(split), tf.int32)
    return tf.data.Dataset.from_tensor_slices((paths, labels))


def _load_pixels(examples: tf.data.Dataset, image_size: ImageSize) -> tf.data.Dataset:
    """Turns paths into uint8 images."""
    height_width = as_image_size(image_size)

    def load(path: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        contents = tf.io.read_file(path)
        return graph_preprocessing.preprocess(contents, height_width), label

    return examples.map(load, num_parallel_calls=tf.data.AUTOTUNE)


def _cached(pixels: tf.data.Dataset) -> tf.data.Dataset:
    """Keeps decoded images in memory from the first epoch on, if they are small."""
    num_bytes = len(pixels) * math.prod(pixels.element_spec[0].shape)
    return pixels.cache() if num_bytes <= MAX_CACHED_BYTES else pixels


def _batches(pixels: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
    """Batches uint8 images, which has a quarter of the bytes to copy, then converts."""

    def to_contract(pixels: tf.Tensor, labels: tf.Tensor) -> tuple:
        return graph_preprocessing.normalize(pixels), labels

    return pixels.batch(batch_size).map(
        to_contract, num_parallel_calls=tf.data.AUTOTUNE
    )
