"""Each benchmark runs, on toy input; what it measures then means nothing."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import filelock
import pytest
from conftest import ROOT
from conftest import run_script

pytestmark = pytest.mark.long
TRAIN_FLAGS = [
    "--preset=small",
    "--image_size=64",
    "--batch_size=32",
    "--epochs=2",
    "--formats=",
    "--data_dir={data}",
]
# Arguments by name; {run} and {data} are filled in.
CASES = {
    "answers": ["{run}", "{data}/test"],
    "backbones": ["VGG16", "64"],
    "catalog": ["5", "10"],
    "check_data": ["5"],
    "client": ["{run}"],
    "duplicates": ["50"],
    "full_disk": ["1", *TRAIN_FLAGS],
    "input_pipeline": ["{data}/test", "9"],
    "kills": ["1", *TRAIN_FLAGS],
    "memory": ["{run}/model_float32.tflite", "{data}", "10", "64"],
    "serving": ["{run}/model_float32.tflite", "{data}/test"],
    "tagging": ["{run}/model_float32.tflite", "{data}/test", "2"],
    "training_step": ["64", "2"],
    "transfer": ["{data}", "none", "1"],
}
MODULES = {
    "client": "mediapipe",
    "serving": "gradio",
    "tagging": "apache_beam",
    "training_step": "torch",
}
READ_PROC = {"input_pipeline", "memory"}


def test_no_benchmark_is_forgotten():
    names = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    assert names - {"measuring"} == set(CASES)


@pytest.fixture(scope="session")
def unbroken_dir(colored_dir, shared_dir):
    """The run that two benchmarks compare others with: trained once."""
    output_dir = shared_dir / "runs" / "unbroken"
    with filelock.FileLock(shared_dir / "unbroken.lock"):
        if not output_dir.exists():
            flags = [flag.format(data=colored_dir) for flag in TRAIN_FLAGS]
            result = run_script("train", *flags, f"--output_dir={output_dir}")
            assert result.returncode == 0, result.stderr
    return output_dir


@pytest.mark.parametrize("name", CASES)
def test_a_benchmark_runs_and_prints_its_json(
    name, run_dir, colored_dir, tmp_path, request
):
    if reason := find_obstacle(name, tmp_path):
        pytest.skip(reason)
    where = {"run": run_dir, "data": colored_dir}
    arguments = [argument.format(**where) for argument in CASES[name]]
    env = os.environ | {"PYTHONPATH": str(ROOT), "BENCHMARK_RUNS": "0"}
    if TRAIN_FLAGS[0] in arguments:
        env["UNBROKEN"] = str(request.getfixturevalue("unbroken_dir"))
    result = subprocess.run(
        [sys.executable, f"benchmarks/{name}.py", *arguments],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    lines = [line for line in result.stdout.splitlines() if line.startswith("{")]
    assert lines and all("question" in json.loads(line) for line in lines)


def find_obstacle(name, folder):
    """Returns why a benchmark cannot run on this machine, if so."""
    module = MODULES.get(name)
    if module and importlib.util.find_spec(module) is None:
        return f"needs {module}, of the extras of setup.cfg"
    if name in READ_PROC and not Path("/proc/self/status").exists():
        return "reads the peak of memory in /proc"
    if name == "full_disk" and not may_mount(folder):
        return "only root, on Linux, may mount a disk in memory"
    return ""


def may_mount(folder):
    if shutil.which("mount") is None:
        return False
    mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder])
    if mounted.returncode == 0:
        subprocess.run(["umount", folder], check=True)
    return mounted.returncode == 0
