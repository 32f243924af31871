"""tf.data: from photo files to batches of the contract's images and labels."""

import math
from concurrent.futures import ThreadPoolExecutor

import tensorflow as tf

from landmarks_tf import graph_preprocessing
from landmarks_tf import preprocessing
from landmarks_tf.catalog import Catalog
from landmarks_tf.options import TrainingOptions
from landmarks_tf.preprocessing import ImageSize
from landmarks_tf.preprocessing import as_image_size


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
    dataset = _batches(_examples(photos, split), image_size, batch_size)
    return dataset.prefetch(tf.data.AUTOTUNE)


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
    num_photos = len(photos.splits["train"])

    def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        shuffled = examples.shuffle(
            num_photos,
            seed=(options.seed << 32) + epoch,
            reshuffle_each_iteration=False,
        )
        return _batches(shuffled, options.image_size, options.batch_size)

    epochs = tf.data.Dataset.range(initial_epoch, options.epochs)
    steps = math.ceil(num_photos / options.batch_size) * len(epochs)
    dataset = epochs.flat_map(one_epoch)
    # Of a flat_map TensorFlow cannot tell by itself how long it is.
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    return dataset.prefetch(tf.data.AUTOTUNE)


def find_unreadable(photos: Catalog) -> dict[str, str]:
    """Decodes every photo as training will, in parallel.

    Returns:
        for each photo that cannot be decoded, the reason in a few words by its
        relative path, in the catalog's order.
    """
    names = [photo.path for photo in photos.all_photos()]
    with ThreadPoolExecutor() as pool:
        files = [str(photos.data_dir / name) for name in names]
        reasons = pool.map(_unreadable_reason, files)
        return {name: reason for name, reason in zip(names, reasons) if reason}


def _unreadable_reason(path: str) -> str:
    try:
        with open(path, "rb") as file:
            graph_preprocessing.decode(tf.constant(file.read()))
    except (OSError, tf.errors.InvalidArgumentError):
        # Pillow knows the words for it.
        return preprocessing.unreadable_reason(path) or "TensorFlow cannot decode it"
    return ""


def _examples(photos: Catalog, split: str) -> tf.data.Dataset:
    paths = tf.constant(photos.absolute_paths(split), tf.string)
    labels = tf.constant(photos.labels(split), tf.int32)
    return tf.data.Dataset.from_tensor_slices((paths, labels))


def _batches(
    examples: tf.data.Dataset, image_size: ImageSize, batch_size: int
) -> tf.data.Dataset:
    height_width = as_image_size(image_size)

    def load(path: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        contents = tf.io.read_file(path)
        return graph_preprocessing.preprocess(contents, height_width), label

    def to_contract(pixels: tf.Tensor, labels: tf.Tensor) -> tuple:
        return graph_preprocessing.normalize(pixels), labels

    # Batched as uint8: a quarter of the bytes to copy.
    dataset = examples.map(load, num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.batch(batch_size).map(
        to_contract, num_parallel_calls=tf.data.AUTOTUNE
    )
