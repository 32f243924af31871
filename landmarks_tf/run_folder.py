"""The files of a run, `saved_models/<name>/`: their names, and how they appear whole.

A run is written in `<name>.unfinished` beside its place and moved there when all of
it is written. No TensorFlow.
"""

import contextlib
import csv
import json
import os
import platform
import shutil
import threading
from collections.abc import Iterator
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import landmarks_tf
from landmarks_tf import errors
from landmarks_tf import folder_lock
from landmarks_tf.errors import InvalidInput

MODEL = "model.keras"
LABELS = "labels.txt"
FLAGS = "run.flags"
SPLIT = "split.json"
HISTORY = "history.csv"
CURVES = "curves.png"
METRICS = "metrics.json"
REPORT = "report.html"
PARITY = "parity.json"
VECTORS = "vectors"
MODEL_CARD = "MODEL_CARD.md"
# Export format -> file or folder.
EXPORTS = {
    "saved_model": "saved_model",
    "float32": "model_float32.tflite",
    "float16": "model_float16.tflite",
    "int8": "model_int8.tflite",
}

# Only while a run is unfinished.
CHECKPOINTS = "checkpoints"
PIXELS = "pixels"


def unfinished_dir(output_dir: Path) -> Path:
    """Returns where a run is written until it is whole."""
    # Resolved: `.` and `..` have no name to stand beside.
    path = output_dir.resolve()
    return path.with_name(path.name + ".unfinished")


def is_finished(output_dir: Path) -> bool:
    """Returns whether a whole run, and no later one half-way, is in its place."""
    is_going_on = unfinished_dir(output_dir).exists()
    return (output_dir / METRICS).exists() and not is_going_on


def begin(output_dir: Path, resume: bool, overwrite: bool) -> Path:
    """Returns the folder to write a run in, which is moved into place by `publish`.

    It is locked until then, or until `give_back`.

    Raises:
        InvalidInput: if a run is there and neither flag says what to do with it, if
            something else is there that is not to be overwritten, or if another
            process writes there.
    """
    if resume and overwrite:
        raise InvalidInput("--resume and --overwrite exclude each other")
    if overwrite and output_dir.exists() and not _is_replaceable(output_dir):
        raise InvalidInput(f"{output_dir} is not a run folder: it is not overwritten")
    unfinished = unfinished_dir(output_dir)
    is_stopped = (unfinished / CHECKPOINTS).exists()
    if unfinished.exists():
        folder_lock.hold(unfinished)
    try:
        if is_stopped and not resume and not overwrite:
            raise InvalidInput(
                f"{unfinished} holds a run that was stopped: go on with --resume, or "
                "start again with --overwrite"
            )
        if output_dir.exists() and not overwrite and not (is_stopped and resume):
            raise InvalidInput(
                f"{output_dir} exists: choose another --output_dir or pass --overwrite"
            )
    except InvalidInput:
        give_back(output_dir)
        raise
    if is_stopped and resume:
        _remove_leftovers(unfinished)
        return unfinished
    unfinished.mkdir(parents=True, exist_ok=True)
    folder_lock.hold(unfinished)
    for path in unfinished.iterdir():
        # Without a checkpoint there is little in it to lose.
        if path.name != folder_lock.LOCK:
            remove(path)
    return unfinished


def give_back(output_dir: Path) -> None:
    """Lets other programs go on with the run that was begun for `output_dir`."""
    folder_lock.release(unfinished_dir(output_dir))


def publish(output_dir: Path) -> None:
    """Moves a run that is whole into place, over an older one if there is one."""
    give_back(output_dir)
    unfinished = unfinished_dir(output_dir)
    _replace(unfinished, output_dir)
    tidy(output_dir)


def tidy(output_dir: Path) -> None:
    """Removes from a whole run what only one that goes on needs."""
    for name in (CHECKPOINTS, PIXELS):
        shutil.rmtree(output_dir / name, ignore_errors=True)


