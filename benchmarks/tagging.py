"""How many photos a second does `tag_library.py` tag, beside `predict.py`?

PYTHONPATH=. python benchmarks/tagging.py MODEL.tflite FOLDER_OF_PHOTOS [NUM_PHOTOS]

The same photos with 1 and 2 threads and by `predict.py --output=json`, whose
answers must be the same to the last digit. From the shell, start and all; and without:
the time of one photo by the same command is taken off. Also in seconds of the
processor, which other work on the machine changes less.
"""

import functools
import resource
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from measuring import measure
from measuring import median
from measuring import report

from landmarks_tf.data.photo_set import find_photos

SCRIPTS = Path(__file__).parents[1] / "scripts"
NUM_RUNS = 3


def predict(model: Path, photos: Path) -> list[str]:
    """Returns the lines that the script prints, in order."""
    command = [sys.executable, SCRIPTS / "predict.py", f"--model={model}"]
    done = subprocess.run(
        [*command, "--output=json", photos], capture_output=True, text=True, check=True
    )
    return sorted(done.stdout.splitlines())


def tag(model: Path, photos: Path, num_workers: int) -> list[str]:
    """Returns the lines that the script writes, in order."""
    with tempfile.TemporaryDirectory() as folder:
        named = {
            "model": model,
            "photos": photos,
            "output_dir": folder,
            "num_workers": num_workers,
        }
        flags = [f"--{name}={value}" for name, value in named.items()]
        command = [sys.executable, SCRIPTS / "tag_library.py", *flags]
        subprocess.run(command, capture_output=True, check=True)
        written = [path.read_text() for path in Path(folder).glob("tags-*")]
        return sorted("".join(written).splitlines())


def measure_all(question: str, model: Path, photos: Path) -> dict[str, float]:
    """Returns the median seconds of each way, whose answers must be the same."""
    answers: dict[str, list[str]] = {}
    processor: dict[str, list[float]] = defaultdict(list)

    def note(name: str, ask: Callable[[], list[str]]) -> None:
        before = processor_seconds()
        answers[name] = ask()
        processor[name].append(processor_seconds() - before)

    ways = {
        "tag_library.py, 1 thread": lambda: tag(model, photos, 1),
        "tag_library.py, 2 threads": lambda: tag(model, photos, 2),
        "predict.py": lambda: predict(model, photos),
    }
    contestants = {name: functools.partial(note, name, ways[name]) for name in ways}
    seconds = measure(question, contestants, NUM_RUNS)
    if any(answer != answers["predict.py"] for answer in answers.values()):
        raise RuntimeError("not the same answers")
    for name, taken in processor.items():
        print(f"  {median(taken):7.2f} s of processor  {photos.name}  {name}")
    return seconds


def processor_seconds() -> float:
    """Returns what processes took that were started and have ended."""
    taken = resource.getrusage(resource.RUSAGE_CHILDREN)
    return taken.ru_utime + taken.ru_stime


def main() -> None:
    model, source = Path(sys.argv[1]), Path(sys.argv[2])
    found = find_photos([source])[: int((sys.argv[3:] or ["500"])[0])]
    with tempfile.TemporaryDirectory() as folder:
        many, one = Path(folder, "many"), Path(folder, "one")
        for part, photos in ((many, found), (one, found[:1])):
            part.mkdir()
            for number, photo in enumerate(photos):
                (part / f"{number:05}{photo.suffix}").symlink_to(photo.resolve())
        start = measure_all("one photo, from the shell", model, one)
        whole = measure_all(f"{len(found)} photos, from the shell", model, many)
    without = {name: whole[name] - start[name] for name in whole}
    report(f"{len(found) - 1} photos, start-up taken off", without)
    for name in whole:
        print(
            f"  {len(found) / whole[name]:7.1f} photos/s,"
            f" {(len(found) - 1) / without[name]:7.1f} without the start  {name}"
        )


if __name__ == "__main__":
    main()
