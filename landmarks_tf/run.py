"""A run folder, `saved_models/<name>/`: its files, its lock, and how it appears whole.

A run is written in `<name>.unfinished` beside its place and moved there when all of it
is written. A record: it decides nothing. No TensorFlow.
"""

import csv
import json
import os
import platform
import shutil
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import filelock

import landmarks_tf
from landmarks_tf import records
from landmarks_tf.errors import InvalidInput
from landmarks_tf.errors import require
from landmarks_tf.files import move
from landmarks_tf.files import remove
from landmarks_tf.files import replacing
from landmarks_tf.records import RunMetrics

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
_UNFINISHED = ".unfinished"
LOCK = ".lock"
# What to do with a run that is in the place of a new one.
EXISTING = ("refuse", "resume", "overwrite")
# The locks of this process, by their folders.
_LOCKS: dict[Path, filelock.BaseFileLock] = {}


@dataclass(frozen=True)
class Run:
    """A run folder, whole or unfinished.

    Attributes:
        path: of the folder.
    """

    path: Path

    @property
    def name(self) -> str:
        """The folder's name, the same before and after it is whole."""
        return self.path.resolve().name.removesuffix(_UNFINISHED)

    def require(self, *names: str) -> None:
        """Raises InvalidInput if the folder or one of its files is missing."""
        if not self.path.is_dir():
            raise InvalidInput(f"no such run folder: {self.path}")
        for name in names:
            if not (self.path / name).exists():
                raise InvalidInput(f"{self.path} is not a whole run folder: no {name}")

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the labels."""
        return load_class_names(self.path / LABELS)

    @property
    def history(self) -> list[dict[str, float]]:
        """The rows of `history.csv`, an epoch each; none where it is missing."""
        path = self.path / HISTORY
        if not path.exists():
            return []
        try:
            with open(path, encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
            return [{k: float(v or "nan") for k, v in row.items()} for row in rows]
        except (ValueError, TypeError) as error:  # what stands there is no number
            raise InvalidInput(f"{path} is damaged: delete it to go on") from error

    def write_history(self, history: Sequence[Mapping[str, float]]) -> None:
        """Writes `history.csv`: a row an epoch, epochs counted from 1."""
        path = self.path / HISTORY
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["epoch", *history[0]], lineterminator="\n")
            writer.writeheader()
            for index, row in enumerate(history):
                writer.writerow({"epoch": index + 1, **row})

    @property
    def metrics(self) -> RunMetrics:
        """What `metrics.json` says; nothing where there is none yet."""
        path = self.path / METRICS
        try:
            return records.from_json(RunMetrics, _load_record(path))
        except (TypeError, ValueError, AttributeError) as error:
            if isinstance(error, InvalidInput):
                raise
            raise InvalidInput(f"{path} is damaged: delete it to go on") from error

    def write_metrics(self, **sections: object) -> None:
        """Writes sections of `metrics.json`, named as in RunMetrics; others stay."""
        path = self.path / METRICS
        written = {name: records.to_json(part) for name, part in sections.items()}
        _write_record(path, _load_record(path) | written)

    @property
    def parity(self) -> dict[str, dict]:
        """What `parity.json` says of each format; nothing where there is none yet."""
        return _load_record(self.path / PARITY)

    def write_parity(self, **sections: object) -> None:
        """Writes sections of `parity.json`, one a format.

        Others stay, if their file is there.
        """
        record = self.parity | sections
        kept = {
            name: section
            for name, section in record.items()
            if name in sections or (self.path / EXPORTS[name]).exists()
        }
        _write_record(self.path / PARITY, kept)


def unfinished_dir(output_dir: Path) -> Path:
    """Returns where a run is written until it is whole."""
    # Resolved: `.` and `..` have no name to stand beside.
    path = output_dir.resolve()
    return path.with_name(path.name + _UNFINISHED)


def is_finished(output_dir: Path) -> bool:
    """Returns whether a whole run, and no later one half-way, is in its place."""
    is_going_on = unfinished_dir(output_dir).exists()
    return (output_dir / METRICS).exists() and not is_going_on


def begin_run(output_dir: Path, on_existing: str = "refuse") -> Run:
    """Returns the unfinished run to write, which `publish_run` moves into place.

    It is locked until then, or until `release_run`.

    Args:
        output_dir: its place.
        on_existing: "refuse" a run that is there, whole or stopped; "resume" one that
            was stopped; or "overwrite" either.

    Raises:
        InvalidInput: if a run is there that is refused, if something else is there that
            is not to be overwritten, or if another process writes there.
    """
    require(on_existing in EXISTING, "on_existing", f"one of {EXISTING}", on_existing)
    if on_existing == "overwrite" and output_dir.exists():
        if not _is_replaceable(output_dir):
            raise InvalidInput(
                f"{output_dir} is not a run folder: it is not overwritten"
            )
    unfinished = unfinished_dir(output_dir)
    is_stopped = (unfinished / CHECKPOINTS).exists()
    if unfinished.exists():
        _lock(unfinished)
    try:
        if is_stopped and on_existing == "refuse":
            raise InvalidInput(
                f"{unfinished} holds a run that was stopped: go on with --resume, or "
                "start again with --overwrite"
            )
        is_going_on = is_stopped and on_existing == "resume"
        if output_dir.exists() and on_existing != "overwrite" and not is_going_on:
            raise InvalidInput(
                f"{output_dir} exists: choose another --output_dir or pass --overwrite"
            )
    except InvalidInput:
        release_run(output_dir)
        raise
    if is_going_on:
        _remove_leftovers(unfinished)
        return Run(unfinished)
    unfinished.mkdir(parents=True, exist_ok=True)
    _lock(unfinished)
    for path in unfinished.iterdir():
        # Without a checkpoint there is little in it to lose.
        if path.name != LOCK:
            remove(path)
    return Run(unfinished)


def release_run(output_dir: Path) -> None:
    """Lets other programs go on with the run that was begun for `output_dir`."""
    unfinished = unfinished_dir(output_dir)
    lock = _LOCKS.pop(unfinished, None)
    if lock is not None:
        lock.release(force=True)
        (unfinished / LOCK).unlink(missing_ok=True)


def publish_run(output_dir: Path) -> Run:
    """Moves a run that is whole into place, over an older one if there is one."""
    release_run(output_dir)
    move(unfinished_dir(output_dir), output_dir)
    tidy_run(output_dir)
    return Run(output_dir)


def tidy_run(output_dir: Path) -> None:
    """Removes from a whole run what only one that goes on needs."""
    for name in (CHECKPOINTS, PIXELS):
        shutil.rmtree(output_dir / name, ignore_errors=True)


def refuse_overlap(output_dir: Path, data_dir: Path) -> None:
    """Raises InvalidInput if the run would lie in the data folder or hold it.

    A run among the class folders is taken for a class, and one over the data
    replaces it.
    """
    output, data = output_dir.resolve(), data_dir.resolve()
    is_apart = not (output.is_relative_to(data) or data.is_relative_to(output))
    require(is_apart, "output_dir", f"apart from the photos in {data_dir}", output_dir)


def load_class_names(path: Path) -> tuple[str, ...]:
    """Returns the class names of a `labels.txt`, in the order of the labels."""
    if not path.is_file():
        raise InvalidInput(f"no class names: {path} is missing")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not a text file in UTF-8") from error
    return tuple(text.removesuffix("\n").split("\n"))


def write_class_names(path: Path, class_names: Sequence[str]) -> None:
    """Writes `labels.txt`: a class name a line, in the order of the labels."""
    path.write_text("".join(f"{name}\n" for name in class_names), encoding="utf-8")


def describe_environment() -> dict[str, str | int | None]:
    """Returns the versions and the machine that a run is made with."""
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


def _lock(folder: Path) -> None:
    """Locks a folder until `release_run` or the end of this process, of any kind."""
    lock = _LOCKS.get(folder)
    if lock is None:
        lock = filelock.FileLock(folder / LOCK, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise InvalidInput(f"another program is writing in {folder}") from error
    _LOCKS[folder] = lock


def _remove_leftovers(run_dir: Path) -> None:
    """Removes what a program that was killed left half-written, see `replacing`."""
    for pattern in ("unfinished_*", "old_*"):
        for path in run_dir.glob(pattern):
            remove(path)


def _load_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if not isinstance(record, dict):
            raise ValueError("no object")
    except ValueError as error:
        raise InvalidInput(f"{path} is damaged: delete it to go on") from error
    return record


def _write_record(target: Path, record: dict[str, Any]) -> None:
    with replacing(target) as path:
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _is_replaceable(path: Path) -> bool:
    return path.is_dir() and ((path / FLAGS).exists() or not any(path.iterdir()))
