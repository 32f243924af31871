"""Training on several devices, of one host or more, each with its share of a batch."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import keras
import tensorflow as tf

from landmarks_tf import errors
from landmarks_tf.data.split import Share
from landmarks_tf.models import surgery

# A host that has not been heard of for so long is gone: JAX then ends the others. Its
# own default of 100 is more than a minute, and Keras's `initialize` has no argument.
_HEARTBEAT_SECONDS = 30
# The others wait for the first while it reads and divides the photos.
_MEETING_SECONDS = 3600
_TIMED_OUT = "DEADLINE_EXCEEDED"
_NOT_ALL_CAME = "the other hosts did not come within an hour"


@dataclass(frozen=True)
class Hosts(Share):
    """The hosts that train one network together, as one of them sees them."""

    @property
    def is_first(self) -> bool:
        """Whether it is this one that writes."""
        return self.process_index == 0

    def wait_for_all(self, what: str) -> None:
        """Returns when every host has come to this call."""
        if self.process_count > 1:
            from jax.experimental import multihost_utils

            multihost_utils.sync_global_devices(what)


ALONE = Hosts()


def meet(address: str, count: int, index: int) -> Hosts:
    """Waits until all hosts are there, and returns them.

    To be called once in a program, before JAX computes anything.

    Args:
        address: "HOST:PORT" of the first host, as the others reach it.
        count: how many hosts there are.
        index: of this one, from 0.

    Raises:
        InvalidInput: if the first host cannot use the port, or the hosts do not have
            equally many devices.
        ConnectionError: if not all hosts come in time.
    """
    import jax

    try:
        jax.distributed.initialize(
            address,
            count,
            index,
            initialization_timeout=_MEETING_SECONDS,
            heartbeat_timeout_seconds=_HEARTBEAT_SECONDS,
        )
    except RuntimeError as error:
        if _TIMED_OUT in str(error):
            raise ConnectionError(_NOT_ALL_CAME) from error
        raise errors.InvalidInput(
            "`coordinator_address` must be a free port of the first host. Received: "
            f"coordinator_address={address} ({errors.first_line(error)})"
        ) from error
    if jax.local_device_count() * count != jax.device_count():
        raise errors.InvalidInput(
            f"all hosts must have equally many devices: host {index} has "
            f"{jax.local_device_count()} of {jax.device_count()} on {count} hosts"
        )
    return Hosts(count, index, jax.device_count())


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
    surgery.copy_weights(model, copy)
    return copy
