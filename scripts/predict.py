"""Names the most likely landmarks of photos.

  python scripts/predict.py --model=saved_models/quickstart photo.jpg folder_of_photos

A photo in which nothing reaches the threshold of the run shows no known landmark; what
it is most like is named all the same.

Exit code 0: all photos answered; 1: a photo, named on stderr, could not be read.
"""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

import command_line
from absl import flags

from landmarks_tf import prediction
from landmarks_tf.errors import InvalidInput

_MODEL = flags.DEFINE_string(
    "model",
    None,
    "Run folder, or a .keras or .tflite file with its labels.txt beside it.",
    required=True,
)
_TOP_K = flags.DEFINE_integer("top_k", 3, "Landmarks to name.", lower_bound=1)
_OUTPUT = flags.DEFINE_enum(
    "output",
    "table",
    ["table", "json", "csv"],
    "For people; an object a line for each photo; or a line for each landmark.",
)

Landmarks = list[tuple[str, float]]


def main(arguments: list[str]) -> int:
    if not arguments:
        raise InvalidInput("name at least one photo or folder of photos")
    photos = prediction.find_photos(arguments)
    with command_line.quiet_stderr():
        classifier = prediction.load_classifier(_MODEL.value)
    write = make_writer()
    exit_code = 0
    for path, answer in classifier.predict_photos(photos):
        if isinstance(answer, InvalidInput):
            print(f"error: {answer}", file=sys.stderr)
            exit_code = 1
        else:
            landmarks = classifier.top_landmarks(answer, _TOP_K.value)
            write(path, landmarks, classifier.is_known(answer))
    return exit_code


def make_writer() -> Callable[[Path, Landmarks, bool], None]:
    """Returns the function that prints one photo's answer in the chosen form."""
    if _OUTPUT.value == "json":
        return write_json
    if _OUTPUT.value == "csv":
        rows = csv.writer(sys.stdout, lineterminator="\n")
        rows.writerow(("photo", "rank", "class_name", "probability", "is_known"))
        return lambda photo, landmarks, is_known: rows.writerows(
            (photo, rank, name, f"{probability:.6f}", str(is_known).lower())
            for rank, (name, probability) in enumerate(landmarks, start=1)
        )
    return command_line.print_landmarks


def write_json(photo: Path, landmarks: Landmarks, is_known: bool) -> None:
    names = [{"class_name": name, "probability": p} for name, p in landmarks]
    record = {"photo": str(photo), "is_known": is_known, "landmarks": names}
    print(json.dumps(record))


if __name__ == "__main__":
    command_line.run(main)
