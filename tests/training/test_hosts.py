"""Several hosts: processes on loopback stand for machines."""

import contextlib
import csv
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from conftest import ROOT
from conftest import TOY_FLAGS
from conftest import run_script

from landmarks_tf.commands.train import how_to_go_on
from landmarks_tf.config import TrainConfig
from landmarks_tf.errors import InvalidInput
from landmarks_tf.models.surgery import load_model
from landmarks_tf.progress import Progress
from landmarks_tf.run import Run
from landmarks_tf.training import distribution
from landmarks_tf.training import hosts
from landmarks_tf.training.checkpoint import TrainingState
from landmarks_tf.training.hosts import is_trained

NUM_EPOCHS = 6
# 28 photos to train, in two batches; 9 to validate, which are filled up to 10.
FLAGS = (
    *TOY_FLAGS,
    "--preset=small",
    f"--epochs={NUM_EPOCHS}",
    "--batch_size=14",
    # Steps so small that what rounding makes of a sum in another order stays small.
    "--learning_rate=1e-4",
    "--validation_fraction=0.25",
    "--augmentation=crop_flip_color",
    "--formats=float32",
)
# A hang is to fail, not to last; a machine under load takes 100 of them.
DEADLINE_SECONDS = 240
# XLA takes its time for fast code, which is not worth it here; and what it has compiled
# for one program is kept for the next.
QUICKLY = {
    "XLA_FLAGS": "--xla_backend_optimization_level=0 "
    "--xla_llvm_disable_expensive_passes=true",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
}
VARIABLES = {
    "KERAS_DISTRIBUTION_JOB_ADDRESSES": "first:1234,second:1234",
    "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
    "KERAS_DISTRIBUTION_PROCESS_ID": "1",
}


CONFIG = TrainConfig(distribution="hosts")


@pytest.fixture(autouse=True)
def second_of_two(monkeypatch):
    """The environment of the second of two hosts, which have JAX."""
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("JOB_ADDRESSES", "", "`coordinator_address` must be HOST:PORT of the first"),
        ("JOB_ADDRESSES", "first", "Received: coordinator_address=first$"),
        ("NUM_PROCESSES", "", "`num_hosts` must be 1 or more. Received: num_hosts=$"),
        ("NUM_PROCESSES", "0", "Received: num_hosts=0$"),
        ("PROCESS_ID", "", "`host_index` must be in 0..1. Received: host_index=$"),
        ("PROCESS_ID", "2", "Received: host_index=2$"),
        ("PROCESS_ID", "-1", "Received: host_index=-1$"),
        ("NUM_PROCESSES", "3", "`batch_size` must be a multiple of the 3 hosts."),
    ],
)
def test_a_host_must_know_which_it_is(monkeypatch, name, value, message):
    monkeypatch.setenv(f"KERAS_DISTRIBUTION_{name}", value)
    with pytest.raises(InvalidInput, match=message):
        hosts.find_host(CONFIG)


def test_the_environment_tells_which_host_this_is():
    assert hosts.find_host(CONFIG) == hosts.Host("first:1234", 2, 1)
    assert hosts.find_host(TrainConfig()) is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model": "transfer"}, "`model` must be 'scratch' with --distribution=hosts"),
        ({"deterministic": True}, "`deterministic` must be left out with --distrib"),
    ],
)
def test_what_several_hosts_cannot_train_is_refused(monkeypatch, changed, message):
    with pytest.raises(InvalidInput, match=message):
        hosts.find_host(dataclasses.replace(CONFIG, **changed))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InvalidInput, match=r"needs jax: .* pip install .*distributed"):
        hosts.find_host(CONFIG)


def test_the_flags_of_a_host_are_refused_where_it_trains_alone(colored_dir):
    result = run_script("train", f"--data_dir={colored_dir}", "--host_index=1")
    assert result.returncode == 1
    wanted = "`host_index` must be left out without --distribution=hosts. Received: "
    assert result.stderr.startswith(f"error: {wanted}")


