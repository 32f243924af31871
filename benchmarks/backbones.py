"""What does a backbone at an image size cost on a phone's runtime?

PYTHONPATH=. python benchmarks/backbones.py [BACKBONE...] [SIZE...]

The float32 TFLite file of a transfer model for 50 classes (default: at 224, 320, 400
and 800 pixels): its size, and the milliseconds of an answer by LiteRT on all cores,
beside the first backbone at 224. Weights are random: they change neither.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measuring import measure

from landmarks_tf.export import saved_model
from landmarks_tf.inference.classifier import load_classifier
from landmarks_tf.models.transfer import build_transfer_model
from landmarks_tf.run import Run

SIZES = (224, 320, 400, 800)
NUM_CLASSES = 50
NUM_CALLS = 5


def make_answerer(backbone: str, size: int, work: Path) -> Callable[[], object]:
    """Returns a function that answers for one image some times."""
    path = work / f"{backbone}_{size}.tflite"
    model = build_transfer_model(backbone, "none", (size, size), NUM_CLASSES)
    saved_model.export_tflite(model, path)
    print(f"{backbone} at {size}: {path.stat().st_size / 1e6:.1f} MB", flush=True)
    classifier = load_classifier(path)
    image = np.random.default_rng(0).random((1, size, size, 3), np.float32)
    return lambda: [classifier.predict(image) for _ in range(NUM_CALLS)]


def main() -> None:
    backbones = [word for word in sys.argv[1:] if not word.isdecimal()]
    backbones = backbones or ["MobileNetV2", "EfficientNetB4"]
    sizes = [int(word) for word in sys.argv[1:] if word.isdecimal()] or SIZES
    with tempfile.TemporaryDirectory() as work:
        names = [str(number) for number in range(NUM_CLASSES)]
        Run(Path(work)).write_class_names(names)
        ways = {
            f"{backbone} at {size}": make_answerer(backbone, size, Path(work))
            for backbone in reversed(backbones)
            for size in reversed(sizes)
        }
        seconds = measure(f"{NUM_CALLS} answers", ways)
    for name, taken in seconds.items():
        print(f"{name}: {1000 * taken / NUM_CALLS:.0f} ms an answer")


if __name__ == "__main__":
    main()
