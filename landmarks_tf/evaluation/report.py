"""The page on an evaluation: how good a run is, where it errs and where it looks.

Owns what it shows, from numbers and pictures that are there; its form is in
`templates/report.html`. No TensorFlow, no files.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from PIL import Image

from landmarks_tf import page
from landmarks_tf import plots
from landmarks_tf.evaluation.metrics import calibration_bins
from landmarks_tf.evaluation.metrics import confused_pairs
from landmarks_tf.evaluation.metrics import confusion_matrix
from landmarks_tf.evaluation.metrics import order_by_confusion
from landmarks_tf.evaluation.metrics import wilson_interval
from landmarks_tf.evaluation.robustness import ConditionResult

# The page shows as many mistakes, and as many right answers.
MAX_SHOWN = 12
# Pixels.
THUMBNAIL_SIDE = 180
# A matrix of more classes is wider than a screen.
_MAX_MATRIX_CLASSES = 60
_MAX_PAIRS = 20
# A page must open in a browser, however many classes there are.
_MAX_CLASSES = 200


@dataclass(frozen=True)
class ShownPhoto:
    """A photo with its answer.

    Attributes:
        path: relative to the data folder.
        true_name: of the landmark it shows.
        answered_name: of the most probable one.
        probability: of that, in [0, 1].
        picture: RGB, upright.
        overlay: the same with colours where the network looks; None without.
    """

    path: str
    true_name: str
    answered_name: str
    probability: float
    picture: Image.Image
    overlay: Image.Image | None = None


@dataclass(frozen=True)
class Evaluation:
    """What the page tells.

    Attributes:
        run_name: of the run.
        day: of the evaluation.
        photos: which, in a few words: test photos of landmarks50.
        names: to show, of each class.
        metrics: of `evaluate_probabilities`.
        probabilities: float `[num_images, num_classes]`.
        labels: integers `[num_images]`.
        history: rows by epoch with `loss`, `accuracy` and `val_` of both; may be empty.
        mistakes: the most confident ones first.
        unsure: right answers, the least certain first.
        conditions: the photos as they are first; empty without.
        no_overlays: why there are none, a sentence; empty if there are.
    """

    run_name: str
    day: date
    photos: str
    names: Sequence[str]
    metrics: Mapping[str, Any]
    probabilities: np.ndarray
    labels: Sequence[int]
    history: Sequence[Mapping[str, float]] = ()
    mistakes: Sequence[ShownPhoto] = ()
    unsure: Sequence[ShownPhoto] = ()
    conditions: Sequence[ConditionResult] = ()
    no_overlays: str = ""


def build_page(found: Evaluation) -> str:
    """Returns the page, HTML that refers to nothing outside itself."""
    probabilities, labels = found.probabilities, found.labels
    counts, _, accuracies = calibration_bins(probabilities, labels)
    metrics = ("loss", "accuracy") if found.history else ()
    return page.render(
        "report.html",
        evaluation=found,
        curves=[plots.draw_curves(found.history, metric) for metric in metrics],
        confusion=_draw_confusion(found),
        pairs=_name_confused(found),
        classes=_rank_classes(found),
        max_classes=_MAX_CLASSES,
        reliability=plots.draw_reliability(counts, accuracies),
        wilson_interval=wilson_interval,
        thumbnail_side=THUMBNAIL_SIDE,
    )


def _draw_confusion(found: Evaluation) -> str:
    """Returns the confusion matrix; empty where it would be too large to read."""
    if len(found.names) > _MAX_MATRIX_CLASSES:
        return ""
    matrix = confusion_matrix(found.probabilities, found.labels)
    order = order_by_confusion(found.probabilities, found.labels)
    names = [found.names[label] for label in order]
    return plots.draw_confusion(matrix[np.ix_(order, order)], names)


def _name_confused(found: Evaluation) -> list[tuple[str, str, int, int]]:
    """Returns true name, predicted name, photos confused and photos of the true one."""
    totals = np.bincount(found.labels)
    pairs = confused_pairs(found.probabilities, found.labels)
    return [
        (found.names[true], found.names[predicted], count, int(totals[true]))
        for true, predicted, count in pairs[:_MAX_PAIRS]
    ]


def _rank_classes(found: Evaluation) -> list[tuple[str, float, int]]:
    """Returns name, accuracy and photos of each class with photos, the worst first."""
    classes = zip(found.names, found.metrics["per_class"].values())
    rows = [(name, row["accuracy"], row["num_images"]) for name, row in classes]
    known = [row for row in rows if row[2]]
    # At the same accuracy, more photos make it surer.
    return sorted(known, key=lambda row: (row[1], -row[2]))