def train_beside(monkeypatch, tmp_path, program):
    """Runs a program as the process beside, and returns the events told."""
    start, events = subprocess.Popen, []

    def popen(command, **options):
        assert command[1:] == ["-m", "landmarks_tf.training.hosts"]
        assert options["env"]["KERAS_BACKEND"] == "jax"
        return start([sys.executable, "-c", program], **options)

    with monkeypatch.context() as patch:
        patch.setattr("subprocess.Popen", popen)
        host, places = hosts.Host("first:1", 2, 0), {"output_dir": str(tmp_path)}
        with open(tmp_path / "stderr", "w") as file:
            patch.setattr(sys, "stderr", file)
            hosts.train_beside(host, CONFIG, tmp_path, places, Progress(events.append))
    return [str(event) for event in events]


def test_what_the_process_beside_tells_is_told(monkeypatch, tmp_path):
    program = """
import json, sys
job = json.loads(sys.stdin.readline())
print(json.dumps({"text": job["config"]["model"]}))
print(json.dumps({"text": "Epoch 1/2", "done": 1, "total": 3}))
"""
    first, *told = train_beside(monkeypatch, tmp_path, program)
    assert first == "host 0 of 2: training with the others at first:1"
    assert told == ["scratch", "Epoch 1/2: 1/3"]


def test_a_process_beside_that_ends_is_most_likely_for_want_of_a_host(
    monkeypatch, tmp_path
):
    for program in ("import os; os.abort()", "raise SystemExit(7)"):
        with pytest.raises(ConnectionError, match="another host is gone: see what JAX"):
            train_beside(monkeypatch, tmp_path, program)
    refusal = """print('{"refused": "`batch_size` must be even"}')"""
    with pytest.raises(InvalidInput, match="^`batch_size` must be even$"):
        train_beside(monkeypatch, tmp_path, refusal)


def test_a_host_that_is_not_of_the_run_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(
        distribution, "meet", lambda *_: distribution.Hosts(2, 1, 2), raising=True
    )
    job = {
        "host": dataclasses.asdict(hosts.Host("first:1", 2, 1)),
        "config": json.loads(json.dumps(dataclasses.asdict(CONFIG))),
        "data_dir": "photos",
        "places": {"output_dir": str(tmp_path / "run")},
    }
    with pytest.raises(InvalidInput, match="a folder that all hosts see, with the run"):
        hosts._train_share(job, Progress())
    (tmp_path / "run.unfinished").mkdir()
    (tmp_path / "run.unfinished" / "run.flags").write_text("--epochs=7\n")
    with pytest.raises(InvalidInput, match="was started with other flags: --"):
        hosts._train_share(job, Progress())


def test_the_first_host_goes_on_alone_when_all_are_trained(tmp_path):
    output_dir = tmp_path / "run"
    assert how_to_go_on(output_dir, CONFIG).startswith("nothing is trained yet")
    folder = Run.unfinished(output_dir).checkpoints_dir / "epoch_000001"
    folder.mkdir(parents=True)
    lost = "what came after the last finished epoch is lost"
    alone = f"{lost}; go on with the same command and --resume"
    for is_over, advice in ((False, f"{alone} on every host"), (True, alone)):
        record = dataclasses.asdict(TrainingState(is_over=is_over))
        (folder / "progress.json").write_text(json.dumps(record))
        assert is_trained(output_dir) == is_over
        assert how_to_go_on(output_dir, CONFIG) == advice
        assert how_to_go_on(output_dir, TrainConfig()) == alone


def test_hosts_that_do_not_come_are_told_from_a_port_in_use(monkeypatch):
    missing = "the other hosts did not come within an hour"
    jax = pytest.importorskip("jax", reason="needs [distributed]")

    def fail(*_, **__):
        raise RuntimeError(message)

    monkeypatch.setattr(jax.distributed, "initialize", fail)
    message = "DEADLINE_EXCEEDED: Barrier timed out"
    with pytest.raises(ConnectionError, match=missing):
        distribution.meet("first:1", 2, 0)
    message = "UNKNOWN: Failed to add port to server"
    with pytest.raises(InvalidInput, match="must be a free port .*first:1 .*add port"):
        distribution.meet("first:1", 2, 0)


def find_free_address():
    with contextlib.closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{one.getsockname()[1]}"


