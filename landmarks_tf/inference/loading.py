"""From a trained file to a classifier.

A `.tflite` file is answered without importing TensorFlow.
"""

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from landmarks_tf import run_folder
from landmarks_tf.errors import InvalidInput
from landmarks_tf.errors import require
from landmarks_tf.inference.classifier import Classifier

if TYPE_CHECKING:
    import keras


def load_classifier(path: Path | str, num_cores: int | None = None) -> Classifier:
    """Reads a trained network.

    Args:
        path: a run folder, or a `.keras` or `.tflite` file with its `labels.txt`
            beside it, and its `metrics.json` for the threshold; without, all photos
            show a known landmark.
        num_cores: to use, of a process that has others beside it; default: all, which
            TensorFlow takes for a `.keras` file in any case.

    Raises:
        InvalidInput: if a file is missing, is damaged or does not fit its labels.
    """
    path = Path(path)
    if path.is_dir():
        run_folder.require(path, run_folder.MODEL, run_folder.LABELS)
        path = path / run_folder.MODEL
    is_model = path.suffix in (".keras", ".tflite") and path.is_file()
    missing = "" if path.exists() else " (no such file)"
    wanted = "a run folder, a .keras or a .tflite file"
    require(is_model, "model", wanted, f"{path}{missing}")
    class_names = run_folder.load_class_names(path.with_name(run_folder.LABELS))
    num_cores = num_cores or os.cpu_count() or 1
    if path.suffix == ".tflite":
        classifier = _load_tflite(path, class_names, num_cores)
    else:
        classifier = _load_keras(path, class_names)
    record = run_folder.load_metrics(path.parent).get("threshold", {})
    return replace(classifier, threshold=record.get("value", 0.0), num_cores=num_cores)


def _load_keras(path: Path, class_names: tuple[str, ...]) -> Classifier:
    # Only here: TensorFlow takes seconds to import.
    import tensorflow as tf

    from landmarks_tf.models.surgery import load_model

    model = load_model(path, len(class_names))
    spec = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)
    # Four times as quick for one photo as `model.predict`, and made for threads.
    compiled = tf.function(model, input_signature=[spec])
    return Classifier(
        class_names,
        model.input_shape[1:3],
        lambda images: compiled(images).numpy(),
        find_heat=_prepare_heat(model),
    )


def _prepare_heat(model: "keras.Model") -> Callable[[np.ndarray], np.ndarray]:
    """Returns the function that finds heat, which is built when it is first asked."""
    from landmarks_tf.evaluation import grad_cam

    built: list[grad_cam.GradCam] = []
    lock = threading.Lock()

    def find_heat(image: np.ndarray) -> np.ndarray:
        with lock:
            if not built:
                built.append(grad_cam.GradCam(model))
        return built[0].find_heat(image)

    return find_heat


def _load_tflite(
    path: Path, class_names: tuple[str, ...], num_cores: int
) -> Classifier:
    from landmarks_tf.inference import litert

    model = litert.TfliteModel(path, num_cores)
    if model.num_outputs != len(class_names):
        raise InvalidInput(
            f"{path} has {model.num_outputs} outputs, but there are "
            f"{len(class_names)} class names"
        )
    return Classifier(class_names, model.image_size, model.predict)
