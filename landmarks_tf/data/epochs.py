"""The order in which a run sees its examples, and which of them a host sees."""

import functools
from collections.abc import Callable

import tensorflow as tf

from landmarks_tf.config import TrainConfig
from landmarks_tf.data.split import Share
from landmarks_tf.data.split import WHOLE

# Batches. AUTOTUNE takes gigabytes where training is slower than reading.
NUM_PREFETCHED = 2


def chain_epochs(
    examples: tf.data.Dataset,
    load: Callable[[tf.data.Dataset, tf.Tensor, int], tf.data.Dataset],
    options: TrainConfig,
    initial_epoch: int,
    share: Share = WHOLE,
) -> tf.data.Dataset:
    """Chains the epochs to come; `load` makes batches of shuffled examples.

    It is traced once for each size of images, which Keras's CutMix has to know.

    Args:
        examples: of an epoch; all fit in memory.
        load: from (place in the epoch, example), number of the epoch and size of images
            to batches, of `options.batch_size` or a host's share of it.
        options: of the run.
        initial_epoch: the first to come.
        share: of every batch that is read.
    """

    def one_epoch(epoch: tf.Tensor, size: int) -> tf.data.Dataset:
        # In a traced function this sets the seed of its graph alone: the order would
        # else depend on whether and when the program set the global one. TensorFlow
        # compares it with 0 and then takes a tensor for a truth value.
        tf.random.set_seed(options.seed + 1)
        shuffled = examples.shuffle(
            len(examples), seed=epoch, reshuffle_each_iteration=False
        )
        own = take_share(shuffled.enumerate(), options.batch_size, share)
        return load(own, epoch, size)

    stretches = []
    for size in dict.fromkeys(options.epoch_sizes):
        begin = options.epoch_sizes.index(size)
        end = begin + options.epoch_sizes.count(size)
        numbers = tf.data.Dataset.range(max(begin, initial_epoch), end)
        stretches.append(numbers.flat_map(functools.partial(one_epoch, size=size)))
    dataset = functools.reduce(tf.data.Dataset.concatenate, stretches)
    num_epochs = options.epochs - initial_epoch
    steps = count_steps(len(examples), options.batch_size, share) * num_epochs
    # Of a flat_map TensorFlow cannot tell by itself how long it is.
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    return dataset.prefetch(NUM_PREFETCHED)


def count_steps(num_examples: int, batch_size: int, share: Share = WHOLE) -> int:
    """Returns how many batches an epoch has, a smaller last one included."""
    whole, rest = divmod(num_examples, batch_size)
    return whole + (share.share_of(rest) > 0)


def take_share(
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
