"""From a trained file and photos to the most likely landmarks.

A `.tflite` file is answered without importing TensorFlow.
"""

import os
import threading
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path

import numpy as np

from landmarks_tf import preprocessing
from landmarks_tf import run_folder
from landmarks_tf.catalog import is_photo_name
from landmarks_tf.errors import InvalidInput

_NUM_CORES = os.cpu_count() or 1
# At least 8 photos, and as many for each core.
_BATCH_SIZE = -(-8 // _NUM_CORES) * _NUM_CORES


@dataclass(frozen=True)
class Classifier:
    """A trained network with its class names, whatever file it came from.

    Attributes:
        class_names: tuple of str `[num_classes]`.
        image_size: (height, width) in pixels of the images it takes.
        predict: from images float32 `[batch, height, width, 3]`, RGB, in [0, 1], to
            probabilities float32 `[batch, num_classes]`; threads may share it.
        threshold: in [0, 1]; a photo whose largest probability is less shows none of
            the landmarks.
    """

    class_names: tuple[str, ...]
    image_size: tuple[int, int]
    predict: Callable[[np.ndarray], np.ndarray]
    threshold: float = 0.0

    def predict_photos(
        self, paths: Sequence[Path]
    ) -> Iterator[tuple[Path, np.ndarray | InvalidInput]]:
        """Answers photo files one after the other, a few in memory at a time.

        Yields:
            for each path, in order, the path with probabilities float32
            `[num_classes]`, or with the reason why the file cannot be read.
        """
        chunks = [
            paths[start : start + _BATCH_SIZE]
            for start in range(0, len(paths), _BATCH_SIZE)
        ]
        with ThreadPoolExecutor(_NUM_CORES) as pool:

            def begin(chunk: Sequence[Path]) -> list[Future]:
                return [pool.submit(_try_load, path, self.image_size) for path in chunk]

            # While some photos are answered, the next ones are decoded.
            ahead = begin(chunks[0]) if chunks else []
            for chunk, next_chunk in zip(chunks, [*chunks[1:], ()]):
                loaded = [future.result() for future in ahead]
                ahead = begin(next_chunk)
                yield from zip(chunk, self._answer(loaded))

    def _answer(
        self, loaded: Sequence[np.ndarray | InvalidInput]
    ) -> Iterator[np.ndarray | InvalidInput]:
        """Yields the probabilities of photos, or why they cannot be read."""
        readable = [pixels for pixels in loaded if isinstance(pixels, np.ndarray)]
        probabilities = iter(())
        if readable:
            images = preprocessing.normalize(np.stack(readable))
            probabilities = iter(self.predict(images))
        for pixels in loaded:
            is_readable = isinstance(pixels, np.ndarray)
            yield next(probabilities) if is_readable else pixels

    def is_known(self, probabilities: np.ndarray) -> bool:
        """Returns whether a photo with these `[num_classes]` shows a known landmark."""
        return float(probabilities.max()) >= self.threshold

    def top_landmarks(
        self, probabilities: np.ndarray, k: int
    ) -> list[tuple[str, float]]:
        """Returns the k most probable (class name, probability), largest first."""
        order = np.argsort(-probabilities, kind="stable")[:k]
        return [(self.class_names[i], float(probabilities[i])) for i in order]


def load_classifier(path: Path | str) -> Classifier:
    """Reads a trained network.

    Args:
        path: a run folder, or a `.keras` or `.tflite` file with its `labels.txt`
            beside it, and its `metrics.json` for the threshold; without, all photos
            show a known landmark.

    Raises:
        InvalidInput: if a file is missing, is damaged or does not fit its labels.
    """
    path = Path(path)
    if path.is_dir():
        run_folder.require(path, run_folder.MODEL, run_folder.LABELS)
        path = path / run_folder.MODEL
    if path.suffix not in (".keras", ".tflite") or not path.is_file():
        raise InvalidInput(
            "`model` must be a run folder, a .keras or a .tflite file. Received: "
            f"model={path}" + ("" if path.exists() else " (no such file)")
        )
    class_names = run_folder.load_class_names(path.with_name(run_folder.LABELS))
    load = _load_tflite if path.suffix == ".tflite" else _load_keras
    record = run_folder.load_metrics(path.parent).get("threshold", {})
    return replace(load(path, class_names), threshold=record.get("value", 0.0))


def find_photos(paths: Sequence[str]) -> list[Path]:
    """Returns the files named, and the photos in the folders named, recursively.

    Raises:
        InvalidInput: if a folder holds no photo.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            found.append(path)
            continue
        files = sorted(path.rglob("*"))
        photos = [f for f in files if is_photo_name(f.name) and not f.is_dir()]
        if not photos:
            raise InvalidInput(f"no photos in the folder {path}")
        found += photos
    return found


def _try_load(path: Path, image_size: tuple[int, int]) -> np.ndarray | InvalidInput:
    try:
        return preprocessing.load_pixels(path, image_size)
    except InvalidInput as error:
        return error


def _load_keras(path: Path, class_names: tuple[str, ...]) -> Classifier:
    from landmarks_tf import models  # only here: TensorFlow takes seconds to import

    model = models.load_model(path, len(class_names))
    return Classifier(
        class_names,
        model.input_shape[1:3],
        lambda images: model.predict(images, verbose=0),
    )


def _load_tflite(path: Path, class_names: tuple[str, ...]) -> Classifier:
    all_cores = _TfliteFile(path, _NUM_CORES)
    if all_cores.num_outputs != len(class_names):
        raise InvalidInput(
            f"{path} has {all_cores.num_outputs} outputs, but there are "
            f"{len(class_names)} class names"
        )
    own = threading.local()
    pool = ThreadPoolExecutor(_NUM_CORES)

    def answer_on_one_core(image: np.ndarray) -> np.ndarray:
        if not hasattr(own, "file"):
            own.file = _TfliteFile(path, 1)
        return own.file.answer(image)

    def predict(images: np.ndarray) -> np.ndarray:
        # A photo alone is answered soonest by all cores, many by each core its own.
        if len(images) == 1:
            return all_cores.answer(images[0])[np.newaxis]
        return np.stack(list(pool.map(answer_on_one_core, images)))

    return Classifier(class_names, all_cores.image_size, predict)


class _TfliteFile:
    """A TFLite file ready to answer one image after the other."""

    def __init__(self, path: Path, num_threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

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
