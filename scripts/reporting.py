"""The page on an evaluation: which photos it shows, and under which conditions."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tqdm
from absl import flags

from landmarks_tf import run_folder
from landmarks_tf.data.photo_set import PhotoSet
from landmarks_tf.errors import InvalidInput

if TYPE_CHECKING:
    import keras

    from landmarks_tf.evaluation.report import ShownPhoto
    from landmarks_tf.evaluation.robustness import ConditionResult

_REPORT = flags.DEFINE_string(
    "report",
    None,
    "File of the page with curves, confusions, mistakes and where the network looks. "
    "Default: report.html in the run's folder for the run's own photos; of others, "
    "none is written.",
)
_CONDITION_PHOTOS = flags.DEFINE_integer(
    "condition_photos",
    200,
    "Photos at most, of each landmark as many as can be, that the report asks about "
    "again darkened, blurred, compressed, turned and so on, ten times each; 0 leaves "
    "that out.",
    lower_bound=0,
)


def refuse_place() -> None:
    """Raises InvalidInput if --report is where no file can be written."""
    if _REPORT.value is None:
        return
    path = Path(_REPORT.value)
    if path.is_dir() or not path.parent.is_dir():
        kind = "a folder" if path.is_dir() else "in a folder that is not there"
        raise InvalidInput(f"`report` must be a file. Received: {path}, {kind}")


def write_report(
    run_dir: Path,
    model: "keras.Model",
    photos: PhotoSet,
    probabilities: np.ndarray,
    metrics: dict,
    is_own: bool,
    batch_size: int,
) -> None:
    """Writes the page and says where it is.

    Args:
        run_dir: of the run.
        model: of the run.
        photos: with the one split that was answered.
        probabilities: of its photos, in their order.
        metrics: of them.
        is_own: whether they are the run's own.
        batch_size: photos at a time.
    """
    if not (_REPORT.value or is_own):
        print("no report: these photos are not the run's own (--report=FILE)")
        return

    from landmarks_tf.evaluation import report
    from landmarks_tf.evaluation.metrics import rank_by_confidence
    from landmarks_tf.names import human_names

    (split,) = photos.splits
    labels, folder = photos.labels(split), photos.data_dir.resolve().name
    wrong, right = rank_by_confidence(probabilities, labels)
    shown, note = show_photos(
        model,
        photos,
        probabilities,
        [indices[: report.MAX_SHOWN].tolist() for indices in (wrong, right)],
    )
    page = report.build_page(
        report.Evaluation(
            run_name=run_dir.resolve().name,
            day=date.today(),
            photos=f"{'its own' if is_own else 'other'} {split} photos, in “{folder}”",
            names=human_names(photos.class_names),
            metrics=metrics,
            probabilities=probabilities,
            labels=labels,
            history=run_folder.load_history(run_dir),
            mistakes=shown[0],
            unsure=shown[1],
            conditions=ask_under_conditions(model, photos, batch_size),
            no_overlays=note,
        )
    )
    target = Path(_REPORT.value) if _REPORT.value else run_dir / run_folder.REPORT
    with run_folder.replacing(target) as path:
        path.write_text(page, encoding="utf-8")
    print(f"report: {target}")


def show_photos(
    model: "keras.Model",
    photos: PhotoSet,
    probabilities: np.ndarray,
    groups: Sequence[Sequence[int]],
) -> tuple[list[list["ShownPhoto"]], str]:
    """Returns photos with where the network looks, and a sentence if that fails.

    Args:
        model: of the run.
        photos: with the one split that was answered.
        probabilities: of its photos, in their order.
        groups: of indices into them.
    """
    from landmarks_tf.data.photo import load_photo
    from landmarks_tf.data.photo import normalize
    from landmarks_tf.data.photo import resize
    from landmarks_tf.evaluation import grad_cam
    from landmarks_tf.evaluation import report
    from landmarks_tf.names import human_names

    (listed,) = photos.splits.values()
    names = human_names(photos.class_names)
    image_size = model.input_shape[1:3]
    try:
        cam, note = grad_cam.GradCam(model), ""
    except InvalidInput:
        cam, note = None, "Grad-CAM cannot show where this network looks."

    def show(index: int) -> "ShownPhoto":
        path, label = listed[index]
        answer = int(probabilities[index].argmax())
        picture, overlay = load_photo(photos.data_dir / path), None
        pixels = np.asarray(resize(picture, image_size))
        picture.thumbnail((report.THUMBNAIL_SIDE, report.THUMBNAIL_SIDE))
        if cam:
            heat = cam.find_heat(normalize(pixels))
            overlay = grad_cam.overlay(picture, heat)
        largest = float(probabilities[index, answer])
        return report.ShownPhoto(
            path, names[label], names[answer], largest, picture, overlay
        )

    return [[show(index) for index in group] for group in groups], note


def ask_under_conditions(
    model: "keras.Model", photos: PhotoSet, batch_size: int
) -> list["ConditionResult"]:
    """Returns how photos are answered under each condition; none if none are wanted."""
    from landmarks_tf.evaluation import robustness

    (split,) = photos.splits
    drawn = photos.draw_evenly(split, _CONDITION_PHOTOS.value)
    if not drawn.splits[split]:
        return []

    def predict(images: np.ndarray) -> np.ndarray:
        starts = range(0, len(images), batch_size)
        batches = [images[start : start + batch_size] for start in starts]
        return np.concatenate([model.predict_on_batch(batch) for batch in batches])

    paths = [photos.data_dir / photo.path for photo in drawn.splits[split]]
    answers = robustness.answer_photos(paths, model.input_shape[1:3], predict)
    bar = tqdm.tqdm(
        answers,
        desc="worse photos",
        total=len(paths),
        unit="photo",
        leave=False,
        disable=None,  # where stderr is no terminal
    )
    return robustness.count_right(bar, drawn.labels(split), paths[0])
