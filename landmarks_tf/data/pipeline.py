"""tf.data: from photo files to batches of the contract's images and labels.

Owns the order in which a run sees its examples, and which of them a host sees.
"""

import functools
import math
import os
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from landmarks_tf.config import SPLITS
from landmarks_tf.config import TrainConfig
from landmarks_tf.data import augment
from landmarks_tf.data import tf_image
from landmarks_tf.data.photo import ImageSize
from landmarks_tf.data.photo import as_image_size
from landmarks_tf.data.photo_set import PhotoSet
from landmarks_tf.data.pixels import PixelCache
from landmarks_tf.data.pixels import load_or_keep
from landmarks_tf.data.pixels import name_keys
from landmarks_tf.data.split import Share
from landmarks_tf.data.split import WHOLE
from landmarks_tf.data.split import load_divided
from landmarks_tf.progress import Listener
from landmarks_tf.progress import Progress

# AUTOTUNE begins with one and takes most of a first epoch to find this.
_NUM_PARALLEL = os.cpu_count()
# Batches. AUTOTUNE takes gigabytes where training is slower than reading.
_NUM_PREFETCHED = 2


def load_datasets(
    data_dir: Path | str,
    image_size: ImageSize = 800,
    batch_size: int = 8,
    config: TrainConfig = TrainConfig(),
    progress: Listener | None = None,
) -> tuple[tf.data.Dataset, tf.data.Dataset, tf.data.Dataset]:
    """Returns the photos of a folder for training, validation and testing.

    Divided as `train` divides them: pictures that are nearly the same are in one split.
    Each photo comes once; those to train on in another order each time through.

    Args:
        data_dir: see `train`.
        image_size: (height, width) in pixels, or one integer for a square.
        batch_size: photos a batch.
        config: whose seed, fractions and split file divide the photos.
        progress: hears of photos that are skipped.

    Returns:
        three datasets as `make_dataset` gives, each with the attribute `class_names`,
        as of `keras.utils.image_dataset_from_directory`.
    """
    photos = load_divided(Path(data_dir), config, Progress(progress))
    datasets = []
    for split in SPLITS:
        examples = _examples(photos, split, image_size, None)
        if split == "train":
            examples = examples.shuffle(len(examples), config.seed)
        dataset = _load_batches(examples, image_size, batch_size, None)
        dataset.class_names = photos.class_names
        datasets.append(dataset)
    return datasets[0], datasets[1], datasets[2]


def make_dataset(
    photos: PhotoSet,
    split: str,
    image_size: ImageSize,
    batch_size: int,
    cache: PixelCache | None = None,
) -> tf.data.Dataset:
    """Returns every photo of a split once, in the split's order, for evaluation.

    Args:
        photos: of a data folder.
        split: a name of its splits.
        image_size: (height, width) in pixels, or one integer for a square.
        batch_size: photos a batch.
        cache: where decoded photos are kept for the next time through.

    Returns:
        batches of (images float32 `[batch, height, width, 3]`, RGB, in [0, 1], labels
        int32 `[batch]`); the last batch holds what is left.
    """
    examples = _examples(photos, split, image_size, cache)
    return _load_batches(examples, image_size, batch_size, cache)


def _load_batches(
    examples: tf.data.Dataset,
    image_size: ImageSize,
    batch_size: int,
    cache: PixelCache | None,
) -> tf.data.Dataset:
    load_pixels = _pixel_loader(image_size, cache)
    pixels = examples.map(load_pixels, num_parallel_calls=_NUM_PARALLEL)
    return _batches(pixels, batch_size).prefetch(_NUM_PREFETCHED)


