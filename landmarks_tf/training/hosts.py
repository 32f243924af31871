"""Training on several hosts: the process of each that trains, in JAX.

Keras trains on several hosts in JAX alone, and a program has one backend: the network
is trained in a process beside the program, which then goes on in TensorFlow.
"""

import dataclasses
import json
import os
import re
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from typing import cast

from landmarks_tf import errors
from landmarks_tf import flagfile
from landmarks_tf.config import TrainConfig
from landmarks_tf.data import split_file
from landmarks_tf.progress import Event
from landmarks_tf.progress import Progress
from landmarks_tf.run import Run

# Keras's own names, of `keras.distribution.initialize`; train.py has a flag for each.
VARIABLES = {
    "coordinator_address": "KERAS_DISTRIBUTION_JOB_ADDRESSES",
    "num_hosts": "KERAS_DISTRIBUTION_NUM_PROCESSES",
    "host_index": "KERAS_DISTRIBUTION_PROCESS_ID",
}


@dataclass(frozen=True)
class Host:
    """Which of the hosts this one is, in JAX's words.

    Attributes:
        coordinator_address: HOST:PORT of the first host, as the others reach it.
        process_count: how many hosts there are.
        process_index: of this one, from 0; the first writes the run folder.
    """

    coordinator_address: str
    process_count: int
    process_index: int


def find_host(config: TrainConfig) -> Host | None:
    """Returns which host this is, by the environment; None where it trains alone.

    Raises:
        InvalidInput: if a part of it is missing or wrong, or several hosts cannot train
            such a run.
    """
    if config.distribution != "hosts":
        return None
    errors.require_extra("jax", "distributed", "--distribution=hosts")
    wanted = "left out with --distribution=hosts"
    errors.require(not config.deterministic, "deterministic", wanted, True)
    # Features would have to be computed in shares too.
    wanted = "'scratch' with --distribution=hosts"
    errors.require(config.model == "scratch", "model", wanted, config.model)
    text = {name: os.environ.get(key, "") for name, key in VARIABLES.items()}
    address = text["coordinator_address"].split(",")[0]  # Keras takes those of all too
    is_address = re.fullmatch(r".+:\d+", address) is not None
    name, wanted = "coordinator_address", "HOST:PORT of the first host"
    errors.require(is_address, name, wanted, text[name])
    count, index = text["num_hosts"], text["host_index"]
    is_count = count.isdecimal() and int(count) >= 1
    errors.require(is_count, "num_hosts", "1 or more", count)
    is_index = index.isdecimal() and int(index) < int(count)
    errors.require(is_index, "host_index", f"in 0..{int(count) - 1}", index)
    require_divided(config, int(count), "hosts")
    return Host(address, int(count), int(index))


def is_trained(output_dir: Path) -> bool:
    """Returns whether the training of an unfinished run is over."""
    checkpoints_dir = Run.unfinished(output_dir).checkpoints_dir
    if not checkpoints_dir.exists():
        return False  # without the seconds that Keras takes
    from landmarks_tf.training.checkpoint import load_state

    return load_state(checkpoints_dir).is_over


def train_beside(
    host: Host,
    config: TrainConfig,
    data_dir: Path,
    places: Mapping[str, str],
    progress: Progress,
) -> None:
    """Trains with the other hosts, in a process of its own, unless that is done.

    Args:
        host: this one.
        config: of the run.
        data_dir: where the photos are.
        places: recorded in `run.flags` with the settings, "output_dir" among them.
        progress: hears what is done, on the first host.

    Raises:
        InvalidInput: if the hosts do not fit together.
        ConnectionError: if another host is gone, or has not come; JAX has said more.
    """
    if is_trained(Path(places["output_dir"])):
        if host.process_index:
            progress.tell("the training is over: the first host does the rest alone")
        return
    which = f"host {host.process_index} of {host.process_count}"
    progress.tell(f"{which}: training with the others at {host.coordinator_address}")
    job = {
        "host": dataclasses.asdict(host),
        "config": dataclasses.asdict(config),
        "data_dir": str(data_dir),
        "places": dict(places),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "landmarks_tf.training.hosts"],
        env=os.environ | {"KERAS_BACKEND": "jax"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=sys.stderr,
        text=True,
        start_new_session=True,  # Ctrl-C is for this process, which ends the other
    ) as process:
        try:
            stdin, stdout = cast(IO[str], process.stdin), cast(IO[str], process.stdout)
            stdin.write(json.dumps(job) + "\n")
            stdin.flush()
            for line in stdout:
                record = json.loads(line)
                if "refused" in record:
                    raise errors.InvalidInput(record["refused"])
                progress(Event(**record))
            exit_code = process.wait()
        finally:
            process.kill()
    if exit_code:
        reason = "most likely since another host is gone: see what JAX says above"
        raise ConnectionError(f"the training ended, {reason}")


def main() -> None:
    """Trains as the process beside; what to do comes in a line of JSON on stdin.

    Tells of it in lines of JSON on stdout: the fields of an event, or `refused`.
    """
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_program, daemon=True).start()
    # What native code prints is no JSON.
    lines = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def write_line(event: Event) -> None:
        lines.write(json.dumps(dataclasses.asdict(event)) + "\n")

    try:
        _train_share(job, Progress(write_line))
    except errors.InvalidInput as error:
        lines.write(json.dumps({"refused": str(error)}) + "\n")
        exit_code = 1
    except Exception:
        traceback.print_exc()
        exit_code = 1
    else:
        return
    # At once: an orderly end waits for the other hosts, which wait for this one.
    sys.stderr.flush()
    os._exit(exit_code)


def _train_share(job: dict, progress: Progress) -> None:
    """Trains on this host's share of the photos, from what the first has written."""
    from landmarks_tf.training import distribution
    from landmarks_tf.training import stages
    from landmarks_tf.training.fit import Job

    host = Host(**job["host"])
    values = job["config"].items()
    lists = {name: tuple(value) for name, value in values if isinstance(value, list)}
    config = TrainConfig(**job["config"] | lists)
    output_dir = Path(job["places"]["output_dir"])
    hosts = distribution.meet(
        host.coordinator_address, host.process_count, host.process_index
    )
    require_divided(config, hosts.num_devices, "devices of all hosts")
    run = Run.unfinished(output_dir)
    wanted = "a folder that all hosts see, with the run that the first host began"
    errors.require(run.path.is_dir(), "output_dir", wanted, output_dir)
    flagfile.compare_flags(run.flags_path, config, **job["places"])
    # The first host has read the photos; each reads its share while it trains.
    photos = split_file.load_split(
        run.split_path, run.class_names, Path(job["data_dir"]), reads_photos=False
    )
    report = progress if hosts.is_first else Progress()
    stages.fit_share(Job(run, photos, config, progress=report), hosts)


def _end_with_program() -> None:
    """Ends this process when the program beside it is gone, however that was ended."""
    os.read(sys.stdin.fileno(), 1)  # no object's lock to be held when Python ends
    os._exit(1)


def require_divided(config: TrainConfig, number: int, what: str) -> None:
    """Raises InvalidInput unless each of some devices or hosts has an equal share."""
    wanted = f"a multiple of the {number} {what}"
    is_divided = config.batch_size % number == 0
    errors.require(is_divided, "batch_size", wanted, config.batch_size)


if __name__ == "__main__":
    main()
