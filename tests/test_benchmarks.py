"""Each benchmark runs, on toy input; what it measures then means nothing."""

import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT
from conftest import TOY_FLAGS
from PIL import Image

pytestmark = pytest.mark.long
TRAIN_FLAGS = [flag for flag in TOY_FLAGS if "formats" not in flag]
# name -> its arguments; {run}, {photos}, {data} and {large} are filled in.
CASES = {
    "answers": ["{run}", "{data}/test"],
    "backbones": ["MobileNetV2", "64"],
    "catalog": ["5", "10"],
    "check_data": ["50"],
    "client": ["{run}"],
    "duplicates": ["50"],
    "full_disk": ["1", *TRAIN_FLAGS, "--formats=float32", "--data_dir={data}"],
    "input_pipeline": ["{large}", "9"],
    "kills": ["1", *TRAIN_FLAGS, "--formats=float32", "--data_dir={data}"],
    "memory": ["{run}/model_float32.tflite", "{data}", "30", "64"],
    "serving": ["{run}/model_float32.tflite", "{data}/test"],
    "tagging": ["{run}/model_float32.tflite", "{data}/test", "15"],
    "training_step": ["64", "2"],
    "transfer": ["{data}", "none", "2"],
}


def test_no_benchmark_is_forgotten():
    names = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    assert names - {"measuring"} == set(CASES)


@pytest.fixture(scope="module")
def large_dir(colored_dir, tmp_path_factory):
    """Photos of the size that the input pipeline shows: Keras shrinks otherwise."""
    folder = tmp_path_factory.mktemp("large")
    for path in (colored_dir / "test").glob("*/*.jpg"):
        target = folder / path.parent.name / path.name
        target.parent.mkdir(exist_ok=True)
        with Image.open(path) as photo:
            photo.resize((800, 800)).save(target, quality=95)
    return folder


@pytest.mark.parametrize("name", CASES)
def test_a_benchmark_runs_and_prints_its_json(name, run_dir, colored_dir, large_dir):
    if name == "full_disk" and os.geteuid():
        pytest.skip("only root may mount a disk")
    where = {"run": run_dir, "data": colored_dir, "large": large_dir}
    arguments = [argument.format(**where) for argument in CASES[name]]
    result = subprocess.run(
        [sys.executable, f"benchmarks/{name}.py", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "BENCHMARK_RUNS": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    lines = [line for line in result.stdout.splitlines() if line.startswith("{")]
    assert lines and all("question" in json.loads(line) for line in lines)
