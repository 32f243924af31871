"""Several hosts: processes on loopback stand for machines."""

import contextlib
import csv
import dataclasses
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from absl import flags
from conftest import ROOT
from conftest import TOY_FLAGS

from landmarks_tf import run_folder
from landmarks_tf.config import TrainConfig
from landmarks_tf.errors import InvalidInput
from landmarks_tf.models import networks
from landmarks_tf.training.checkpoint import Progress

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
# scripts/train.py, but killed when one epoch is finished: whoever watches for that is
# late on a slow machine.
KILLED = """
import os
import signal
import sys
import time

sys.path.insert(0, "scripts")
import command_line
import fitting
import hosting
import train

fit_share = fitting.fit_share


def fit_one_epoch(*arguments):
    from landmarks_tf.training.checkpoint import CheckpointKeeper
    from landmarks_tf.training.checkpoint import Progress

    CheckpointKeeper.on_epoch_begin = end_second_epoch
    fit_share(*arguments)


def end_second_epoch(self, epoch, logs=None):
    self._begin = time.monotonic()
    if epoch == 1:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)  # ended before


if hosting.is_beside():
    sys.argv[0] = "train"  # whose flags are compared
    fitting.fit_share = fit_one_epoch
command_line.run(train.main)
"""
# XLA takes its time for fast code, which is not worth it here; and what it has compiled
# for a host serves the next one, and the same host when it resumes.
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


@pytest.fixture
def hosting(import_script, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    return import_script("hosting")


def place(**changed):
    """Sets the flags of the second of two hosts, some of them otherwise."""
    values = {"coordinator_address": "first:1234", "num_hosts": 2, "host_index": 1}
    for name, value in (values | changed).items():
        flags.FLAGS[name].value = value


@pytest.fixture
def options():
    return TrainConfig()


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
    transfer = TrainConfig(model="transfer")
    wanted = "`model` must be 'scratch' with --distribution=hosts. Rec.*=transfer$"
    with pytest.raises(InvalidInput, match=wanted):
        hosting.find_place(transfer)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InvalidInput, match=r"needs JAX: .* pip install .*distributed"):
        hosting.find_place(options)


def test_a_place_among_hosts_is_refused_where_there_are_none(hosting, options):
    hosting.refuse_place()
    place(coordinator_address=None, num_hosts=None)
    wanted = "`host_index` must be left out without --distribution=hosts. Rec.*=1"
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
        with hosting.meeting(hosting.Place("first:1", 1, 0), TrainConfig()):
            raise InvalidInput("cannot read \x1b[2J.jpg")
    assert capsys.readouterr().err == "error: cannot read ?[2J.jpg\n"


def test_the_first_host_goes_on_alone_when_all_are_trained(import_script, tmp_path):
    train, hosting = import_script("train"), import_script("hosting")
    first = hosting.Place("first:1", 2, 0)
    assert train.how_to_go_on(tmp_path, first).startswith("nothing is trained yet")
    folder = tmp_path / run_folder.CHECKPOINTS / "epoch_000001"
    folder.mkdir(parents=True)
    lost = "what came after the last finished epoch is lost"
    alone = f"{lost}; go on with the same command and --resume"
    for is_over, advice in ((False, f"{alone} on every host"), (True, alone)):
        record = dataclasses.asdict(Progress(is_over=is_over))
        (folder / "progress.json").write_text(json.dumps(record))
        assert train.is_trained(tmp_path) == is_over
        assert train.how_to_go_on(tmp_path, first) == advice
        assert train.how_to_go_on(tmp_path, None) == alone


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
        last: the program of the last one.
    """

    def __init__(self, folder, num_hosts, *arguments, last="scripts/train.py"):
        folder.mkdir(exist_ok=True)
        self.logs = [folder / f"{index}.log" for index in range(num_hosts)]
        compiled = str(folder.parent / "compiled")
        address = find_free_address()
        self.programs = []
        scripts = ["scripts/train.py"] * (num_hosts - 1) + [last]
        for index, log in enumerate(self.logs):
            place = (
                f"--coordinator_address={address}",
                f"--num_hosts={num_hosts}",
                f"--host_index={index}",
            )
            with open(log, "w") as file:
                program = subprocess.Popen(
                    [sys.executable, scripts[index], *arguments, *place],
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
    for hosts in started:
        hosts.end()


def load_losses(output_dir):
    with open(output_dir / run_folder.HISTORY, newline="") as file:
        rows = list(csv.DictReader(file))
    return [[float(row["loss"]), float(row["val_loss"])] for row in rows]


@pytest.mark.long
def test_two_hosts_of_which_one_was_killed_learn_what_one_learns(
    colored_dir, tmp_path, start
):
    command = [*FLAGS, "--distribution=hosts", f"--data_dir={colored_dir}"]
    killed = [*command, f"--output_dir={tmp_path / 'two'}"]
    program = tmp_path / "killed.py"
    program.write_text(KILLED)
    hosts = start(tmp_path / "killed", 2, *killed, last=str(program))
    assert hosts.wait() == [1, -signal.SIGKILL], hosts.said() + hosts.said(1)
    assert "Traceback" not in hosts.said()
    last = hosts.said().splitlines()[-1]
    assert last.startswith("error: another host is gone (")
    assert last.endswith("): go on with the same command and --resume on every host")
    unfinished = run_folder.unfinished_dir(tmp_path / "two")
    (record,) = unfinished.glob(f"{run_folder.CHECKPOINTS}/*/progress.json")
    assert len(json.loads(record.read_text())["history"]) == 1
    # Host 1 was killed just after the first had written this.
    assert time.time() - record.stat().st_mtime < 60

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
    networks.load_model(tmp_path / "two" / run_folder.MODEL, 3)
    parity = json.loads((tmp_path / "two" / run_folder.PARITY).read_text())
    assert parity["float32"]["faults"] == []
