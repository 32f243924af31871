"""Training on all devices of one host, each with its share of every batch."""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf


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


def to_one_device(model: keras.Model) -> keras.Model:
    """Returns a model that was trained on several devices, as if trained on one."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy
