"""The probability below which a photo shows none of the known landmarks."""

import hashlib
import itertools
import sys
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import flags

from landmarks_tf import run_folder
from landmarks_tf.data.photo import unreadable_reason
from landmarks_tf.errors import InvalidInput
from landmarks_tf.evaluation import calibration
from landmarks_tf.inference import photo_input
from landmarks_tf.inference.classifier import load_classifier
from landmarks_tf.names import printable

_OUTLIERS_DIR = flags.DEFINE_string(
    "outliers_dir",
    None,
    "Folder of photos that show none of the landmarks. Half of them help to choose the "
    "probability below which the answer is that no known landmark is there, the other "
    "half tell how well that works. Default: 95 % of the validation photos reach it.",
)


def find_outliers() -> list[Path]:
    """Returns the photos of --outliers_dir; without, none.

    Raises:
        InvalidInput: if it is no folder, or less than two photos in it can be read.
    """
    if not _OUTLIERS_DIR.value:
        return []
    if not Path(_OUTLIERS_DIR.value).is_dir():
        raise InvalidInput(f"no such folder: outliers_dir={_OUTLIERS_DIR.value}")
    photos = photo_input.find_photos([_OUTLIERS_DIR.value])
    readable = (path for path in photos if not unreadable_reason(path))
    if len(list(itertools.islice(readable, 2))) < 2:
        raise InvalidInput(f"less than two photos can be read in {_OUTLIERS_DIR.value}")
    return photos


def set_threshold(
    run_dir: Path, outliers: Sequence[Path], answers: Mapping[str, np.ndarray]
) -> None:
    """Chooses the threshold of a run, tells how it does and writes both down.

    Args:
        run_dir: of the run, whose model is written.
        outliers: of `find_outliers`.
        answers: the model's probabilities for the photos of validation and test.
    """
    known = {name: rows.max(axis=1) for name, rows in answers.items()}
    unknown = answer_outliers(run_dir, outliers)
    # By their contents, whatever their names: the same folder is divided alike.
    ranks = {digest: rank for rank, digest in enumerate(sorted(unknown))}
    halves: tuple[list[float], list[float]] = [], []
    for digest, probability in unknown.items():
        halves[ranks[digest] % 2].append(probability)
    to_choose, to_report = map(np.array, halves)
    threshold = calibration.choose_threshold(known["validation"], to_choose)
    record = {
        "value": threshold,
        "chosen_on": {
            "validation_photos": len(known["validation"]),
            "outliers": len(to_choose),
        },
        "test_photos": len(known["test"]),
        "outliers": len(to_report),
        **calibration.evaluate_threshold(known["test"], to_report, threshold),
    }
    run_folder.write_metrics(run_dir, threshold=record)
    summary = f"{record['known_accepted']:.1%} of the test photos reach it"
    if len(to_report):
        summary += (
            f", {record['unknown_accepted']:.1%} of {len(to_report)} outliers; what "
            f"95 % of the test photos reach, {record['unknown_accepted_at_95']:.1%} "
            f"do; AUROC {record['auroc']:.4f}"
        )
    print(f"no known landmark below {threshold:.1%}: {summary}", flush=True)


def answer_outliers(run_dir: Path, outliers: Sequence[Path]) -> dict[str, float]:
    """Returns the largest probability of each photo by its hash.

    Names those that cannot be read.
    """
    largest = {}
    for path, answer in load_classifier(run_dir).predict_photos(outliers):
        if isinstance(answer, InvalidInput):
            print(printable(f"skipped {answer}"), file=sys.stderr)
        else:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            largest[digest] = float(answer.max())
    return largest
