"""The probability below which a photo shows none of the known landmarks."""

import sys
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from landmarks_tf import calibration
from landmarks_tf import prediction
from landmarks_tf import run_folder
from landmarks_tf.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np

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
        InvalidInput: if it is no folder, or has less than two photos.
    """
    if not _OUTLIERS_DIR.value:
        return []
    if not Path(_OUTLIERS_DIR.value).is_dir():
        raise InvalidInput(f"no such folder: outliers_dir={_OUTLIERS_DIR.value}")
    photos = prediction.find_photos([_OUTLIERS_DIR.value])
    if len(photos) < 2:
        raise InvalidInput(
            f"`outliers_dir` must hold two photos at least. Received: {photos[0]}"
        )
    return photos


def set_threshold(
    run_dir: Path, outliers: Sequence[Path], answers: Mapping[str, "np.ndarray"]
) -> None:
    """Chooses the threshold of a run, tells how it does and writes both down.

    Args:
        run_dir: of the run, whose model is written.
        outliers: of `find_outliers`.
        answers: the model's probabilities for the photos of validation and test.
    """
    known = {name: rows.max(axis=1) for name, rows in answers.items()}
    unknown = answer_outliers(run_dir, outliers)
    to_choose, to_report = unknown[0::2], unknown[1::2]
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


def answer_outliers(run_dir: Path, outliers: Sequence[Path]) -> "np.ndarray":
    """Returns the largest probability of each photo; names those that are not read."""
    import numpy as np

    largest = []
    for _, answer in prediction.load_classifier(run_dir).predict_photos(outliers):
        if isinstance(answer, InvalidInput):
            print(f"skipped {answer}", file=sys.stderr)
        else:
            largest.append(float(answer.max()))
    if outliers and len(largest) < 2:
        raise InvalidInput(f"no readable photos in {_OUTLIERS_DIR.value}")
    return np.array(largest)
