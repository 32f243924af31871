"""The page on an evaluation: how good a run is, where it errs and where it looks.

Owns what it shows; its form is in `templates/report.html`. No TensorFlow.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from landmarks_tf import page
from landmarks_tf import plots
from landmarks_tf.data import photo
from landmarks_tf.data.photo_set import PhotoSet
from landmarks_tf.errors import InvalidInput
from landmarks_tf.evaluation import metrics
from landmarks_tf.evaluation import robustness
from landmarks_tf.evaluation.robustness import ConditionResult
from landmarks_tf.files import replacing
from landmarks_tf.names import human_names
from landmarks_tf.progress import Progress
from landmarks_tf.records import Metrics

if TYPE_CHECKING:
    import keras

    from landmarks_tf.evaluation.evaluate import EvaluationConfig

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
class Evaluated:
    """What was evaluated on what.

    Attributes:
        model: from images to probabilities.
        photos: with one split.
        probabilities: of its photos, float `[num_images, num_classes]`, in their order.
        metrics: of them.
        run_name: name of the run, or of the model.
        is_own: whether they are the run's own photos.
        history: rows by epoch, see `Run.history`; may be empty.
    """

    model: "keras.Model"
    photos: PhotoSet
    probabilities: np.ndarray
    metrics: Metrics
    run_name: str = "the model"
    is_own: bool = False
    history: Sequence[Mapping[str, float]] = ()

    @property
    def split(self) -> str:
        """The name of the one split."""
        (name,) = self.photos.splits
        return name


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
class Content:
    """What the page tells.

    Attributes:
        run_name: of the run.
        day: of the evaluation.
        photos: which, in a few words: test photos of landmarks50.
        names: to show, of each class.
        metrics: of them.
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
    metrics: Metrics
    probabilities: np.ndarray
    labels: Sequence[int]
    history: Sequence[Mapping[str, float]] = ()
    mistakes: Sequence[ShownPhoto] = ()
    unsure: Sequence[ShownPhoto] = ()
    conditions: Sequence[ConditionResult] = ()
    no_overlays: str = ""


def refuse_place(path: str) -> None:
    """Raises InvalidInput if a report is to be where no file can be written."""
    place = Path(path or "report.html")
    if place.is_dir() or not place.parent.is_dir():
        kind = "a folder" if place.is_dir() else "in a folder that is not there"
        raise InvalidInput(f"`report` must be a file. Received: {place}, {kind}")


def write_report(
    target: Path,
    evaluated: Evaluated,
    config: "EvaluationConfig",
    progress: Progress = Progress(),
) -> None:
    """Writes the page, and tells where it is."""
    photos, split = evaluated.photos, evaluated.split
    labels, folder = photos.labels(split), photos.data_dir.resolve().name
    wrong, right = metrics.rank_by_confidence(evaluated.probabilities, labels)
    groups = [indices[:MAX_SHOWN].tolist() for indices in (wrong, right)]
    shown, note = show_photos(evaluated, groups)
    own = "its own" if evaluated.is_own else "other"
    content = Content(
        run_name=evaluated.run_name,
        day=date.today(),
        photos=f"{own} {split} photos, in “{folder}”",
        names=human_names(photos.class_names),
        metrics=evaluated.metrics,
        probabilities=evaluated.probabilities,
        labels=labels,
        history=evaluated.history,
        mistakes=shown[0],
        unsure=shown[1],
        conditions=predict_under_conditions(evaluated, config, progress),
        no_overlays=note,
    )
    text = build_page(content)
    with replacing(target) as path:
        path.write_text(text, encoding="utf-8")
    progress.tell(f"report: {target}")


