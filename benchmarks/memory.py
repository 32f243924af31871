"""Does memory grow with the epochs of a training, or with the photos of an answer?

  python benchmarks/memory.py MODEL DATA_DIR [NUM_PHOTOS [IMAGE_SIZE]]

Trains the reference network at IMAGE_SIZE (800), batches of 8, for 14 epochs of two
photos a class of a data folder with train/, of which the first four fill what is kept,
and asks predict.py about NUM_PHOTOS photos of it (20,000 unless told otherwise; the
same ones again and again). Reads the peak of resident memory ten times and prints the
line through the points. Linux.
"""

import itertools
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from measuring import tell

ROOT = Path(__file__).parents[1]
NUM_POINTS = 10
NUM_FILLING = 4
NUM_PHOTOS = 20_000
NUM_OF_EACH_CLASS = 2


def link(photos: list[Path], folder: Path) -> None:
    folder.mkdir(parents=True)
    for number, photo in enumerate(photos):
        (folder / f"{number:06}{photo.suffix}").symlink_to(photo.resolve())


def run(script: str, *arguments: str) -> Iterator[tuple[str, float]]:
    """Yields each line that a script prints, and its peak of memory in MB."""
    command = [sys.executable, "-u", f"scripts/{script}.py", *arguments]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout
    for line in process.stdout:
        status = Path(f"/proc/{process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s*(\d+) kB", status)
        yield line, int(found[1]) / 1000 if found else float("nan")
    if process.wait():
        sys.exit(f"{script}.py ended with {process.returncode}")


def train(data_dir: Path, image_size: int, folder: Path) -> list[tuple[int, float]]:
    """Returns epochs with the memory after each."""
    for split in ("train", "test"):
        for landmark in sorted((data_dir / "train").iterdir()):
            begin = 0 if split == "train" else NUM_OF_EACH_CLASS
            photos = sorted(landmark.iterdir())[begin : begin + NUM_OF_EACH_CLASS]
            link(photos, folder / "photos" / split / landmark.name)
    points = []
    for line, memory in run(
        "train",
        "--flagfile=scripts/flags/reference.flags",
        f"--image_size={image_size}",
        f"--epochs={NUM_FILLING + NUM_POINTS + 1}",
        "--formats=",
        f"--data_dir={folder / 'photos'}",
        f"--output_dir={folder / 'run'}",
    ):
        if found := re.match(r"Epoch (\d+)/", line):
            points.append((int(found[1]) - 1, memory))
    return points[NUM_FILLING:]


def predict(
    model: Path, data_dir: Path, num_photos: int, folder: Path
) -> list[tuple[int, float]]:
    """Returns numbers of photos with the memory after each."""
    photos = sorted(data_dir.glob("train/*/*"))
    link([*itertools.islice(itertools.cycle(photos), num_photos)], folder / "many")
    answers = run("predict", f"--model={model}", "--output=json", str(folder / "many"))
    return [
        (number, memory)
        for number, (_, memory) in enumerate(answers, start=1)
        if number % (num_photos // NUM_POINTS) == 0
    ]


def report(what: str, unit: str, points: list[tuple[int, float]]) -> None:
    numbers, memories = np.array(points, float).T
    slope, level = np.polyfit(numbers, memories, 1)
    for number, memory in points:
        print(f"  {number:>6} {unit}s: {memory:,.0f} MB")
    tell(f"memory of {what}", megabytes=level, **{f"megabytes_a_{unit}": slope})


def main(
    model: Path, data_dir: Path, num_photos: int = NUM_PHOTOS, image_size: int = 800
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report("predict", "photo", predict(model, data_dir, num_photos, folder))
        report("training", "epoch", train(data_dir, image_size, folder))


if __name__ == "__main__":
    paths = [Path(argument).resolve() for argument in sys.argv[1:3]]
    main(*paths, *map(int, sys.argv[3:]))
