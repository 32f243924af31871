"""An exported SavedModel, asked as a server asks it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from landmarks_tf.data.photo import load_images

_BATCH_SIZE = 8


class ServedModel:
    """The two signatures of a SavedModel.

    Args:
        path: the folder.
        class_names: of the run, in the order of the labels.
    """

    def __init__(self, path: Path, class_names: Sequence[str]) -> None:
        self._model = tf.saved_model.load(str(path))
        self._labels = {name.encode(): i for i, name in enumerate(class_names)}

    def answer_files(self, paths: Sequence[str]) -> np.ndarray:
        """Returns what `serving_default` answers for the bytes of photo files.

        Returns:
            float32 `[num_photos, num_classes]`; NaN for classes it does not name.
        """
        serve = self._model.signatures["serving_default"]
        answers = np.full((len(paths), len(self._labels)), np.nan, np.float32)
        for start in range(0, len(paths), _BATCH_SIZE):
            batch = [Path(path).read_bytes() for path in paths[start:][:_BATCH_SIZE]]
            answer = serve(photos=tf.constant(batch))
            named = zip(answer["class_names"].numpy(), answer["probabilities"].numpy())
            for row, (names, probabilities) in enumerate(named, start):
                answers[row, [self._labels[name] for name in names]] = probabilities
        return answers

    def answer_images(self, paths: Sequence[str]) -> np.ndarray:
        """Returns what `images` answers for photo files, read by Pillow.

        Returns:
            float32 `[num_photos, num_classes]`.
        """
        serve = self._model.signatures["images"]
        _, height, width, _ = serve.structured_input_signature[1]["images"].shape
        rows = [
            serve(images=load_images(path, (height, width)))["probabilities"].numpy()
            for path in paths
        ]
        return np.concatenate(rows)
