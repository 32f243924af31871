"""Names the most likely landmarks of photos.

  python scripts/predict.py --model=saved_models/quickstart photo.jpg folder 'a/*.jpg'
  curl -s https://example.org/photo.jpg | python scripts/predict.py --model=... -

Takes files, folders (searched recursively), patterns and `-`, the bytes of one photo
on stdin. A photo in which nothing reaches the threshold of the run shows no known
landmark; what it is most like is named all the same.

--output=json prints an object a line for each photo: `photo` (path, or "-"),
`is_known`, and `landmarks`, a list of `name`, `class_name` (as in labels.txt) and
`probability`; or `photo` and `error` for a photo that cannot be read. --output=csv
prints the columns `photo`, `is_known`, `name_1`, `class_name_1`, `probability_1`,
`name_2`, ... and `error`.

Exit code 0: all photos answered; 1: a photo, named on stderr, could not be read, or
nothing could be done at all, for a reason on stderr.
"""

import sys
from pathlib import Path

import tqdm

from landmarks_tf.commands import cli
from landmarks_tf.data import photo_set
from landmarks_tf.errors import InvalidInput
from landmarks_tf.inference import output
from landmarks_tf.inference.classifier import load_classifier
from landmarks_tf.inference.photo_input import Photo
from landmarks_tf.names import printable

FLAGS = cli.Flags()
_MODEL = FLAGS.string(
    "model",
    "Run folder, or a .keras or .tflite file with its labels.txt beside it.",
    required=True,
)
_TOP_K = FLAGS.integer("top_k", "Landmarks to name.", 3, lower_bound=1)
_OUTPUT = FLAGS.enum(
    "output",
    "A table for people; an object a line or a row for each photo, for programs.",
    "table",
    ["table", "json", "csv"],
)
_EXPLAIN = FLAGS.string(
    "explain",
    "Folder to write each photo into, coloured where the network looks for its answer. "
    "Needs a .keras model.",
)
# Fewer are answered before a bar would be looked at.
_MIN_PHOTOS_FOR_BAR = 20


def main(arguments: list[str]) -> int:
    if not arguments:
        raise InvalidInput("name at least one photo or folder of photos")
    photos = find_photos(arguments)
    classifier = load_classifier(_MODEL.value)
    if _EXPLAIN.value and classifier.find_heat is None:
        raise InvalidInput("`explain` needs a .keras model, not a .tflite file")
    overlays = _EXPLAIN.value and output.Overlays(Path(_EXPLAIN.value), classifier)
    called = [output.STDIN if isinstance(x, bytes) else str(x) for x in photos]
    form, k = _OUTPUT.value, _TOP_K.value
    write = output.make_writer(form, called, classifier.names, k, sys.stdout)
    is_short = len(photos) < _MIN_PHOTOS_FOR_BAR or not sys.stderr.isatty()
    bar = tqdm.tqdm(total=len(photos), unit=" photos", leave=False, disable=is_short)
    exit_code = 0
    answers = classifier.stream_landmarks(photos, k)
    for photo_name, (photo, answer) in zip(called, answers):
        with bar.external_write_mode(file=sys.stdout):
            if isinstance(answer, InvalidInput):
                print(printable(f"error: {answer}"), file=sys.stderr)
                exit_code = 1
            write(photo_name, answer)
        if overlays and not isinstance(answer, InvalidInput):
            overlays.write(photo, photo_name)
        bar.update()
    bar.close()
    return exit_code


def find_photos(arguments: list[str]) -> list[Photo]:
    """Returns the photos named on the command line, each as it will be read."""
    if arguments.count(output.STDIN) > 1:
        raise InvalidInput("`-` stands for one photo on stdin: name it once")
    photos: list[Photo] = []
    for argument in arguments:
        is_piped = argument == output.STDIN
        photos += (
            [sys.stdin.buffer.read()] if is_piped else photo_set.find_photos([argument])
        )
    return photos


COMMAND = cli.Command(main, FLAGS, __doc__)