def show_photos(
    evaluated: Evaluated, groups: Sequence[Sequence[int]]
) -> tuple[list[list[ShownPhoto]], str]:
    """Returns photos with where the network looks, and a sentence if that fails.

    Args:
        evaluated: model and photos.
        groups: of indices into the photos.
    """
    from landmarks_tf.evaluation import grad_cam

    photos, model = evaluated.photos, evaluated.model
    listed = photos.splits[evaluated.split]
    names = human_names(photos.class_names)
    image_size = model.input_shape[1:3]
    try:
        cam, note = grad_cam.GradCam(model), ""
    except InvalidInput:
        cam, note = None, "Grad-CAM cannot show where this network looks."

    def show(index: int) -> ShownPhoto:
        path, label = listed[index]
        row = evaluated.probabilities[index]
        predicted = int(row.argmax())
        picture, overlay = photo.load_photo(photos.data_dir / path), None
        pixels = np.asarray(photo.resize(picture, image_size))
        picture.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        if cam:
            overlay = grad_cam.overlay(picture, cam.find_heat(photo.normalize(pixels)))
        probability = float(row[predicted])
        return ShownPhoto(
            path, names[label], names[predicted], probability, picture, overlay
        )

    return [[show(index) for index in group] for group in groups], note


def predict_under_conditions(
    evaluated: Evaluated, config: "EvaluationConfig", progress: Progress = Progress()
) -> list[ConditionResult]:
    """Returns how photos are predicted under each condition, if any are wanted."""
    model, split, batch_size = evaluated.model, evaluated.split, config.batch_size
    drawn = evaluated.photos.draw_evenly(split, config.condition_photos)
    if not drawn.splits[split]:
        return []

    def predict(images: np.ndarray) -> np.ndarray:
        starts = range(0, len(images), batch_size)
        batches = [images[start : start + batch_size] for start in starts]
        return np.concatenate([model.predict_on_batch(batch) for batch in batches])

    paths = [Path(path) for path in drawn.absolute_paths(split)]
    rows = robustness.answer_photos(paths, model.input_shape[1:3], predict)
    tracked = progress.track(rows, "worse photos", len(paths))
    return robustness.count_right(tracked, drawn.labels(split), paths[0])


def build_page(found: Content) -> str:
    """Returns the page, HTML that refers to nothing outside itself."""
    probabilities, labels = found.probabilities, found.labels
    counts, _, accuracies = metrics.calibration_bins(probabilities, labels)
    drawn = ("loss", "accuracy") if found.history else ()
    return page.render(
        "report.html",
        evaluation=found,
        curves=[plots.draw_curves(found.history, metric) for metric in drawn],
        confusion=_draw_confusion(found),
        pairs=_name_confused(found),
        classes=_rank_classes(found),
        max_classes=_MAX_CLASSES,
        reliability=plots.draw_reliability(counts, accuracies),
        wilson_interval=metrics.wilson_interval,
        thumbnail_side=THUMBNAIL_SIDE,
    )


def _draw_confusion(found: Content) -> str:
    """Returns the confusion matrix; empty where it would be too large to read."""
    if len(found.names) > _MAX_MATRIX_CLASSES:
        return ""
    matrix = metrics.confusion_matrix(found.probabilities, found.labels)
    return plots.draw_confusion(matrix, found.names)


def _name_confused(found: Content) -> list[tuple[str, str, int, int]]:
    """Returns true name, predicted name, photos confused and photos of the true one."""
    totals = np.bincount(found.labels)
    pairs = metrics.confused_pairs(found.probabilities, found.labels)
    return [
        (found.names[true], found.names[predicted], count, int(totals[true]))
        for true, predicted, count in pairs[:_MAX_PAIRS]
    ]


def _rank_classes(found: Content) -> list[tuple[str, float, int]]:
    """Returns name, accuracy and photos of each class with photos, the worst first."""
    classes = zip(found.names, found.metrics.per_class.values())
    known = [
        (name, row.accuracy, row.num_images)
        for name, row in classes
        if row.accuracy is not None
    ]
    # At the same accuracy, more photos make it surer.
    return sorted(known, key=lambda row: (row[1], -row[2]))
