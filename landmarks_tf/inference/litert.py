"""A TFLite file, asked by LiteRT as a phone asks it. No TensorFlow."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from landmarks_tf.errors import InvalidInput


class TfliteModel:
    """A TFLite file that answers images, on all cores; threads may share it.

    Args:
        path: the file.
        num_cores: to use.

    Attributes:
        image_size: (height, width) in pixels of the images it takes.
        num_outputs: width of its output.

    Raises:
        InvalidInput: if it does not load or does not take one RGB image.
    """

    def __init__(self, path: Path, num_cores: int) -> None:
        self._path = path
        self._all_cores = _OneAtATime(path, num_cores)
        self._own = threading.local()
        self._pool = ThreadPoolExecutor(num_cores)
        self.image_size = self._all_cores.image_size
        self.num_outputs = self._all_cores.num_outputs

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Returns probabilities float32 `[batch, num_outputs]`.

        Args:
            images: float32 `[batch, height, width, 3]`, RGB, in [0, 1].
        """
        # A photo alone is answered soonest by all cores, many by each core its own.
        if len(images) == 1:
            return self._all_cores.answer(images[0])[np.newaxis]
        return np.stack(list(self._pool.map(self._answer_on_one_core, images)))

    def _answer_on_one_core(self, image: np.ndarray) -> np.ndarray:
        if not hasattr(self._own, "model"):
            self._own.model = _OneAtATime(self._path, 1)
        return self._own.model.answer(image)


class _OneAtATime:
    """A TFLite file ready to answer one image after the other."""

    def __init__(self, path: Path, num_threads: int) -> None:
        try:
            self._interpreter = Interpreter(str(path), num_threads=num_threads)
            self._interpreter.allocate_tensors()
            (self._given,) = self._interpreter.get_input_details()
            (self._got,) = self._interpreter.get_output_details()
            batch_size, height, width, channels = map(int, self._given["shape"])
        except (ValueError, RuntimeError) as error:
            raise InvalidInput(f"{path} is not a TFLite model that loads") from error
        self._takes_grey_levels = self._given["dtype"] == np.uint8
        is_known = self._takes_grey_levels or self._given["dtype"] == np.float32
        if (batch_size, channels) != (1, 3) or not is_known:
            raise InvalidInput(f"{path} does not take one float32 or uint8 RGB image")
        self._lock = threading.Lock()
        self.image_size = height, width
        self.num_outputs = int(self._got["shape"][-1])

    def answer(self, image: np.ndarray) -> np.ndarray:
        """Returns the probabilities `[num_outputs]` of one of the contract's images."""
        if self._takes_grey_levels:
            image = np.round(image * 255).astype(np.uint8)
        with self._lock:
            self._interpreter.set_tensor(self._given["index"], image[np.newaxis])
            self._interpreter.invoke()
            return self._interpreter.get_tensor(self._got["index"])[0]
