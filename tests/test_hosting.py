"""Several hosts: processes on loopback stand for machines."""

import contextlib
import csv
import errno
import importlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from absl import flags
from conftest import ROOT
from conftest import TOY_FLAGS

from landmarks_tf import models
from landmarks_tf import run_folder
from landmarks_tf.errors import InvalidInput
from landmarks_tf.options import TrainingOptions

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
    "--augmentation=crop_flip",
    "--ema_momentum=0.9",
    "--formats=float32",
)
# XLA takes its time for fast code, which is not worth it here.
QUICKLY = {
    "XLA_FLAGS": "--xla_backend_optimization_level=0 "
    "--xla_llvm_disable_expensive_passes=true"
}
VARIABLES = {
    "KERAS_DISTRIBUTION_JOB_ADDRESSES": "first:1234,second:1234",
    "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
    "KERAS_DISTRIBUTION_PROCESS_ID": "1",
}


@pytest.fixture
def hosting(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "scripts")
    flags.FLAGS.mark_as_parsed()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    return importlib.import_module("hosting")


def place(**changed):
    """Sets the flags of the second of two hosts, some of them otherwise."""
    values = {"coordinator_address": "first:1234", "num_hosts": 2, "host_index": 1}
    for name, value in (values | changed).items():
        flags.FLAGS[name].value = value


@pytest.fixture
def options():
    yield TrainingOptions()
    for name in ("coordinator_address", "num_hosts", "host_index"):
        flags.FLAGS[name].value = None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"coordinator_address": None},
            "`coordinator_address` must be HOST:PORT of the first host. Received: "
            "coordinator_address=$",
        ),
        ({"coordinator_address": "first"}, "Received: coordinator_address=first$"),
        ({"num_hosts": None}, "`num_hosts` must be 1 or more. Received: num_hosts=$"),
        ({"num_hosts": 0}, "Received: num_hosts=0$"),
        ({"host_index": None}, "`host_index` must be in 0..1. Received: host_index=$"),
        ({"host_index": 2}, "Received: host_index=2$"),
        ({"host_index": -1}, "Received: host_index=-1$"),
        ({"num_hosts": 3}, "`batch_size` must be a multiple of the 3 hosts. Rec.*=8$"),
    ],
)
def test_a_host_must_know_its_place(hosting, options, changed, message):
    place(**changed)
    with pytest.raises(InvalidInput, match=message):
        hosting.find_place(options)


def test_the_environment_tells_a_place_where_flags_do_not(
    hosting, options, monkeypatch
):
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    assert hosting.find_place(options) == hosting.Place("first:1234", 2, 1)
    place(num_hosts=4, coordinator_address="other:1", host_index=0)
    assert hosting.find_place(options) == hosting.Place("other:1", 4, 0)