def _remove_leftovers(run_dir: Path) -> None:
    """Removes what a program that was killed left half-written, see `replacing`."""
    for pattern in ("unfinished_*", "old_*"):
        for path in run_dir.glob(pattern):
            remove(path)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a path to write a file or folder at, which then takes `path`'s place.

    If the block fails, `path` stays as it was; if it removes what it wrote, `path` goes
    too.
    """
    # The suffix stays last: Keras and matplotlib choose their formats by it.
    writer = f"{os.getpid()}_{threading.get_ident()}"
    aside = path.with_name(f"unfinished_{writer}_{path.name}")
    try:
        yield aside
        if aside.exists():
            _replace(aside, path)
        else:
            remove(path)
    finally:
        remove(aside)


def require(run_dir: Path, *names: str) -> None:
    """Raises InvalidInput if the folder or one of its files is missing."""
    if not run_dir.is_dir():
        raise InvalidInput(f"no such run folder: {run_dir}")
    for name in names:
        if not (run_dir / name).exists():
            raise InvalidInput(f"{run_dir} is not a whole run folder: no {name}")


def write_class_names(path: Path, class_names: Sequence[str]) -> None:
    """Writes `labels.txt`: a class name a line, in the order of the labels."""
    path.write_text("".join(f"{name}\n" for name in class_names), encoding="utf-8")


def load_class_names(path: Path) -> tuple[str, ...]:
    """Returns the class names of a `labels.txt`, in the order of the labels."""
    if not path.is_file():
        raise InvalidInput(f"no class names: {path} is missing")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not a text file in UTF-8") from error
    return tuple(text.removesuffix("\n").split("\n"))


def load_history(run_dir: Path) -> list[dict[str, float]]:
    """Returns the rows of `history.csv`, an epoch each; none where it is missing."""
    path = run_dir / HISTORY
    if not path.exists():
        return []
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return [{k: float(v or "nan") for k, v in row.items()} for row in rows]
    except (ValueError, TypeError) as error:  # what stands there is no number
        raise InvalidInput(f"{path} is damaged: delete it to go on") from error


def load_metrics(run_dir: Path) -> dict:
    """Returns `metrics.json`, or an empty record where there is none yet."""
    return _load_record(run_dir / METRICS)


def write_metrics(run_dir: Path, **sections: object) -> None:
    """Writes sections of `metrics.json`; other sections of it stay."""
    _write_record(run_dir / METRICS, load_metrics(run_dir) | sections)


def load_parity(run_dir: Path) -> dict:
    """Returns `parity.json`, or an empty record where there is none yet."""
    return _load_record(run_dir / PARITY)


def write_parity(run_dir: Path, **sections: object) -> None:
    """Writes sections of `parity.json`, one a format; others stay, if their file is."""
    record = load_parity(run_dir) | sections
    kept = {
        name: section
        for name, section in record.items()
        if name in sections or (run_dir / EXPORTS[name]).exists()
    }
    _write_record(run_dir / PARITY, kept)


def _load_record(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as error:
        raise InvalidInput(f"{path} is damaged: delete it to go on") from error


def _write_record(target: Path, record: dict) -> None:
    with replacing(target) as path:
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def environment() -> dict[str, str | int | None]:
    """Returns the versions and the machine that a run was made with."""
    packages = ("tensorflow", "keras", "numpy", "pillow")
    versions = {package: metadata.version(package) for package in packages}
    return {
        "landmarks_tf": landmarks_tf.__version__,
        "python": platform.python_version(),
        **versions,
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "TF_ENABLE_ONEDNN_OPTS": os.environ.get("TF_ENABLE_ONEDNN_OPTS"),
    }


def refuse_overlap(output_dir: Path, data_dir: Path) -> None:
    """Raises InvalidInput if the run would lie in the data folder or hold it.

    A run among the class folders is taken for a class, and one over the data
    replaces it.
    """
    output, data = output_dir.resolve(), data_dir.resolve()
    is_apart = not (output.is_relative_to(data) or data.is_relative_to(output))
    errors.require(
        is_apart, "output_dir", f"apart from the photos in {data_dir}", output_dir
    )


def _is_replaceable(path: Path) -> bool:
    return path.is_dir() and ((path / FLAGS).exists() or not any(path.iterdir()))


def _replace(source: Path, target: Path) -> None:
    if target.is_dir():
        # A folder cannot be renamed over another: the old one steps aside first.
        old = target.with_name(f"old_{os.getpid()}_{target.name}")
        target.rename(old)
        source.rename(target)
        remove(old)
    else:
        os.replace(source, target)


def count_bytes(path: Path) -> int:
    """Returns the size of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def remove(path: Path) -> None:
    """Removes a file or folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
