"""What an app does with a TFLite file: MediaPipe's image classifier, nothing of ours.

  python mediapipe_client.py MODEL.tflite < paths_a_line

Prints a JSON list for each photo: [[label, name, score], ...], most probable first. For
a Python with mediapipe (extra `long-test`); with SIDE in the environment, photos are
first shrunk to a square of so many pixels, as docs/mobile.md advises.
"""

import json
import os
import sys

import mediapipe
import numpy as np
from mediapipe.tasks import python as tasks
from PIL import Image


def load_photo(path: str) -> mediapipe.Image:
    side = int(os.environ.get("SIDE", 0))
    if not side:
        return mediapipe.Image.create_from_file(path)
    with Image.open(path) as photo:
        small = photo.convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
    pixels = np.ascontiguousarray(small)
    return mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)


def main() -> None:
    options = tasks.vision.ImageClassifierOptions(
        base_options=tasks.BaseOptions(model_asset_path=sys.argv[1])
    )
    if "THRESHOLD" in os.environ:
        options.score_threshold = float(os.environ["THRESHOLD"])
    with tasks.vision.ImageClassifier.create_from_options(options) as classifier:
        for line in sys.stdin:
            (answer,) = classifier.classify(load_photo(line.strip())).classifications
            found = [[x.index, x.category_name, x.score] for x in answer.categories]
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
