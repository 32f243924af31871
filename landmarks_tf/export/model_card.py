"""The model card of a run and its test vectors: what is known of it, for its users.

Owns the figures; the text is in `templates/model_card.md`.
"""

import statistics
import time
from collections.abc import Mapping
from datetime import date

import numpy as np

import landmarks_tf
from landmarks_tf import page
from landmarks_tf.config import ExportConfig
from landmarks_tf.data import split_file
from landmarks_tf.export import vectors
from landmarks_tf.files import count_bytes
from landmarks_tf.files import replacing
from landmarks_tf.inference.classifier import Classifier
from landmarks_tf.inference.classifier import load_classifier
from landmarks_tf.names import human_names
from landmarks_tf.records import ClassMetrics
from landmarks_tf.run import EXPORTS
from landmarks_tf.run import Run
from landmarks_tf.run import describe_environment

_NUM_WEAKEST = 5
_NUM_TIMINGS = 20


def write_companions(run: Run, config: ExportConfig) -> None:
    """Writes test vectors and the model card of the files that are there."""
    classifiers = {
        file_format: load_classifier(run.path / name)
        for file_format, name in EXPORTS.items()
        if name.endswith(".tflite") and (run.path / name).exists()
    }
    model = load_classifier(run.model_path)
    predictors = {run.model_path.name: model.predict}
    predictors |= {EXPORTS[key]: x.predict for key, x in classifiers.items()}
    with replacing(run.vectors_dir) as path:
        vectors.write_vectors(path, model.image_size, predictors, model.threshold)
    milliseconds = {name: measure_latency(x) for name, x in classifiers.items()}
    card = build_card(run, config, milliseconds)
    with replacing(run.model_card_path) as path:
        path.write_text(card, encoding="utf-8")


def measure_latency(classifier: Classifier) -> float:
    """Returns the milliseconds that one image takes, the median of some."""
    image = np.zeros((1, *classifier.image_size, 3), np.float32)
    seconds = []
    # The first of them is a warm-up.
    for _ in range(1 + _NUM_TIMINGS):
        begin = time.perf_counter()
        classifier.predict(image)
        seconds.append(time.perf_counter() - begin)
    return 1000 * statistics.median(seconds[1:])


def build_card(
    run: Run, config: ExportConfig, milliseconds: Mapping[str, float]
) -> str:
    """Returns the card of a run, in Markdown.

    Args:
        run: with its metrics and parity.
        config: who made it, and under which licence.
        milliseconds: by format, of the TFLite files.
    """
    metrics, parity = run.metrics, run.parity
    written = [key for key, record in parity.items() if not record["faults"]]
    paths = {key: run.path / EXPORTS[key] for key in written}
    entrances = [x for found in parity.values() for x in found["entrances"].values()]
    return page.render(
        "model_card.md",
        name=run.name,
        version=landmarks_tf.__version__,
        day=date.today().isoformat(),
        author=config.author,
        licence=config.licence,
        num_classes=len(run.class_names),
        num_photos=split_file.load_counts(run.split_path),
        test=metrics.test,
        weakest=_weakest_classes(metrics.test.per_class if metrics.test else {}),
        calibration=metrics.calibration,
        threshold=metrics.threshold,
        parity=parity,
        files=EXPORTS,
        num_bytes={key: count_bytes(path) for key, path in paths.items()},
        milliseconds=milliseconds,
        num_parity_photos=entrances[0]["num_photos"] if entrances else 0,
        num_timings=_NUM_TIMINGS,
        trained_with=metrics.environment or {},
        machine=describe_environment(),
    )


def _weakest_classes(
    per_class: Mapping[str, ClassMetrics],
) -> list[tuple[float, str, int]]:
    """Returns accuracy, name and number of photos of the classes known least."""
    known = [
        (row.accuracy, name, row.num_images)
        for name, row in zip(human_names(list(per_class)), per_class.values())
        if row.accuracy is not None
    ]
    return sorted(known)[:_NUM_WEAKEST]
