"""The hosts that train one network together: which one this is, and what its part is.

Owns how they meet, wait for each other and miss each other. Needs JAX only where there
are several. Does not own training, nor the program of a host.
"""

import re
from dataclasses import dataclass

from landmarks_tf.data.split import Share
from landmarks_tf.errors import InvalidInput
from landmarks_tf.errors import first_line

# A host that has not been heard of for so long is gone: JAX then ends the others. Its
# own default of 100 is more than a minute, and Keras's `initialize` has no argument.
_HEARTBEAT_SECONDS = 30
# The others wait for the first while it reads and divides the photos.
_MEETING_SECONDS = 3600
# What JAX's exceptions begin with where its runtime failed, and not the program. A host
# that is gone comes as a ValueError or a RuntimeError (JAX 0.10).
_FAILURE = re.compile(
    "(UNKNOWN|UNAVAILABLE|ABORTED|CANCELLED|INTERNAL|DEADLINE_EXCEEDED): (.*)"
)
# What these name where it is of another host: a device of this one that fails, such as
# a GPU without memory, begins with the same words.
_ELSEWHERE = re.compile(
    "gloo|coordination ?service|distributed service|heartbeat|barrier|unhealthy"
    "|connection (reset|closed|refused)|socket closed|closed by peer|broken pipe"
    "|another task|remote process",
    re.IGNORECASE,
)
# What it writes where it ends the process itself.
_FATAL = re.compile("service detected fatal errors.*absl::Status: ([^.\\n]*)")
# The call in which a host waits for the others, where it ends for want of them.
_MEETING_CALL = "CoordinationService/RegisterTask"
_TIMED_OUT = "DEADLINE_EXCEEDED"
_NOT_ALL_CAME = "the other hosts did not come within an hour"


@dataclass(frozen=True)
class Hosts(Share):
    """The hosts of a run as one of them sees them, each with a process that trains."""

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
        raise InvalidInput(
            "`coordinator_address` must be a free port of the first host. Received: "
            f"coordinator_address={address} ({first_line(error)})"
        ) from error
    if jax.local_device_count() * count != jax.device_count():
        raise InvalidInput(
            f"all hosts must have equally many devices: host {index} has "
            f"{jax.local_device_count()} of {jax.device_count()} on {count} hosts"
        )
    return Hosts(count, index, jax.device_count())


def explain_loss(error: Exception) -> str | None:
    """Returns in a line that a host is gone; None for any other exception."""
    match = _FAILURE.match(str(error))
    if match and _ELSEWHERE.search(str(error)):
        return _gone(match[2].strip())
    return None


def explain_end(notes: str) -> str | None:
    """Returns why JAX ended a process, from what it wrote; None if it did not."""
    match = _FATAL.search(notes)
    if not match:
        return None
    if match[1].startswith(_TIMED_OUT) and _MEETING_CALL in notes[match.end() :]:
        return _NOT_ALL_CAME
    return _gone(match[1].strip().rstrip(":"))


def _gone(reason: str) -> str:
    return f"another host is gone ({reason})"