class Hosts:
    """The programs of some hosts, each a user's command, with its words in files.

    Args:
        folder: of the files.
        num_hosts: how many.
        arguments: of the command.
    """

    def __init__(self, folder, num_hosts, *arguments):
        folder.mkdir(exist_ok=True)
        self.logs = [folder / f"{index}.log" for index in range(num_hosts)]
        address = find_free_address()
        compiled = str(folder.parent / "compiled")
        self.programs = []
        for index, log in enumerate(self.logs):
            place = (
                f"--coordinator_address={address}",
                f"--num_hosts={num_hosts}",
                f"--host_index={index}",
            )
            with open(log, "w") as file:
                program = subprocess.Popen(
                    [sys.executable, "scripts/train.py", *arguments, *place],
                    cwd=ROOT,
                    env=os.environ | QUICKLY | {"JAX_COMPILATION_CACHE_DIR": compiled},
                    stdout=file,
                    stderr=subprocess.STDOUT,
                )
            self.programs.append(program)

    def wait(self):
        """Returns the exit codes; fails if there are none in time."""
        end = time.monotonic() + DEADLINE_SECONDS
        try:
            return [
                program.wait(max(0, end - time.monotonic()))
                for program in self.programs
            ]
        except subprocess.TimeoutExpired:
            said = "\n".join(map(self.said, range(len(self.programs))))
            pytest.fail(f"hosts have not ended in {DEADLINE_SECONDS} s: {said}")

    def end(self):
        for program in self.programs:
            program.kill()  # the process beside it sees it, and ends too
            program.wait()

    def said(self, index=0):
        return self.logs[index].read_text()


@pytest.fixture
def start():
    """Starts hosts, of which none outlives the test."""
    started = []

    def start(*arguments, **options):
        started.append(Hosts(*arguments, **options))
        return started[-1]

    yield start
    for one in started:
        one.end()


def load_losses(output_dir):
    with open(Run(output_dir).history_path, newline="") as file:
        rows = list(csv.DictReader(file))
    return [[float(row["loss"]), float(row["val_loss"])] for row in rows]


@pytest.mark.long
def test_two_hosts_of_which_one_was_killed_learn_what_one_learns(
    colored_dir, tmp_path, start
):
    command = [*FLAGS, "--distribution=hosts", f"--data_dir={colored_dir}"]
    killed = [*command, f"--output_dir={tmp_path / 'two'}"]
    killed_hosts = start(tmp_path / "killed", 2, *killed)
    checkpoints_dir = Run.unfinished(tmp_path / "two").checkpoints_dir
    end = time.monotonic() + DEADLINE_SECONDS
    while not list(checkpoints_dir.glob("epoch_*")):
        assert time.monotonic() < end, killed_hosts.said()
        time.sleep(0.002)
    killed_hosts.programs[1].kill()
    assert killed_hosts.wait() == [1, -signal.SIGKILL], killed_hosts.said()
    last = killed_hosts.said().splitlines()[-1]
    assert last.startswith("error: the training ended, most likely since another host")
    assert last.endswith("go on with the same command and --resume on every host")
    (record,) = checkpoints_dir.glob("*/progress.json")
    assert 1 <= len(json.loads(record.read_text())["history"]) < NUM_EPOCHS

    resumed = start(tmp_path / "resumed", 2, *killed, "--resume")
    alone = (f"--output_dir={tmp_path / 'one'}", "--min_accuracy=1")
    one = start(tmp_path / "alone", 1, *command, *alone)
    assert resumed.wait() == [0, 0], resumed.said()
    assert one.wait() == [3], one.said()  # no second export, which takes its time
    losses = load_losses(tmp_path / "two")
    assert len(losses) == NUM_EPOCHS
    assert losses[-1][0] < losses[0][0] - 0.05
    for row, alone in zip(losses, load_losses(tmp_path / "one"), strict=True):
        assert row == pytest.approx(alone, abs=1e-4)
    # What comes of it is a run as any other, with a model that TensorFlow reads.
    names = {path.name for path in (tmp_path / "two").iterdir()}
    assert names > {path.name for path in (tmp_path / "one").iterdir()}
    run = Run(tmp_path / "two")
    load_model(run.model_path, 3)
    assert run.parity["float32"]["faults"] == []
