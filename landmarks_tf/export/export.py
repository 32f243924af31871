"""From a trained model to a run folder with the files that servers and phones load."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import landmarks_tf
from landmarks_tf import records
from landmarks_tf.config import ExportConfig
from landmarks_tf.config import TrainConfig
from landmarks_tf.data import split
from landmarks_tf.data import split_file
from landmarks_tf.data.photo_set import PhotoSet
from landmarks_tf.errors import require
from landmarks_tf.evaluation import calibration
from landmarks_tf.evaluation import evaluate
from landmarks_tf.evaluation.metrics import calibration_error
from landmarks_tf.evaluation.metrics import evaluate_probabilities
from landmarks_tf.evaluation.outliers import choose_threshold
from landmarks_tf.export import int8
from landmarks_tf.export import model_card
from landmarks_tf.export import saved_model
from landmarks_tf.export import verify
from landmarks_tf.export.metadata import Description
from landmarks_tf.files import remove
from landmarks_tf.files import replacing
from landmarks_tf.models import surgery
from landmarks_tf.progress import Listener
from landmarks_tf.progress import Progress
from landmarks_tf.run import EXPORTS
from landmarks_tf.run import Run
from landmarks_tf.run import describe_environment

# Validation photos: enough to see a loss of half a point, in a minute.
_MAX_PHOTOS = 1000
# Named of the photos for which a refused file has another prediction.
_MAX_NAMED = 3


def export_model(
    model: keras.Model,
    class_names: Sequence[str],
    photos: PhotoSet | Path | str,
    output_dir: Path | str,
    config: ExportConfig = ExportConfig(),
    progress: Listener | None = None,
) -> Run:
    """Makes a run folder of any model from images to probabilities.

    It has what a run of `train` has, but for history and flags: the model is
    calibrated, tested and given a threshold; each file is compared with it; vectors and
    a model card are written.

    Args:
        model: from float32 `[batch, height, width, 3]`, RGB, in [0, 1], to
            probabilities float32 `[batch, num_classes]`. It stays as it is.
        class_names: in the order of its outputs.
        photos: a data folder, which is divided as `train` divides it with its default
            settings; or photos with their three splits and hashes.
        output_dir: the run folder, new.
        config: which files, and what they say of themselves.
        progress: hears what is done.

    Returns:
        the run. A file that does not predict as the model does is not in it;
        `run.parity` says why.

    Raises:
        InvalidInput: if the photos have other classes than `class_names`, or the model
            another number of outputs.
    """
    output_dir, progress = Path(output_dir), Progress(progress)
    num_outputs = model.output_shape[-1]
    wanted = f"{num_outputs} names, one for each output of the model"
    is_whole = num_outputs == len(class_names)
    require(is_whole, "class_names", wanted, len(class_names))
    if not isinstance(photos, PhotoSet):
        Run(output_dir).refuse_overlap(Path(photos))
        photos = split.load_divided(Path(photos), TrainConfig(), progress)
    photos = photos.with_class_names(class_names)
    run = Run.begin(output_dir)
    try:
        run.write_class_names(class_names)
        split_file.write_split(run.split_path, photos)
        run.write_metrics(environment=describe_environment())
        copy = keras.models.clone_model(model)
        surgery.copy_weights(model, copy)
        write_model(run, copy, photos, 8, (), progress)
        write_files(run, photos, config, progress)
        return run.publish(output_dir)
    finally:
        run.release()


def export_run(
    run: Run,
    config: ExportConfig,
    data_dir: Path | None = None,
    progress: Progress = Progress(),
) -> list[str]:
    """Writes the files of a run again; see `write_files`.

    Args:
        run: whole.
        config: which files, and what they say of themselves.
        data_dir: where the run's photos are now; default: where they were.
        progress: hears what is done.
    """
    class_names = evaluate.require_run(run)
    names = ["train", "validation"]
    photos = split_file.load_split(run.split_path, class_names, data_dir, names)
    return write_files(run, photos, config, progress)


def write_model(
    run: Run,
    model: keras.Model,
    photos: PhotoSet,
    batch_size: int,
    outliers: Sequence[Path],
    progress: Progress,
) -> records.Metrics:
    """Calibrates a model, writes it and its metrics, and returns those of test.

    Args:
        run: unfinished.
        model: from images to probabilities, which is changed.
        photos: with their three splits.
        batch_size: photos at a time.
        outliers: see `choose_threshold`.
        progress: hears of the figures.
    """
    model, probabilities = _calibrate(run, model, photos, batch_size, progress)
    for name, rows in probabilities.items():
        labels = photos.labels(name)
        metrics = evaluate_probabilities(rows, labels, photos.class_names)
        run.write_metrics(**{name: metrics})
        progress.tell(f"{name}: {metrics}")
    threshold = choose_threshold(model, probabilities, outliers, progress)
    run.write_metrics(threshold=threshold)
    return metrics


def _calibrate(
    run: Run, model: keras.Model, photos: PhotoSet, batch_size: int, progress: Progress
) -> tuple[keras.Model, dict[str, np.ndarray]]:
    """Makes a model as sure as validation allows, and writes it.

    Returns:
        the model, and its probabilities for the photos of validation and test.
    """
    network = surgery.build_logits_model(model)
    logits = {
        name: evaluate.predict_split(network, photos, name, batch_size)
        for name in ("validation", "test")
    }
    temperature = calibration.fit_temperature(
        logits["validation"], photos.labels("validation")
    )
    model = surgery.divide_logits(model, temperature)
    model.save(run.model_path)
    probabilities, errors = {}, {}
    for name, rows in logits.items():
        labels = photos.labels(name)
        before, after = (
            calibration.apply_temperature(rows, value) for value in (1.0, temperature)
        )
        error = records.CalibrationErrors(
            calibration_error(before, labels), calibration_error(after, labels)
        )
        probabilities[name], errors[name] = after, error
        progress.tell(
            f"probabilities of {name} photos were {error.error_before:.3f} off on "
            f"average (calibration error), are {error.error_after:.3f} by a "
            f"temperature of {temperature:.2f}"
        )
    run.write_metrics(calibration=records.Calibration(temperature, **errors))
    return model, probabilities


def write_files(
    run: Run, photos: PhotoSet, config: ExportConfig, progress: Progress
) -> list[str]:
    """Writes the formats into a run's folder, and how far each is from its model.

    Args:
        run: with its model and labels.
        photos: of the run; files are compared on those of validation, and int8 is
            calibrated on those of training.
        config: which formats, and what they say of themselves.
        progress: hears what is written, and what is not.

    Returns:
        the formats that do not predict as the model does; their files are not there.
    """
    # Where a GPU would round factors to ten bits, LiteRT does not.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    asked = photos.draw_evenly("validation", _MAX_PHOTOS)
    trained_on = photos.draw_evenly("train", max(int8.NUM_CALIBRATION_PHOTOS))
    model = surgery.load_model(run.model_path, len(photos.class_names))
    files = asked.absolute_paths("validation")
    expected = verify.predict_files(run.model_path, files)
    parity: dict[str, dict] = {}
    for file_format in config.formats:
        target = run.path / EXPORTS[file_format]
        with replacing(target) as path:
            attempts = saved_model.write_attempts(
                model,
                photos.class_names,
                file_format,
                path,
                trained_on.absolute_paths("train"),
                describe(run, photos.class_names, config),
            )
            record = verify.write_best(attempts, file_format, path, asked, expected)
            if record["faults"]:
                remove(path)
        parity[file_format] = record
        run.write_parity(**parity)
        _tell(target, record, progress)
    model_card.write_companions(run, config)
    return [name for name, record in parity.items() if record["faults"]]


def describe(run: Run, class_names: Sequence[str], config: ExportConfig) -> Description:
    """Returns what a TFLite file says of the run's model."""
    metrics = run.metrics
    tested, threshold = metrics.test, metrics.threshold
    right = f"{tested.top1:.1%} of {tested.num_images}" if tested else "unknown"
    return Description(
        name=run.name,
        description=f"Names which of {len(class_names)} landmarks a photo shows. Right "
        f"on test photos: {right}.",
        version=landmarks_tf.__version__,
        author=config.author,
        licence=config.licence,
        threshold=threshold.value if threshold else 0.0,
    )


def _tell(target: Path, record: dict, progress: Progress) -> None:
    """Tells what was written, or why it was not."""
    how = f" ({record['made_with']})" if record["made_with"] else ""
    found = list(record["entrances"].values())
    differing = sorted({path for entrance in found for path in entrance["differing"]})
    if record["faults"]:
        worst = max(found, key=lambda entrance: entrance["max_difference"])
        named = differing or worst["farthest"]
        more = len(named) - _MAX_NAMED
        photos = ", ".join(named[:_MAX_NAMED]) + (f" and {more} more" * (more > 0))
        faults = "; ".join(dict.fromkeys(record["faults"]))
        progress.warn(f"error: {target} is not written: {faults}: {photos}{how}")
        return
    num_photos = found[0]["num_photos"]
    difference = max(entrance["max_difference"] for entrance in found)
    progress.tell(
        f"wrote {target.name}: {num_photos - len(differing)} of {num_photos} first "
        f"answers as the model's, probabilities at most {difference:.1g} off{how}"
    )
