"""From a model and photos to probabilities, metrics and a threshold."""

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from landmarks_tf import errors
from landmarks_tf import setting
from landmarks_tf.config import OUTLIERS_HELP
from landmarks_tf.config import SPLITS
from landmarks_tf.config import TrainConfig
from landmarks_tf.data import file_check
from landmarks_tf.data import photo_set
from landmarks_tf.data import split_file
from landmarks_tf.data.photo_set import PhotoSet
from landmarks_tf.data.split import load_divided
from landmarks_tf.evaluation.metrics import McNemar
from landmarks_tf.evaluation.metrics import compare_predictions
from landmarks_tf.evaluation.metrics import evaluate_probabilities
from landmarks_tf.evaluation.metrics import true_class_ranks
from landmarks_tf.evaluation.outliers import choose_threshold
from landmarks_tf.evaluation.outliers import find_outliers
from landmarks_tf.progress import Listener
from landmarks_tf.progress import Progress
from landmarks_tf.records import Metrics
from landmarks_tf.run import Run

if TYPE_CHECKING:
    import keras


_DATA = setting.Group("data")
_REPORT = setting.Group("report")


@dataclass(frozen=True)
class EvaluationConfig(setting.Settings):
    """What a trained model is evaluated on, and what is written of it."""

    split: str = _DATA.choice("test", SPLITS, "Photos to test on.")
    data_dir: str = _DATA.field(
        "",
        "Folder of photos: the run's own, where it is now (default: where it was), or "
        "another with class folders in <split>/ or in itself.",
    )
    outliers_dir: str = _DATA.field("", OUTLIERS_HELP)
    report: str = _REPORT.field(
        "",
        "File of the page with curves, confusions, mistakes and where the network "
        "looks. Default: report.html in the run's folder for the run's own photos; of "
        "others, none is written.",
    )
    condition_photos: int = _REPORT.field(
        200,
        "Photos at most, of each landmark as many as can be, that the report asks "
        "about again darkened, blurred, compressed, turned and so on, ten times each; "
        "0 leaves that out.",
        setting.NOT_NEGATIVE,
    )
    batch_size: int = _REPORT.field(8, "Photos at a time.", setting.COUNT)


def evaluate(
    model: "keras.Model",
    photos: PhotoSet | Path | str,
    class_names: Sequence[str] | None = None,
    *,
    config: EvaluationConfig = EvaluationConfig(),
    progress: Listener | None = None,
) -> Metrics:
    """Returns how good any model from images to probabilities is on photos.

    Args:
        model: from float32 `[batch, height, width, 3]`, RGB, in [0, 1], to
            probabilities float32 `[batch, num_classes]`.
        photos: a data folder with a folder named as the split, or else one that
            `train` would divide, of which the split is taken; or photos with the split.
        class_names: in the order of the model's outputs; default: the sorted names of
            the class folders, those of `train/` where there is one.
        config: which split, and where a report is written, if anywhere.
        progress: hears what is done.

    Raises:
        InvalidInput: if the folder holds no such photos, or other classes than the
            model has outputs.
    """
    progress = Progress(progress)
    if not isinstance(photos, PhotoSet):
        photos = _load_split(Path(photos), class_names, config.split, progress)
    num_outputs = model.output_shape[-1]
    wanted = f"{num_outputs}, as many as the model has outputs"
    is_whole = num_outputs == len(photos.class_names)
    errors.require(is_whole, "num_classes", wanted, len(photos.class_names))
    probabilities, metrics = _measure(model, photos, config)
    if config.report:
        from landmarks_tf.evaluation import report

        evaluated = report.Evaluated(model, photos, probabilities, metrics)
        report.write_report(Path(config.report), evaluated, config, progress)
    return metrics


def evaluate_run(
    run: Run, config: EvaluationConfig, progress: Progress = Progress()
) -> Metrics:
    """Evaluates a run's model, and writes metrics and a report into its folder.

    Metrics of photos that are not the run's own are only returned.
    """
    from landmarks_tf.evaluation import report

    class_names = require_run(run)
    report.refuse_place(config.report)
    outliers = find_outliers(config.outliers_dir)  # refused before any work
    photos, is_own = _find_photos(run, config, progress)
    model = _load_model(run)
    probabilities, metrics = _measure(model, photos, config)
    for line in describe_classes(metrics):
        progress.tell(line)
    progress.tell(f"{config.split}: {metrics}")
    if is_own:
        run.write_metrics(**{config.split: metrics})
    if outliers:
        # Chosen on the run's own photos, whichever these are.
        data_dir = photos.data_dir if is_own else None
        names = ["validation", "test"]
        own = split_file.load_split(run.split_path, class_names, data_dir, names)
        rows = {n: predict_split(model, own, n, config.batch_size) for n in names}
        record = choose_threshold(model, rows, outliers, progress)
        run.write_metrics(threshold=record)
        progress.tell(
            "written into metrics.json; export.py writes it into the exported files"
        )
    if config.report or is_own:
        evaluated = report.Evaluated(
            model, photos, probabilities, metrics, run.name, is_own, run.history
        )
        target = Path(config.report) if config.report else run.report_path
        report.write_report(target, evaluated, config, progress)
    else:
        progress.tell("no report: these photos are not the run's own (--report=FILE)")
    return metrics


