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
from landmarks_tf import errors
from landmarks_tf import files
from landmarks_tf import records
from landmarks_tf.records import RunMetrics

LABELS = "labels.txt"
METRICS = "metrics.json"
# Export format -> file or folder.
EXPORTS = {
    "saved_model": "saved_model",
    "float32": "model_float32.tflite",
    "float16": "model_float16.tflite",
    "int8": "model_int8.tflite",
}
LOCK = ".lock"
_UNFINISHED = ".unfinished"
# What to do with a run that is in the place of a new one.
_EXISTING = ("refuse", "resume", "overwrite")
# The locks of this process, by their folders.
_LOCKS: dict[Path, filelock.BaseFileLock] = {}


class _PathOf:
    """An attribute of a run that is the path of one of its files or folders."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, run: "Run", owner: type["Run"]) -> Path:
        return run.path / self._name


@dataclass(frozen=True)
class Run:
    """A run folder, whole or unfinished.

    Attributes:
        path: of the folder.
    """

    path: Path

    model_path = _PathOf("model.keras")
    labels_path = _PathOf(LABELS)
    flags_path = _PathOf("run.flags")
    split_path = _PathOf("split.json")
    history_path = _PathOf("history.csv")
    curves_path = _PathOf("curves.png")
    metrics_path = _PathOf(METRICS)
    report_path = _PathOf("report.html")
    parity_path = _PathOf("parity.json")
    vectors_dir = _PathOf("vectors")
    model_card_path = _PathOf("MODEL_CARD.md")
    # Only while a run is unfinished.
    checkpoints_dir = _PathOf("checkpoints")
    pixels_dir = _PathOf("pixels")

    @classmethod
    def unfinished(cls, output_dir: Path) -> "Run":
        """Returns the run where it is written until it is whole."""
        # Resolved: `.` and `..` have no name to stand beside.
        path = output_dir.resolve()
        return cls(path.with_name(path.name + _UNFINISHED))

    @classmethod
    def begin(cls, output_dir: Path, on_existing: str = "refuse") -> "Run":
        """Returns the unfinished run to write, which `publish` moves into place.

        It is locked until then, or until `release`.

        Args:
            output_dir: its place.
            on_existing: "refuse" a run that is there, whole or stopped; "resume" one
                that was stopped; or "overwrite" either.

        Raises:
            InvalidInput: if a run is there that is refused, if something else is there
                that is not to be overwritten, or if another process writes there.
        """
        wanted = f"one of {_EXISTING}"
        errors.require(on_existing in _EXISTING, "on_existing", wanted, on_existing)
        run = cls.unfinished(output_dir)
        is_going_on = on_existing == "resume" and run.checkpoints_dir.exists()
        if run.path.exists():
            run._lock()
        if refusal := run._find_refusal(output_dir, on_existing, is_going_on):
            run.release()
            raise errors.InvalidInput(refusal)
        run.path.mkdir(parents=True, exist_ok=True)
        run._lock()
        # What a killed program left half-written goes, see `replacing`; and without a
        # checkpoint all of it, which is little to lose.
        for pattern in ("unfinished_*", "old_*") if is_going_on else ("*",):
            for path in run.path.glob(pattern):
                if path.name != LOCK:
                    files.remove(path)
        return run

    def _find_refusal(
        self, output_dir: Path, on_existing: str, is_going_on: bool
    ) -> str:
        """Returns why a run is not begun; of one that may be, nothing."""
        is_there = output_dir.exists()
        if on_existing == "overwrite":
            if is_there and not Run(output_dir)._is_replaceable:
                return f"{output_dir} is not a run folder: it is not overwritten"
        elif self.checkpoints_dir.exists() and not is_going_on:
            return (
                f"{self.path} holds a run that was stopped: go on with --resume, or "
                "start again with --overwrite"
            )
        elif is_there and not is_going_on:
            return (
                f"{output_dir} exists: choose another --output_dir or pass --overwrite"
            )
        return ""

    @property
    def _is_replaceable(self) -> bool:
        is_empty = self.path.is_dir() and not any(self.path.iterdir())
        return is_empty or self.flags_path.exists()

    def _lock(self) -> None:
        """Locks it until `release` or the end of this process, of any kind."""
        lock = _LOCKS.get(self.path)
        if lock is None:
            lock = filelock.FileLock(self.path / LOCK, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise errors.InvalidInput(
                f"another program is writing in {self.path}"
            ) from error
        _LOCKS[self.path] = lock

    def release(self) -> None:
        """Lets other programs go on with a run that was begun."""
        lock = _LOCKS.pop(self.path, None)
        if lock is not None:
            lock.release(force=True)
            (self.path / LOCK).unlink(missing_ok=True)

    def publish(self, output_dir: Path) -> "Run":
        """Moves a run that is whole into place, over an older one if there is one."""
        self.release()
        files.move(self.path, output_dir)
        return Run(output_dir).tidy()

    def tidy(self) -> "Run":
        """Removes from a whole run what only one that goes on needs; returns it."""
        for path in (self.checkpoints_dir, self.pixels_dir):
            shutil.rmtree(path, ignore_errors=True)
        return self

    @property
    def is_finished(self) -> bool:
        """Whether it is whole, and no later one half-way is to take its place."""
        is_going_on = Run.unfinished(self.path).path.exists()
        return self.metrics_path.exists() and not is_going_on

    def refuse_overlap(self, data_dir: Path) -> None:
        """Raises InvalidInput if the run would lie in the data folder or hold it.

        A run among the class folders is taken for a class, and one over the data
        replaces it.
        """
        output, data = self.path.resolve(), data_dir.resolve()
        is_apart = not (output.is_relative_to(data) or data.is_relative_to(output))
        wanted = f"apart from the photos in {data_dir}"
        errors.require(is_apart, "output_dir", wanted, self.path)

    @property
    def name(self) -> str:
        """The folder's name, the same before and after it is whole."""
        return self.path.resolve().name.removesuffix(_UNFINISHED)

    def require(self, *paths: Path) -> None:
        """Raises InvalidInput if the folder or one of its files is missing."""
        if not self.path.is_dir():
            raise errors.InvalidInput(f"no such run folder: {self.path}")
        for path in paths:
            if not path.exists():
                raise errors.InvalidInput(
                    f"{self.path} is not a whole run folder: no {path.name}"
                )

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the labels."""
        path = self.labels_path
        if not path.is_file():
            raise errors.InvalidInput(f"no class names: {path} is missing")
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise errors.InvalidInput(f"{path} is not a text file in UTF-8") from error
        return tuple(text.removesuffix("\n").split("\n"))

    def write_class_names(self, class_names: Sequence[str]) -> None:
        """Writes `labels.txt`: a class name a line, in the order of the labels."""
        text = "".join(f"{name}\n" for name in class_names)
        self.labels_path.write_text(text, encoding="utf-8")

    @property
    def history(self) -> list[dict[str, float]]:
        """The rows of `history.csv`, an epoch each; none where it is missing."""
        path = self.history_path
        if not path.exists():
            return []
        try:
            with open(path, encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
            return [{k: float(v or "nan") for k, v in row.items()} for row in rows]
        except (ValueError, TypeError) as error:  # what stands there is no number
            raise errors.InvalidInput(
                f"{path} is damaged: delete it to go on"
            ) from error

    def write_history(self, history: Sequence[Mapping[str, float]]) -> None:
        """Writes `history.csv`: a row an epoch, epochs counted from 1."""
        with open(self.history_path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["epoch", *history[0]], lineterminator="\n")
            writer.writeheader()
            for index, row in enumerate(history):
                writer.writerow({"epoch": index + 1, **row})

    @property
    def metrics(self) -> RunMetrics:
        """What `metrics.json` says; nothing where there is none yet."""
        record, path = _load_record(self.metrics_path), self.metrics_path
        try:
            return records.from_json(RunMetrics, record)
        except (TypeError, ValueError, AttributeError) as error:
            raise errors.InvalidInput(
                f"{path} is damaged: delete it to go on"
            ) from error

    def write_metrics(self, **sections: object) -> None:
        """Writes sections of `metrics.json`, named as in RunMetrics; others stay."""
        path = self.metrics_path
        written = {name: records.to_json(part) for name, part in sections.items()}
        _write_record(path, _load_record(path) | written)

    @property
    def parity(self) -> dict[str, dict]:
        """What `parity.json` says of each format; nothing where there is none yet."""
        return _load_record(self.parity_path)

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
        _write_record(self.parity_path, kept)


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


def _load_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if not isinstance(record, dict):
            raise ValueError("no object")
    except ValueError as error:
        raise errors.InvalidInput(f"{path} is damaged: delete it to go on") from error
    return record


def _write_record(target: Path, record: dict[str, Any]) -> None:
    with files.replacing(target) as path:
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