def make_validation_dataset(
    photos: PhotoSet,
    image_size: ImageSize,
    batch_size: int,
    cache: PixelCache | None = None,
    share: Share = WHOLE,
) -> tf.data.Dataset:
    """Returns a host's share of every validation photo once, in order.

    Args:
        photos: of a data folder.
        image_size: (height, width) in pixels, or one integer for a square.
        batch_size: photos a batch, of all hosts.
        cache: where decoded photos are kept for the next time through.
        share: of every batch that is this host's; other photos are not read.

    Returns:
        batches as `make_dataset` gives. With several devices the last batch is filled
        up to divide by them, and weights float32 `[batch]` come third: 0 for what fills
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
    pixels = _take_share(rows, batch_size, share).map(
        lambda names, weight: (*load_pixels(*names), weight),
        num_parallel_calls=_NUM_PARALLEL,
    )
    batches = _batches(pixels, share.share_of(batch_size))
    # TensorFlow cannot tell by itself how many shares there are.
    steps = count_steps(num_rows, batch_size, share)
    batches = batches.apply(tf.data.experimental.assert_cardinality(steps))
    return batches.prefetch(_NUM_PREFETCHED)


def make_training_dataset(
    photos: PhotoSet,
    config: TrainConfig,
    initial_epoch: int = 0,
    cache: PixelCache | None = None,
    share: Share = WHOLE,
) -> tf.data.Dataset:
    """Returns the epochs of a run one after the other, each shuffled anew.

    The order of an epoch and its random views depend on the seed and its number
    alone, so that a resumed run sees what the run that was never stopped would have
    seen, and several hosts what one would have.

    Args:
        photos: of a data folder.
        config: of the run.
        initial_epoch: the first to come.
        cache: where decoded photos are kept for the next time through.
        share: of every batch that is this host's; other photos are not read.

    Returns:
        batches as `make_dataset` gives, of `config.epoch_sizes`, from `initial_epoch`
        to the last epoch; each epoch holds every training photo once and ends with a
        batch of what is left, save what does not divide by the devices of several
        hosts. Where `config.mixing` says so, targets float32 `[batch, num_classes]`
        are in the place of labels, mixed within a host's share.
    """

    mixers, num_classes = augment.build_mixers(), len(photos.class_names)
    num_photos = len(photos.splits["train"])
    examples = _examples(photos, "train", config.decoded_size, cache)
    load_pixels = _pixel_loader(config.decoded_size, cache)
    steps = count_steps(num_photos, config.batch_size, share)

    # Names are shuffled, not images: the buffer holds all of them.
    def load(shuffled: tf.data.Dataset, epoch: tf.Tensor, size: int) -> tf.data.Dataset:
        def load_example(place: tf.Tensor, names: tuple) -> tuple:
            image, label = load_pixels(*names)
            if config.augmentation != "none":
                number = epoch * num_photos + place
                image = _random_view(image, config, number, size)
            return image, label

        pixels = shuffled.map(load_example, num_parallel_calls=_NUM_PARALLEL)
        batches = _batches(pixels, share.share_of(config.batch_size))
        if config.mixing == "none":
            return batches
        numbered = batches.enumerate(epoch * steps)
        return augment.mix_batches(numbered, mixers, num_classes, config, epoch, share)

    return chain_epochs(examples, load, config, initial_epoch, share)


def chain_epochs(
    examples: tf.data.Dataset,
    load: Callable[[tf.data.Dataset, tf.Tensor, int], tf.data.Dataset],
    config: TrainConfig,
    initial_epoch: int,
    share: Share = WHOLE,
) -> tf.data.Dataset:
    """Chains the epochs to come; `load` makes batches of shuffled examples.

    It is traced once for each size of images, which Keras's CutMix has to know.

    Args:
        examples: of an epoch; all fit in memory.
        load: from (place in the epoch, example), number of the epoch and size of images
            to batches, of `config.batch_size` or a host's share of it.
        config: of the run.
        initial_epoch: the first to come.
        share: of every batch that is read.
    """

    def one_epoch(epoch: tf.Tensor, size: int) -> tf.data.Dataset:
        # In a traced function this sets the seed of its graph alone: the order would
        # else depend on whether and when the program set the global one. TensorFlow
        # compares it with 0 and then takes a tensor for a truth value.
        tf.random.set_seed(config.seed + 1)
        shuffled = examples.shuffle(
            len(examples), seed=epoch, reshuffle_each_iteration=False
        )
        own = _take_share(shuffled.enumerate(), config.batch_size, share)
        return load(own, epoch, size)

    stretches = []
    for size in dict.fromkeys(config.epoch_sizes):
        begin = config.epoch_sizes.index(size)
        end = begin + config.epoch_sizes.count(size)
        numbers = tf.data.Dataset.range(max(begin, initial_epoch), end)
        stretches.append(numbers.flat_map(functools.partial(one_epoch, size=size)))
    dataset = functools.reduce(tf.data.Dataset.concatenate, stretches)
    num_epochs = config.epochs - initial_epoch
    steps = count_steps(len(examples), config.batch_size, share) * num_epochs
    # TensorFlow cannot tell by itself how long a flat_map is.
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    return dataset.prefetch(_NUM_PREFETCHED)


def count_steps(num_examples: int, batch_size: int, share: Share = WHOLE) -> int:
    """Returns how many batches an epoch has, a smaller last one included."""
    whole, rest = divmod(num_examples, batch_size)
    return whole + (share.share_of(rest) > 0)


def _take_share(
    examples: tf.data.Dataset, batch_size: int, share: Share
) -> tf.data.Dataset:
    """Takes this host's examples of every batch, before they are read.

    All devices have equally many of a batch: of a last one that does not divide by them
    as few are left out as need be.

    Args:
        examples: of all hosts, in the order of their batches.
        batch_size: examples a batch, of all hosts; divides by the devices.
        share: that is this host's.
    """
    if share.num_devices == 1:
        return examples

    def choose(*batch: tf.Tensor) -> tuple:
        count = share.share_of(tf.shape(tf.nest.flatten(batch)[0])[0])
        begin = share.process_index * count
        return tf.nest.map_structure(lambda rows: rows[begin : begin + count], batch)

    return examples.batch(batch_size).map(choose).unbatch()


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
    image: tf.Tensor, config: TrainConfig, number: tf.Tensor, size: int
) -> tf.Tensor:
    """Takes a view of an image that is its own among all `number`s of a run."""
    seed = tf.stack([tf.constant(config.seed, tf.int64), number])
    return augment.random_view(image, seed, (size, size))


def _batches(pixels: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
    """Batches uint8 images, which has a quarter of the bytes to copy, then converts."""

    def to_contract(pixels: tf.Tensor, *others: tf.Tensor) -> tuple:
        return tf_image.normalize(pixels), *others

    return pixels.batch(batch_size).map(to_contract, num_parallel_calls=_NUM_PARALLEL)
