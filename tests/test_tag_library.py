"""scripts/tag_library.py, with worker processes, as people run it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from conftest import run_script
from conftest import start_script
from PIL import Image

pytest.importorskip("apache_beam", reason='needs pip install -e ".[beam]"')
pytestmark = pytest.mark.long
from landmarks_tf import tag_folder  # noqa: E402

MODEL = "model_float32.tflite"
NUM_SLOW = 80
needs_proc = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="finds the workers in /proc"
)


@pytest.fixture(scope="module")
def photos_dir(colored_dir, tmp_path_factory):
    """Some photos many times, and bad ones among them."""
    folder = tmp_path_factory.mktemp("library")
    photos = sorted((colored_dir / "test").glob("*/*.jpg"))
    for index in range(60):
        (folder / f"{index:03}.jpg").symlink_to(photos[index % len(photos)])
    (folder / "020 text.jpg").write_text("not a photo")
    (folder / "040 empty.jpg").touch()
    return folder


@pytest.fixture(scope="module")
def slow_dir(tmp_path_factory):
    """Photos large enough for a job to be killed in its middle."""
    folder = tmp_path_factory.mktemp("slow")
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (1800, 2400, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "00.jpg")
    for index in range(1, NUM_SLOW):
        (folder / f"{index:02}.jpg").symlink_to(folder / "00.jpg")
    return folder


def start(model, photos_dir, output_dir, *arguments):
    """Starts the script in a session of its own, as a terminal does."""
    command = [sys.executable, "scripts/tag_library.py", "--num_workers=2"]
    named = {"model": model, "photos": photos_dir, "output_dir": output_dir}
    command += [f"--{name}={value}" for name, value in named.items()]
    return subprocess.Popen(
        [*command, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def find_workers(session):
    """Returns the worker processes of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            name = (path / "cmdline").read_text()
            rest = (path / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if "sdk_worker_main" in name and int(rest[3]) == session:
            found.append(int(path.name))
    return sorted(found)


def list_tags(folder):
    return sorted(folder.glob("tags-*"))


def test_two_workers_give_the_answers_of_predict_py(run_dir, photos_dir, tmp_path):
    job = [f"--model={run_dir}", f"--photos={photos_dir}", f"--output_dir={tmp_path}"]
    job += ["--photos_per_shard=25", "--num_workers=2", "--top_k=2"]
    result = start_script("tag_library", *job)
    assert (result.returncode, result.stderr) == (0, "")
    assert re.fullmatch(
        rf"{tmp_path}: 60 photos tagged and 2 bad in 3 shards, 0 were there already; "
        r"\d+\.\d s, \d+\.\d photos a second\n",
        result.stdout,
    )
    predicted = run_script(
        *("predict", f"--model={run_dir / MODEL}", "--output=json", "--top_k=2"),
        photos_dir,
    )
    lines = predicted.stdout.splitlines(keepends=True)
    for kind, number in (("tags", 60), ("bad", 2)):
        paths = sorted(tmp_path.glob(f"{kind}-*"))
        assert [path.name for path in paths] == [
            f"{kind}-0000{shard}-of-00003.jsonl" for shard in range(3)
        ]
        expected = [line for line in lines if ('"error"' in line) == (kind == "bad")]
        assert len(expected) == number
        assert "".join(path.read_text() for path in paths) == "".join(expected)
    result = start_script("tag_library", *job)
    assert "0 photos tagged and 0 bad in 0 shards, 3 were there" in result.stdout


def kill_in_the_middle(job, whom, number):
    """Returns exit code and stderr of a job that is killed, when its workers ended."""
    process = start(*job)
    try:
        while len(list_tags(job[2])) < 4:
            assert process.poll() is None, process.communicate()
            time.sleep(0.005)
        workers = find_workers(process.pid)
        assert workers
        os.kill(process.pid if whom == "main" else workers[-1], number)
        _, stderr = process.communicate(timeout=60)
        deadline = time.monotonic() + 30
        while find_workers(process.pid):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, stderr


@needs_proc
def test_what_was_finished_before_a_kill_is_not_repeated(run_dir, slow_dir, tmp_path):
    job = run_dir / MODEL, slow_dir, tmp_path, "--photos_per_shard=1"
    assert kill_in_the_middle(job, "main", signal.SIGKILL) == (-signal.SIGKILL, "")
    before = {
        path: path.stat().st_mtime_ns
        for path in list_tags(tmp_path)
        if path.with_name(path.name.replace("tags", "bad")).exists()
    }
    assert 3 <= len(before) < NUM_SLOW
    stdout, stderr = start(*job).communicate()
    assert stderr == ""
    assert f"in {NUM_SLOW - len(before)} shards, {len(before)} were there" in stdout
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(list_tags(tmp_path)) == NUM_SLOW
    assert not list(tmp_path.glob("unfinished-*"))
    assert not (tmp_path / ".lock").exists()


@needs_proc
@pytest.mark.parametrize(
    "whom, number, said",
    [
        ("main", signal.SIGTERM, "interrupted\n"),
        (
            "worker",
            signal.SIGKILL,
            "error: a worker is gone, .*: the same command .*\n",
        ),
    ],
    ids=["interrupted", "worker"],
)
def test_all_ends_with_a_line_when_a_part_is_killed(
    run_dir, slow_dir, tmp_path, whom, number, said
):
    job = run_dir / MODEL, slow_dir, tmp_path, "--photos_per_shard=1"
    code, stderr = kill_in_the_middle(job, whom, number)
    assert code == 1
    assert re.fullmatch(said, stderr)


def test_two_jobs_in_one_folder_are_refused(run_dir, photos_dir, tmp_path):
    """And what the first one writes meanwhile stays."""
    in_flight = tmp_path / "unfinished-0123-tags-00000-of-00001.jsonl"
    in_flight.touch()
    job = run_dir / MODEL, photos_dir, tmp_path
    with tag_folder.hold(str(tmp_path)):
        stdout, stderr = start(*job).communicate()
    assert (stdout, stderr) == (
        "",
        f"error: another program is writing in {tmp_path}\n",
    )
    assert in_flight.exists()
    stdout, stderr = start(*job).communicate()
    assert ("60 photos tagged" in stdout, stderr) == (True, "")
    assert not in_flight.exists()


def test_an_unplugged_library_is_told_in_a_line(run_dir, photos_dir, tmp_path):
    plugged, output_dir = tmp_path / "library", tmp_path / "tags"
    shutil.copytree(photos_dir, plugged)
    job = run_dir / MODEL, tmp_path / "*" / "*.jpg", output_dir
    begun = start(*job, "--photos_per_shard=40").communicate()
    assert begun[1] == ""
    (output_dir / "bad-00001-of-00002.jsonl").unlink()
    plugged.rename(tmp_path / "elsewhere")
    process = start(*job, "--photos_per_shard=40")
    _, stderr = process.communicate()
    assert process.returncode == 1
    assert re.fullmatch(
        rf"error: {plugged}/\d+\.jpg: no such file, and its folder is gone or empty: "
        r"the same command goes on.*\n",
        stderr.partition("as it is now\n")[2],
    )
    assert not (output_dir / "bad-00001-of-00002.jsonl").exists()


def test_options_after_two_dashes_reach_beam(run_dir, photos_dir, tmp_path):
    process = start(
        *(run_dir / MODEL, photos_dir / "000.jpg", tmp_path, "--"),
        *("--runner=PortableRunner", "--job_endpoint=embed"),
        "--environment_type=LOOPBACK",
    )
    stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert "1 photos tagged" in stdout
    (line,) = list_tags(tmp_path)[0].read_text().splitlines()
    assert json.loads(line)["landmarks"][0]["name"] == "red"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["photos"], "flags start with --. Received: photos"),
        (["--model=nowhere"], "no such file or folder: model=nowhere"),
        (["--photos=nowhere"], "no such file or folder: photos=nowhere"),
        (["--top_k=0"], "flag --top_k=0: 0 is not a positive integer"),
        (["--", "--direct_num_workers=x"], "Beam's options: argument --direct_num_w"),
        (["--", "--direct_numbers=2"], "Beam has no such options: direct_numbers"),
    ],
)
def test_refuses_in_a_line(run_dir, photos_dir, tmp_path, arguments, message):
    process = start(run_dir / MODEL, photos_dir, tmp_path / "tags", *arguments)
    stdout, stderr = process.communicate()
    assert (process.returncode, stdout) == (1, "")
    assert stderr.startswith(f"error: {message}")
    assert stderr.count("\n") == 1
    assert not (tmp_path / "tags").exists()