def compare_runs(
    first: Run, second: Run, config: EvaluationConfig, progress: Progress = Progress()
) -> tuple[Metrics, Metrics, McNemar]:
    """Returns how each of two runs does, and how sure it is that one is better.

    Raises:
        InvalidInput: if they know different classes, or one was trained on a photo.
    """
    class_names = require_run(first)
    if class_names != require_run(second):
        raise errors.InvalidInput(
            f"{first.path} and {second.path} know different landmarks"
        )
    photos, _ = _find_photos(first, config, progress)
    _refuse_trained_on(photos, first, second)
    labels = photos.labels(config.split)
    metrics, is_right = [], []
    for run in (first, second):
        probabilities, found = _measure(_load_model(run), photos, config)
        progress.tell(f"{run.path}: {found}")
        metrics.append(found)
        is_right.append(true_class_ranks(probabilities, labels) == 0)
    return metrics[0], metrics[1], compare_predictions(*is_right)


def describe_classes(metrics: Metrics) -> list[str]:
    """Returns a line for each class: its accuracy, how many photos, its name."""
    lines = []
    for name, row in metrics.per_class.items():
        share = f"{row.accuracy:6.1%} of {row.num_images:<4}" if row.num_images else ""
        lines.append(f"  {share or 'no photos '} {name}")
    return lines


def predict_split(
    model: "keras.Model", photos: PhotoSet, split: str, batch_size: int
) -> np.ndarray:
    """Returns a model's outputs for the photos of a split, in their order.

    Returns:
        float32 `[num_photos, num_outputs]`.
    """
    from landmarks_tf.data import pipeline

    image_size = model.input_shape[1:3]
    is_fixed = len(model.input_shape) == 4 and None not in image_size
    wanted = "a model that takes images of one size"
    errors.require(is_fixed, "model", wanted, model.input_shape)
    dataset = pipeline.make_dataset(photos, split, image_size, batch_size)
    return model.predict(dataset, verbose=0)


def _measure(
    model: "keras.Model", photos: PhotoSet, config: EvaluationConfig
) -> tuple[np.ndarray, Metrics]:
    """Returns a model's probabilities for the photos, and how good they are."""
    rows = predict_split(model, photos, config.split, config.batch_size)
    labels = photos.labels(config.split)
    return rows, evaluate_probabilities(rows, labels, photos.class_names)


def require_run(run: Run) -> tuple[str, ...]:
    """Returns the class names of a run that is whole."""
    run.require(run.model_path, run.labels_path, run.split_path)
    return run.class_names


def _load_model(run: Run) -> "keras.Model":
    from landmarks_tf.models.surgery import load_model

    return load_model(run.model_path, len(run.class_names))


def _find_photos(
    run: Run, config: EvaluationConfig, progress: Progress
) -> tuple[PhotoSet, bool]:
    """Returns the photos to evaluate on, and whether they are the run's own."""
    path, class_names, split = run.split_path, run.class_names, config.split
    data_dir = Path(config.data_dir) if config.data_dir else None
    if data_dir is None or split_file.is_split_of(path, data_dir, split):
        return split_file.load_split(path, class_names, data_dir, [split]), True
    return _load_readable(data_dir, split, class_names, progress), False


def _load_split(
    data_dir: Path, class_names: Sequence[str] | None, split: str, progress: Progress
) -> PhotoSet:
    """Returns the photos of a split that is a folder, or that `train` would make."""
    names = class_names or photo_set.find_class_names(data_dir, split)
    if (data_dir / split).is_dir():
        return _load_readable(data_dir, split, names, progress)
    photos = load_divided(data_dir, TrainConfig(), progress).with_class_names(names)
    return replace(photos, splits={split: photos.splits[split]})


def _load_readable(
    data_dir: Path, split: str, class_names: Sequence[str], progress: Progress
) -> PhotoSet:
    """Returns the photos of a folder that can be read, as one split."""
    listed = photo_set.load_evaluation_photos(data_dir, split, class_names)
    checks = file_check.check_photos(listed, progress=progress)
    photos, skipped = file_check.skip_unreadable(listed, checks, progress)
    if skipped:
        progress.warn(f"left out {len(skipped)} photos: {len(skipped)} cannot be read")
    if not photos.splits[split]:
        raise errors.InvalidInput(f"no readable photos in {data_dir}")
    return photos


def _refuse_trained_on(photos: PhotoSet, *runs: Run) -> None:
    """Raises InvalidInput for a photo that one of the runs has learnt by heart."""
    hashes = split_file.hash_photos(photos)
    for run in runs:
        trained_on = split_file.load_hashes(run.split_path, ["train"])
        known = set(trained_on.values())
        for path, digest in hashes.items():
            if digest in known:
                raise errors.InvalidInput(
                    f"{run.path} was trained on {photos.data_dir / path}: compare on "
                    "photos that neither run has seen"
                )
