"""Photos of other things, and the threshold below which a photo shows no landmark."""

import hashlib
import itertools
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from landmarks_tf import records
from landmarks_tf.data import photo
from landmarks_tf.data import photo_set
from landmarks_tf.errors import InvalidInput
from landmarks_tf.evaluation import calibration
from landmarks_tf.progress import Progress

if TYPE_CHECKING:
    import keras


def find_outliers(folder: str) -> list[Path]:
    """Returns the photos of a folder of other things; of no folder, none.

    Raises:
        InvalidInput: if it is no folder, or less than two photos in it can be read.
    """
    if not folder:
        return []
    if not Path(folder).is_dir():
        raise InvalidInput(f"no such folder: outliers_dir={folder}")
    photos = photo_set.find_photos([folder])
    readable = (path for path in photos if not photo.unreadable_reason(path))
    if len(list(itertools.islice(readable, 2))) < 2:
        raise InvalidInput(f"less than two photos can be read in {folder}")
    return photos


def choose_threshold(
    model: "keras.Model",
    probabilities: Mapping[str, np.ndarray],
    outliers: Sequence[Path],
    progress: Progress = Progress(),
) -> records.Threshold:
    """Chooses the threshold of a model, and measures how it does on other photos.

    Args:
        model: calibrated.
        probabilities: its, for the photos of "validation" and "test".
        outliers: of `find_outliers`.
        progress: hears of those that cannot be read.
    """
    known = {name: rows.max(axis=1) for name, rows in probabilities.items()}
    unknown = _predict_outliers(model, outliers, progress)
    # By their contents, whatever their names: the same folder is divided alike.
    ranks = {digest: rank for rank, digest in enumerate(sorted(unknown))}
    halves: tuple[list[float], list[float]] = [], []
    for digest, probability in unknown.items():
        halves[ranks[digest] % 2].append(probability)
    to_choose, to_report = map(np.array, halves)
    value = calibration.choose_threshold(known["validation"], to_choose)
    record = records.Threshold(
        value=value,
        chosen_on=records.ChosenOn(len(known["validation"]), len(to_choose)),
        test_photos=len(known["test"]),
        outliers=len(to_report),
        **calibration.evaluate_threshold(known["test"], to_report, value),
    )
    summary = f"{record.known_accepted:.1%} of the test photos reach it"
    if record.outliers:
        summary += (
            f", {record.unknown_accepted:.1%} of {record.outliers} outliers; what 95 % "
            f"of the test photos reach, {record.unknown_accepted_at_95:.1%} do; AUROC "
            f"{record.auroc:.4f}"
        )
    progress.tell(f"no known landmark below {value:.1%}: {summary}")
    return record


def _predict_outliers(
    model: "keras.Model", outliers: Sequence[Path], progress: Progress
) -> dict[str, float]:
    """Returns the largest probability of each photo by its hash."""
    largest = {}
    for path in outliers:
        try:
            images = photo.load_images(path, model.input_shape[1:3])
        except InvalidInput as error:
            progress.warn(f"skipped {error}")
            continue
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        largest[digest] = float(model.predict_on_batch(images).max())
    return largest
