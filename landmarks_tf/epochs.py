"""The order in which a run sees its examples, epoch after epoch."""

import functools
import math
from collections.abc import Callable

import tensorflow as tf

from landmarks_tf.options import TrainingOptions

# Batches. AUTOTUNE takes gigabytes where training is slower than reading.
NUM_PREFETCHED = 2


def chain_epochs(
    examples: tf.data.Dataset,
    load: Callable[[tf.data.Dataset, tf.Tensor, int], tf.data.Dataset],
    options: TrainingOptions,
    initial_epoch: int,
    num_photos: int | None = None,
) -> tf.data.Dataset:
    """Chains the epochs to come; `load` makes batches of shuffled examples.

    It is traced once for each size of images, which Keras's CutMix has to know. Where
    an example is a file of several photos, `num_photos` says how many there are in all.
    """
    num_photos = len(examples) if num_photos is None else num_photos

    def one_epoch(epoch: tf.Tensor, size: int) -> tf.data.Dataset:
        # In a traced function this sets the seed of its graph alone: the order would
        # else depend on whether and when the program set the global one. TensorFlow
        # compares it with 0 and then takes a tensor for a truth value.
        tf.random.set_seed(options.seed + 1)
        shuffled = examples.shuffle(
            len(examples), seed=epoch, reshuffle_each_iteration=False
        )
        return load(shuffled, epoch, size)

    stretches = []
    for size in dict.fromkeys(options.epoch_sizes):
        begin = options.epoch_sizes.index(size)
        end = begin + options.epoch_sizes.count(size)
        numbers = tf.data.Dataset.range(max(begin, initial_epoch), end)
        stretches.append(numbers.flat_map(functools.partial(one_epoch, size=size)))
    dataset = functools.reduce(tf.data.Dataset.concatenate, stretches)
    num_epochs = options.epochs - initial_epoch
    steps = math.ceil(num_photos / options.batch_size) * num_epochs
    # Of a flat_map TensorFlow cannot tell by itself how long it is.
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    return dataset.prefetch(NUM_PREFETCHED)
