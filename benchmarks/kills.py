"""Does a run that is killed again and again end as the one that never was?

  python benchmarks/kills.py [NUM_KILLS] [FLAGS OF train.py ...]

Trains once without, then once with `kill -9` at random moments (20 unless told
otherwise) and `--resume` after each: while starting, in an epoch, a checkpoint, an
export. Compares weights, history, split and metrics bit for bit. Default: 30 epochs of
the drawn sample set, which FLAGS replace. A run UNBROKEN of the environment, trained
with the same flags, is not trained here.
"""

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
from measuring import NUM_RUNS
from measuring import tell

ROOT = Path(__file__).parents[1]
NUM_KILLS = 20
FLAGS = (
    "--flagfile=scripts/flags/quickstart.flags",
    "--epochs=30",
    "--deterministic",
)
SEED = 0


def train(output_dir: Path, flags: list[str], *more: str) -> subprocess.Popen:
    command = [sys.executable, "scripts/train.py", *flags, f"--output_dir={output_dir}"]
    with open(output_dir.with_suffix(".log"), "a", encoding="utf-8") as log:
        return subprocess.Popen([*command, *more], cwd=ROOT, stdout=log, stderr=log)


def copy_unbroken(output_dir: Path) -> float:
    """Copies the run that the environment names, if any, and returns its seconds."""
    source = os.environ.get("UNBROKEN")
    if not source:
        return 0
    shutil.copytree(source, output_dir)
    metrics = json.loads((output_dir / "metrics.json").read_text())
    return starting_seconds() + metrics["training"]["seconds"]


def run_unbroken(output_dir: Path, flags: list[str]) -> float:
    """Returns the seconds that it takes."""
    begin = time.monotonic()
    if train(output_dir, flags).wait():
        sys.exit(output_dir.with_suffix(".log").read_text())
    return time.monotonic() - begin


def kill_again_and_again(
    output_dir: Path, flags: list[str], num_kills: int, seconds: float
) -> list[str]:
    """Returns what the run was doing at each kill, by its last line."""
    moments = random.Random(SEED)
    # A kill after the run's end would be none: few kills come early.
    longest = min(seconds * 2 / num_kills + starting_seconds(), seconds / 2)
    doing = []
    for number in range(num_kills):
        process = go_on(output_dir, flags)
        time.sleep(moments.uniform(0, longest))
        if process.poll() is not None:
            if process.returncode:
                sys.exit(output_dir.with_suffix(".log").read_text())
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        lines = output_dir.with_suffix(".log").read_text().splitlines()
        doing.append(lines[-1] if lines else "starting")
        print(f"kill {number + 1}: {doing[-1][:70]}", flush=True)
    if not output_dir.exists():
        if go_on(output_dir, flags).wait():
            sys.exit(output_dir.with_suffix(".log").read_text())
    return doing


def go_on(output_dir: Path, flags: list[str]) -> subprocess.Popen:
    """Resumes a run, or starts it if nothing is there to resume."""
    is_begun = output_dir.with_name(f"{output_dir.name}.unfinished").exists()
    return train(output_dir, flags, *["--resume"] * is_begun)


def starting_seconds() -> float:
    begin = time.monotonic()
    subprocess.run([sys.executable, "-c", "import tensorflow"], capture_output=True)
    return 2 * (time.monotonic() - begin)


def compare(first: Path, second: Path) -> list[str]:
    """Returns in what two runs differ."""
    differing = []
    models = [keras.models.load_model(path / "model.keras") for path in (first, second)]
    for one, other in zip(models[0].weights, models[1].weights, strict=True):
        if not np.array_equal(one, other):
            differing.append(one.path)
    names = [{file.name for file in path.iterdir()} for path in (first, second)]
    differing += sorted(names[0] ^ names[1])
    for name in ("history.csv", "split.json", "labels.txt"):
        if (first / name).read_bytes() != (second / name).read_bytes():
            differing.append(name)
    metrics = [
        json.loads((path / "metrics.json").read_text()) for path in (first, second)
    ]
    for record in metrics:  # how long it took is no result
        for name in ("seconds", "images_per_second"):
            record["training"].pop(name)
    if metrics[0] != metrics[1]:
        differing.append("metrics.json")
    return differing


def main(num_kills: int, flags: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        unbroken, killed = Path(folder) / "unbroken", Path(folder) / "killed"
        seconds = copy_unbroken(unbroken)
        if not seconds:
            seconds = run_unbroken(unbroken, flags)
            if NUM_RUNS:  # again: that was the warm-up, which remembers photos' hashes
                shutil.rmtree(unbroken)
                seconds = run_unbroken(unbroken, flags)
        doing = kill_again_and_again(killed, flags, num_kills, seconds)
        differing = compare(unbroken, killed)
        with open(unbroken / "history.csv", encoding="utf-8") as file:
            num_epochs = len(list(csv.DictReader(file)))
    tell(
        "a run killed at random moments",
        kills=len(doing),
        epochs=num_epochs,
        seconds=round(seconds),
        differing=differing,
    )
    if differing or not doing:
        sys.exit(1)


if __name__ == "__main__":
    has_number = len(sys.argv) > 1 and sys.argv[1].isdecimal()
    main(
        int(sys.argv[1]) if has_number else NUM_KILLS,
        sys.argv[1 + has_number :] or [*FLAGS],
    )