def test_what_several_hosts_cannot_train_is_refused(hosting, options, monkeypatch):
    place()
    transfer = TrainingOptions(model="transfer")
    wanted = "`model` must be 'scratch' with --distribution=hosts. Rec.*=transfer$"
    with pytest.raises(InvalidInput, match=wanted):
        hosting.find_place(transfer)
    with pytest.raises(InvalidInput, match="`teacher` must be '' with .* teacher=run$"):
        hosting.find_place(TrainingOptions(teacher="run"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InvalidInput, match=r"needs JAX: .* pip install .*distributed"):
        hosting.find_place(options)


def test_a_place_among_hosts_is_refused_where_there_are_none(hosting, options):
    hosting.refuse_place()
    place(coordinator_address=None, num_hosts=None)
    wanted = "`host_index` must be with --distribution=hosts. Received: host_index=1"
    with pytest.raises(InvalidInput, match=wanted):
        hosting.refuse_place()


def test_a_process_that_is_killed_is_named(hosting, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["-c", "import os; os.abort()"])
    one = hosting.Place("first:1", 2, 0)
    with pytest.raises(ChildProcessError, match="was ended by SIGABRT .*: go on with"):
        hosting.train_beside(one)
    said = "distributed service detected fatal errors. absl::Status: GONE: No 1"
    program = f"""
import os
with open(os.environ["LANDMARKS_TF_NOTES"], "w") as notes:
    notes.write("{said}")
os.abort()
"""
    monkeypatch.setattr(sys, "argv", ["-c", program])
    with pytest.raises(ConnectionError, match=r"another host is gone \(GONE: No 1\)"):
        hosting.train_beside(one)
    monkeypatch.setattr(sys, "argv", ["-c", "raise SystemExit(7)"])
    assert hosting.train_beside(one) == 7


def test_an_error_beside_is_a_line_that_says_how_to_go_on(hosting):
    go_on = "go on with the same command and --resume on every host"
    full = OSError(errno.ENOSPC, "No space left on device", "runs/last.keras")
    assert hosting._explain(full) == f"{full}: {go_on}"
    tf = pytest.importorskip("tensorflow")
    with pytest.raises(tf.errors.NotFoundError) as gone:
        tf.io.read_file("nowhere.jpg").numpy()
    said = hosting._explain(gone.value)
    assert said.startswith("nowhere.jpg: no such file or directory")
    assert said.endswith(go_on)
    assert hosting._explain(InvalidInput("wrong")) == "wrong"
    assert not hosting._explain(ValueError("INTERNAL: cuDNN error"))


def test_a_name_moves_no_terminal(hosting, monkeypatch, capsys):
    def end(exit_code):
        raise SystemExit(exit_code)

    monkeypatch.setattr(hosting, "_keep_notes_apart", lambda: None)
    monkeypatch.setattr(hosting, "_end_with_program", lambda: None)
    monkeypatch.setattr(hosting.hosts, "meet", lambda *_: hosting.Hosts())
    monkeypatch.setattr("os._exit", end)
    with pytest.raises(SystemExit, match="1"):
        with hosting.meeting(hosting.Place("first:1", 1, 0), TrainingOptions()):
            raise InvalidInput("cannot read \x1b[2J.jpg")
    assert capsys.readouterr().err == "error: cannot read ?[2J.jpg\n"


def find_free_address():
    with contextlib.closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{one.getsockname()[1]}"


class Hosts:
    """The programs of some hosts, each a user's command, with its words in files."""

    def __init__(self, folder, num_hosts, *arguments):
        folder.mkdir(exist_ok=True)
        self.logs = [folder / f"{index}.log" for index in range(num_hosts)]
        address = find_free_address()
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
                    env=os.environ | QUICKLY,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                )
            self.programs.append(program)

    def wait(self):
        return [program.wait() for program in self.programs]

    def said(self, index=0):
        return self.logs[index].read_text()

    def wait_until_said(self, text):
        while text not in self.said():
            assert all(program.poll() is None for program in self.programs), self.said()
            time.sleep(0.05)


def load_losses(output_dir):
    with open(output_dir / run_folder.HISTORY, newline="") as file:
        rows = list(csv.DictReader(file))
    return [[float(row["loss"]), float(row["val_loss"])] for row in rows]


@pytest.mark.skipif(
    importlib.util.find_spec("jax") is None,
    reason="JAX is not installed: [distributed]",
)
def test_two_hosts_of_which_one_was_killed_learn_what_one_learns(colored_dir, tmp_path):
    command = [*FLAGS, "--distribution=hosts", f"--data_dir={colored_dir}"]
    killed = [*command, f"--output_dir={tmp_path / 'two'}"]
    hosts = Hosts(tmp_path / "killed", 2, *killed)
    hosts.wait_until_said(f"Epoch 2/{NUM_EPOCHS}")
    hosts.programs[1].kill()
    begin = time.monotonic()
    assert hosts.wait() == [1, -signal.SIGKILL]
    assert time.monotonic() - begin < 60
    assert "Traceback" not in hosts.said()
    last = hosts.said().splitlines()[-1]
    assert last.startswith("error: another host is gone (")
    assert last.endswith("): go on with the same command and --resume on every host")
    unfinished = run_folder.unfinished_dir(tmp_path / "two")
    (record,) = unfinished.glob(f"{run_folder.CHECKPOINTS}/*/progress.json")
    assert 1 <= len(json.loads(record.read_text())["history"]) < NUM_EPOCHS

    resumed = Hosts(tmp_path / "resumed", 2, *killed, "--resume")
    one = Hosts(tmp_path / "alone", 1, *command, f"--output_dir={tmp_path / 'one'}")
    assert resumed.wait() == [0, 0], resumed.said()
    assert one.wait() == [0], one.said()
    losses = load_losses(tmp_path / "two")
    assert len(losses) == NUM_EPOCHS
    assert losses[-1][0] < losses[0][0] - 0.05
    for row, alone in zip(losses, load_losses(tmp_path / "one"), strict=True):
        assert row == pytest.approx(alone, abs=1e-4)
    # What comes of it is a run as any other, with a model that TensorFlow reads.
    names = {path.name for path in (tmp_path / "two").iterdir()}
    assert names == {path.name for path in (tmp_path / "one").iterdir()}
    models.load_model(tmp_path / "two" / run_folder.MODEL, 3)
    parity = json.loads((tmp_path / "two" / run_folder.PARITY).read_text())
    assert parity["float32"]["faults"] == []
