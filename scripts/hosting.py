"""Training on several hosts: who they are, and the process of each that trains.

Keras trains on several hosts in JAX alone, and a program has one backend: the network
is trained in a process beside the program, which then goes on in TensorFlow.
"""

import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import command_line
from absl import flags

from landmarks_tf.config import TrainConfig
from landmarks_tf.errors import InvalidInput
from landmarks_tf.errors import require
from landmarks_tf.names import printable
from landmarks_tf.training import hosts
from landmarks_tf.training.hosts import Hosts

# Flag -> Keras's own name of it, for `keras.distribution.initialize`.
_VARIABLES = {
    "coordinator_address": "KERAS_DISTRIBUTION_JOB_ADDRESSES",
    "num_hosts": "KERAS_DISTRIBUTION_NUM_PROCESSES",
    "host_index": "KERAS_DISTRIBUTION_PROCESS_ID",
}
# Tells a process that it is the one beside, and where native code writes its notes.
_NOTES_VARIABLE = "LANDMARKS_TF_NOTES"
_GO_ON = "go on with the same command and --resume on every host"

flags.DEFINE_string(
    "coordinator_address",
    None,
    "HOST:PORT of the first of several hosts, any free port, as the others reach it. "
    f"Default: {_VARIABLES['coordinator_address']} of the environment.",
)
flags.DEFINE_integer(
    "num_hosts",
    None,
    "How many hosts train together. "
    f"Default: {_VARIABLES['num_hosts']} of the environment.",
)
flags.DEFINE_integer(
    "host_index",
    None,
    "Which of them this one is, from 0: the first writes the run folder. "
    f"Default: {_VARIABLES['host_index']} of the environment.",
)


@dataclass(frozen=True)
class Place:
    """Where this host stands among the others."""

    address: str
    num_hosts: int
    index: int

    def __str__(self) -> str:
        return f"host {self.index} of {self.num_hosts}"


def find_place(options: TrainConfig) -> Place:
    """Returns this host's place, of the flags or else the environment.

    Raises:
        InvalidInput: if a part of it is missing or wrong, or several hosts cannot train
            such a run.
    """
    if importlib.util.find_spec("jax") is None:
        raise InvalidInput(
            "--distribution=hosts needs JAX: python -m pip install -e '.[distributed]'"
        )
    # Features would have to be computed in shares too.
    wanted = "'scratch' with --distribution=hosts"
    require(options.model == "scratch", "model", wanted, options.model)
    text = _read("coordinator_address")
    address = text.split(",")[0]  # Keras takes those of all hosts too
    is_address = re.fullmatch(r".+:\d+", address) is not None
    require(is_address, "coordinator_address", "HOST:PORT of the first host", text)
    text = _read("num_hosts")
    is_count = text.isdecimal() and int(text) >= 1
    require(is_count, "num_hosts", "1 or more", text)
    num_hosts, text = int(text), _read("host_index")
    is_index = text.isdecimal() and int(text) < num_hosts
    require(is_index, "host_index", f"in 0..{num_hosts - 1}", text)
    _refuse_undivided(options, num_hosts, "hosts")
    return Place(address, num_hosts, int(text))


def refuse_place() -> None:
    """Raises InvalidInput if a flag says of a host where it stands, and it is alone."""
    for name in _VARIABLES:
        value = flags.FLAGS[name].value
        require(value is None, name, "left out without --distribution=hosts", value)


def is_beside() -> bool:
    """Returns whether this is the process that trains, beside the program."""
    return _NOTES_VARIABLE in os.environ


def train_beside(place: Place) -> int:
    """Runs this program once more beside itself, in JAX, to train with the other hosts.

    Returns:
        its exit code; unless it is 0 it has said why.

    Raises:
        ConnectionError: if another host is gone, or has not come.
        ChildProcessError: if the process was killed.
    """
    print(f"{place}: training with the others at {place.address}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "notes"
        variables = {"KERAS_BACKEND": "jax", _NOTES_VARIABLE: str(notes)}
        with subprocess.Popen(
            [sys.executable, *sys.argv],
            env=os.environ | variables,
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for this process, which ends the other
        ) as process:
            try:
                exit_code = process.wait()
            finally:
                process.kill()
        if exit_code >= 0:
            return exit_code
        said = notes.read_text(errors="replace") if notes.exists() else ""
    reason = hosts.explain_end(said)
    if reason is not None:
        raise ConnectionError(f"{reason}: {_GO_ON}")
    last = "".join(said.splitlines()[-1:])[:200] or "it said nothing"
    name = signal.Signals(-exit_code).name
    raise ChildProcessError(
        f"the process that trains was ended by {name} ({last}): {_GO_ON}"
    )


@contextlib.contextmanager
def meeting(place: Place, options: TrainConfig) -> Iterator[Hosts]:
    """Gives the hosts when all are there; to be used in the process beside.

    Where the block fails, the process says so and ends at once: an orderly end waits
    for the other hosts, which are waiting for this one.
    """
    _keep_notes_apart()
    threading.Thread(target=_end_with_program, daemon=True).start()
    try:
        together = hosts.meet(place.address, place.num_hosts, place.index)
        _refuse_undivided(options, together.num_devices, "devices of all hosts")
        yield together
    except Exception as error:
        message = _explain(error)
        if message:
            print(printable(f"error: {message}"), file=sys.stderr)
        else:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)


def _explain(error: Exception) -> str:
    """Returns an error in a line, and how to go on; nothing of a defect."""
    if isinstance(error, InvalidInput):
        return str(error)
    reason = hosts.explain_loss(error) or command_line.system_reason(error)
    return f"{reason}: {_GO_ON}" if reason else ""


def _keep_notes_apart() -> None:
    """Gives native code, which says much where a host is gone, a file to write to."""
    sys.stdout, sys.stderr = (
        os.fdopen(os.dup(number), "w", buffering=1, errors="backslashreplace")
        for number in (1, 2)
    )
    with open(os.environ[_NOTES_VARIABLE], "ab") as notes:
        for number in (1, 2):
            os.dup2(notes.fileno(), number)


def _end_with_program() -> None:
    """Ends this process when the program beside it is gone, however that was ended."""
    os.read(sys.stdin.fileno(), 1)  # no object's lock to be held when Python ends
    os._exit(1)


def _read(name: str) -> str:
    value = flags.FLAGS[name].value
    return os.environ.get(_VARIABLES[name], "") if value is None else str(value)


def _refuse_undivided(options: TrainConfig, number: int, what: str) -> None:
    wanted = f"a multiple of the {number} {what}"
    is_divided = options.batch_size % number == 0
    require(is_divided, "batch_size", wanted, options.batch_size)
