"""Names the most likely landmarks of photos.

  python scripts/predict.py --model=saved_models/quickstart photo.jpg folder_of_photos

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
            write(path, classifier.top_landmarks(answer, _TOP_K.value))
    return exit_code


def make_writer() -> Callable[[Path, Landmarks], None]:
    """Returns the function that prints one photo's answer in the chosen form."""
    if _OUTPUT.value == "json":
        return write_json
    if _OUTPUT.value == "csv":
        rows = csv.writer(sys.stdout, lineterminator="\n")
        rows.writerow(("photo", "rank", "class_name", "probability"))
        return lambda photo, landmarks: rows.writerows(
            (photo, rank, name, f"{probability:.6f}")
            for rank, (name, probability) in enumerate(landmarks, start=1)
        )
    return command_line.print_landmarks


def write_json(photo: Path, landmarks: Landmarks) -> None:
    names = [{"class_name": name, "probability": p} for name, p in landmarks]
    print(json.dumps({"photo": str(photo), "landmarks": names}))


if __name__ == "__main__":
    command_line.run(main)
