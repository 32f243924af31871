"""Recognise landmarks: train on a folder of photos, take the recogniser anywhere.

Importing the package imports no TensorFlow: what needs it is imported when it is used.
"""

import importlib
from typing import TYPE_CHECKING
from typing import Any

from landmarks_tf.errors import InvalidInput

if TYPE_CHECKING:
    from landmarks_tf.config import ExportConfig
    from landmarks_tf.config import TrainConfig
    from landmarks_tf.data.photo import load_images
    from landmarks_tf.data.pipeline import load_datasets
    from landmarks_tf.evaluation.evaluate import EvaluationConfig
    from landmarks_tf.evaluation.evaluate import evaluate
    from landmarks_tf.export.export import export_model
    from landmarks_tf.inference.classifier import load_classifier
    from landmarks_tf.run import Run
    from landmarks_tf.training.train import train

__all__ = [
    "EvaluationConfig",
    "ExportConfig",
    "InvalidInput",
    "Run",
    "TrainConfig",
    "evaluate",
    "export_model",
    "load_classifier",
    "load_datasets",
    "load_images",
    "train",
]
__version__ = "0.1.0"
_MODULES = {
    "EvaluationConfig": "evaluation.evaluate",
    "ExportConfig": "config",
    "Run": "run",
    "TrainConfig": "config",
    "evaluate": "evaluation.evaluate",
    "export_model": "export.export",
    "load_classifier": "inference.classifier",
    "load_datasets": "data.pipeline",
    "load_images": "data.photo",
    "train": "training.train",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
