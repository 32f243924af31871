"""Predictions as text: a table for people, a record a photo for programs; pictures."""

import csv
import json
import shutil
import sys
import unicodedata
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from landmarks_tf.errors import InvalidInput
from landmarks_tf.files import replacing
from landmarks_tf.inference import prediction
from landmarks_tf.inference.classifier import Classifier
from landmarks_tf.inference.photo_input import Photo
from landmarks_tf.names import printable

# The path of bytes that came without one.
STDIN = "-"
_PROBABILITY = "probability"
# Letters of a photo's name that its overlay is named by.
_MAX_STEM = 50
_MIN_PHOTO_WIDTH = 16
_MIN_NAME_WIDTH = 8

Outcome = prediction.Prediction | InvalidInput
Writer = Callable[[str, Outcome], None]


def make_writer(
    form: str, photos: Sequence[str], names: Sequence[str], k: int, file: IO[str]
) -> Writer:
    """Returns the function that writes the prediction for one photo.

    Args:
        form: "table", "json" or "csv".
        photos: what each photo is called, of all that will be predicted.
        names: of all landmarks.
        k: landmarks to name of each.
        file: to write into.
    """
    if form == "json":
        return _make_json_writer(file)
    if form == "csv":
        return _make_csv_writer(min(k, len(names)), file)
    return _make_table_writer(photos, names, file)


def to_record(photo: str, outcome: Outcome) -> dict:
    """Returns what programs read of a photo: its landmarks, or why there are none."""
    if isinstance(outcome, InvalidInput):
        return {"photo": photo, "error": str(outcome)}
    return outcome.to_record(photo)


def _make_json_writer(file: IO[str]) -> Writer:
    def write(photo: str, outcome: Outcome) -> None:
        file.write(json.dumps(to_record(photo, outcome)) + "\n")
        file.flush()

    return write


def _make_csv_writer(k: int, file: IO[str]) -> Writer:
    fields = ("name", "class_name", _PROBABILITY)
    numbered = [f"{field}_{rank}" for rank in range(1, k + 1) for field in fields]
    columns = ["photo", "is_known", *numbered, "error"]
    rows = csv.DictWriter(file, columns, lineterminator="\n")
    rows.writeheader()

    def write(photo: str, outcome: Outcome) -> None:
        record = to_record(photo, outcome)
        for rank, landmark in enumerate(record.pop("landmarks", []), start=1):
            landmark[_PROBABILITY] = f"{landmark[_PROBABILITY]:.6f}"
            record |= {f"{field}_{rank}": text for field, text in landmark.items()}
        if "is_known" in record:
            record["is_known"] = str(record["is_known"]).lower()
        rows.writerow(record)
        file.flush()

    return write


def _make_table_writer(
    photos: Sequence[str], names: Sequence[str], file: IO[str]
) -> Writer:
    total = shutil.get_terminal_size().columns if file.isatty() else sys.maxsize
    photo_width = max(map(_width, (*photos, "photo")))
    name_width = max(map(_width, (*names, prediction.UNKNOWN)))
    # Names are what was asked for: paths are cut first. Two blanks between columns.
    free = total - len(_PROBABILITY) - 4
    photo_width = min(photo_width, max(free - name_width, _MIN_PHOTO_WIDTH))
    name_width = min(name_width, max(free - photo_width, _MIN_NAME_WIDTH))

    def row(photo: str, name: str, last: str) -> None:
        photo = _fit(printable(photo), photo_width, cuts_start=True)
        name = _fit(printable(name), name_width)
        line = f"{photo}  {name}  {last:>{len(_PROBABILITY)}}".rstrip()
        file.write(f"{line}\n")
        file.flush()

    row("photo", "landmark", _PROBABILITY)

    def write(photo: str, outcome: Outcome) -> None:
        if isinstance(outcome, InvalidInput):
            return  # named on stderr
        if not outcome.is_known:
            row(photo, prediction.UNKNOWN, "most like:")
            photo = ""
        for name, probability in outcome:
            row(photo, name, f"{probability:.1%}")
            photo = ""

    return write


def _width(text: str) -> int:
    """Returns the columns that a terminal shows a text in."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    marks = sum(bool(unicodedata.combining(letter)) for letter in text)
    return len(text) + wide - marks


def _fit(text: str, width: int, cuts_start: bool = False) -> str:
    """Returns a text cut or filled up to a width."""
    if _width(text) > width:
        while _width(text) >= width:
            text = text[1:] if cuts_start else text[:-1]
        text = f"…{text}" if cuts_start else f"{text}…"
    return text + " " * (width - _width(text))


class Overlays:
    """The pictures of --explain, in a folder.

    Args:
        folder: is made if it is not there.
        classifier: that explains itself.
    """

    def __init__(self, folder: Path, classifier: Classifier) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._classifier = classifier
        self._taken: set[str] = set()

    def write(self, photo: Photo, called: str) -> None:
        """Writes `NAME.explained.png`, or `NAME-2.explained.png` where that is taken.

        Never over the photo itself.
        """
        stem = name = "stdin" if called == STDIN else Path(called).stem[:_MAX_STEM]
        count = 1
        while name in self._taken:
            count += 1
            name = f"{stem}-{count}"
        self._taken.add(name)
        picture = self._classifier.explain(photo)
        with replacing(self._folder / f"{name}.explained.png") as path:
            picture.save(path)
