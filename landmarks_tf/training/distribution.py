"""Training on several devices, of one host or more, each with its share of a batch."""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from landmarks_tf.models.surgery import copy_weights
from landmarks_tf.training.hosts import Hosts


def list_devices() -> list[str]:
    """Returns the names of the GPUs, or of the CPUs where there is none."""
    devices = tf.config.list_logical_devices("GPU")
    return [device.name for device in devices or tf.config.list_logical_devices("CPU")]


@contextlib.contextmanager
def on_devices(names: list[str]) -> Iterator[None]:
    """Makes networks that are built and trained in the block do so on these devices.

    Each takes its share of a batch, and all take the same step. A batch that does not
    divide, such as an epoch's last, counts each photo of a smaller share for more; and
    batch normalisation sees a share alone.

    Args:
        names: of `list_devices`; one is used as if this were not there.
    """
    if len(names) < 2:
        yield
        return
    with tf.distribute.MirroredStrategy(names).scope():
        yield


def on_hosts(hosts: Hosts) -> contextlib.AbstractContextManager[None]:
    """Makes networks that are built and trained in the block do so on all hosts.

    Needs Keras on JAX, and `hosts.meet`. All devices take the same step, as one device
    would take it: losses, batch normalisation and dropout are those of whole batches.
    What makes or changes a variable must be done on every host, in the same order: JAX
    waits for all of them and compares.
    """
    # Only reads and decodes here; it would take the memory of JAX's devices.
    tf.config.set_visible_devices([], "GPU")
    # The datasets are shares already.
    everywhere = keras.distribution.DataParallel(auto_shard_dataset=False)
    return everywhere.scope()


@contextlib.contextmanager
def on_this_host() -> Iterator[None]:
    """Makes what Keras makes in the block be of this host alone.

    Keras 3.15 makes an optimizer, with variables, to write a file, for which it would
    wait for the other hosts.
    """
    everywhere = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(everywhere)


def to_one_device(model: keras.Model) -> keras.Model:
    """Returns a model that was trained on several devices, as if trained on one."""
    copy = keras.models.clone_model(model)
    copy_weights(model, copy)
    return copy
