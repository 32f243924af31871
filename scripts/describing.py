"""What is said of a run's files: in them, in its model card, by test vectors."""

import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import landmarks_tf
from landmarks_tf import run_folder
from landmarks_tf.config import ExportConfig
from landmarks_tf.export.metadata import Description
from landmarks_tf.inference.classifier import Classifier
from landmarks_tf.inference.classifier import load_classifier
from landmarks_tf.run_folder import EXPORTS

_NUM_TIMINGS = 20


def describe(
    run_dir: Path, class_names: Sequence[str], config: ExportConfig
) -> Description:
    """Returns what a TFLite file says of the run's model."""
    metrics = run_folder.load_metrics(run_dir)
    tested = metrics.get("test", {})
    right = f"{tested['top1']:.1%} of {tested['num_images']}" if tested else "unknown"
    return Description(
        name=run_dir.name.removesuffix(".unfinished"),
        description=f"Names which of {len(class_names)} landmarks a photo shows. Right "
        f"on test photos: {right}.",
        version=landmarks_tf.__version__,
        author=config.author,
        licence=config.licence,
        threshold=metrics.get("threshold", {}).get("value", 0.0),
    )


def write_companions(run_dir: Path, config: ExportConfig) -> None:
    """Writes test vectors and the model card of the files that are there."""
    from landmarks_tf.export import model_card
    from landmarks_tf.export import vectors

    classifiers = {
        file_format: load_classifier(run_dir / name)
        for file_format, name in EXPORTS.items()
        if name.endswith(".tflite") and (run_dir / name).exists()
    }
    model = load_classifier(run_dir / run_folder.MODEL)
    predictors = {
        EXPORTS[file_format]: classifier.predict
        for file_format, classifier in classifiers.items()
    }
    with run_folder.replacing(run_dir / run_folder.VECTORS) as path:
        vectors.write_vectors(
            path,
            model.image_size,
            {run_folder.MODEL: model.predict, **predictors},
            model.threshold,
        )
    card = model_card.build_card(
        run_dir,
        run_dir.name.removesuffix(".unfinished"),
        {name: measure_milliseconds(x) for name, x in classifiers.items()},
        _NUM_TIMINGS,
        config.author,
        config.licence,
    )
    with run_folder.replacing(run_dir / run_folder.MODEL_CARD) as path:
        path.write_text(card, encoding="utf-8")


def measure_milliseconds(classifier: Classifier) -> float:
    """Returns how long an answer to one image takes, the median of some."""
    import numpy as np

    image = np.zeros((1, *classifier.image_size, 3), np.float32)
    seconds = []
    # The first of them is a warm-up.
    for _ in range(1 + _NUM_TIMINGS):
        begin = time.perf_counter()
        classifier.predict(image)
        seconds.append(time.perf_counter() - begin)
    return 1000 * statistics.median(seconds[1:])
