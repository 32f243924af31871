"""Test vectors: what an app must get out of a run's files, if it feeds them rightly.

Three drawn photos of just the model's size, so that no resize comes between, as PNG,
which every decoder reads alike.
"""

import hashlib
import json
import random
from collections.abc import Callable
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from landmarks_tf.data.photo import normalize
from landmarks_tf.data.photo import resize
from landmarks_tf.samples import picture

RECORD = "vectors.json"
_NUM_PHOTOS = 3


def write_vectors(
    folder: Path,
    image_size: tuple[int, int],
    predictors: Mapping[str, Callable[[np.ndarray], np.ndarray]],
    threshold: float,
) -> None:
    """Writes photos and what each file answers for them.

    Args:
        folder: to make.
        image_size: (height, width) in pixels of the model's images.
        predictors: by file name, from the contract's images to probabilities.
        threshold: of the run.

    `vectors.json` holds `image_size`, `threshold` and for each photo `file`;
    `uint8_sha256`, of its grey levels, row by row, RGB, and `float32_sha256`, of their
    products with float32 1/255, little endian: what the input of int8 and that of the
    other files must hold; and `probabilities`, by file, in the order of the labels.
    """
    folder.mkdir()
    photos = []
    for number in range(_NUM_PHOTOS):
        name = f"photo{number}.png"
        drawn = picture.draw_photo(number, random.Random(number))
        image = resize(drawn, image_size)
        image.save(folder / name)
        pixels = np.asarray(image)
        images = normalize(pixels)[np.newaxis]
        answers = {
            file: [round(float(p), 6) for p in predict(images)[0]]
            for file, predict in predictors.items()
        }
        photos.append(
            {
                "file": name,
                "uint8_sha256": hashlib.sha256(pixels.tobytes()).hexdigest(),
                "float32_sha256": hashlib.sha256(
                    images.astype("<f4").tobytes()
                ).hexdigest(),
                "probabilities": answers,
            }
        )
    record = {"image_size": image_size, "threshold": threshold, "photos": photos}
    (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
