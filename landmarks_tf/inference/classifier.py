"""A trained network that answers photos: the most likely landmarks, and why.

Owns the reading of a run folder or file as a classifier. Importing it imports no
TensorFlow, nor does a `.tflite` file.
"""

import dataclasses
import functools
import itertools
import os
import threading
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from typing import TypeVar

import numpy as np
from PIL import Image

from landmarks_tf import errors
from landmarks_tf.data.photo import normalize
from landmarks_tf.data.photo import resize
from landmarks_tf.data.photo_set import find_photos
from landmarks_tf.inference import photo_input
from landmarks_tf.inference.photo_input import Photo
from landmarks_tf.inference.prediction import Prediction
from landmarks_tf.names import human_names
from landmarks_tf.names import suggestion
from landmarks_tf.run import Run

if TYPE_CHECKING:
    import keras
    from matplotlib.figure import Figure

_NUM_CORES = os.cpu_count() or 1
_MIN_BATCH_SIZE = 8
# Longest side, in pixels, of a picture that is drawn to be looked at.
_SHOWN_SIDE = 1024
# Photos come back as what they were given as.
_P = TypeVar("_P", bound=Photo)


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A trained network with its class names, whatever file it came from.

    Threads may share it.

    Attributes:
        class_names: tuple of str `[num_classes]`.
        image_size: (height, width) in pixels of the images it takes.
        predict: from images float32 `[batch, height, width, 3]`, RGB, in [0, 1], to
            probabilities float32 `[batch, num_classes]`.
        threshold: in [0, 1]; a photo whose largest probability is less shows none of
            the landmarks.
        find_heat: from an image to where it speaks for the answer, see
            `grad_cam.GradCam.find_heat`; None where the file cannot tell.
        num_cores: that photos are decoded on.
    """

    class_names: tuple[str, ...]
    image_size: tuple[int, int]
    predict: Callable[[np.ndarray], np.ndarray]
    threshold: float = 0.0
    find_heat: Callable[[np.ndarray], np.ndarray] | None = None
    num_cores: int = _NUM_CORES

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """The names of all landmarks, for people."""
        return human_names(self.class_names)

    def predict_landmarks(self, photo: Photo, k: int = 3) -> Prediction:
        """Returns the k most likely landmarks of a photo.

        Args:
            photo: path, bytes of a file, open file, Pillow's picture, or array uint8
                `[height, width, 3]` in 0..255 or float in [0, 1], RGB, of any size.
            k: landmarks to name, at least 1; no more than there are.

        Raises:
            InvalidInput: if the photo cannot be read.
        """
        pixels = _load_pixels(photo, self.image_size)
        images = normalize(pixels[np.newaxis])
        return self.top_landmarks(self.predict(images)[0], k)

    def stream_landmarks(
        self, photos: Iterable[_P] | str | Path, k: int = 3
    ) -> Iterator[tuple[_P, Prediction | errors.InvalidInput]]:
        """Answers many photos one after the other, a few in memory at a time.

        Args:
            photos: a list or generator of photos, or a folder, searched recursively.
            k: landmarks to name of each.

        Yields:
            for each photo, in order, the photo with its prediction, or with the reason
            why it cannot be read.
        """
        for photo, answer in self.predict_photos(photos):
            if isinstance(answer, errors.InvalidInput):
                yield photo, answer
            else:
                yield photo, self.top_landmarks(answer, k)

    def suggest_locations(self, photo: Photo, k: int = 3) -> "Figure":
        """Returns the photo under a sentence that suggests the k likeliest landmarks.

        Args:
            photo: as `predict_landmarks` takes it.
            k: landmarks to suggest.
        """
        from landmarks_tf import plots  # only here: matplotlib takes half a second

        picture = photo_input.open_photo(photo)
        prediction = self.predict_landmarks(picture, k)
        names = [name for name, _ in prediction]
        sentence = suggestion(names, prediction.is_known)
        return plots.draw_picture(shrink(picture), sentence)

    def explain(self, photo: Photo) -> Image.Image:
        """Returns the photo coloured where the network looks for its first answer.

        Grad-CAM; red where most speaks for the answer, no colour where nothing does.

        Args:
            photo: as `predict_landmarks` takes it.

        Returns:
            an RGB picture, upright, its longest side at most 1,024 pixels.

        Raises:
            InvalidInput: if the photo cannot be read, the model is no `.keras` file,
                or its layers branch.
        """
        picture = photo_input.open_photo(photo)
        pixels = np.asarray(resize(picture, self.image_size))
        return self.explain_pixels(pixels, shrink(picture))

    def explain_pixels(self, pixels: np.ndarray, picture: Image.Image) -> Image.Image:
        """Returns `explain` of a photo that was resized already.

        Args:
            pixels: of the photo, uint8 `[height, width, 3]` of `image_size`, RGB.
            picture: the photo, RGB, to be coloured.
        """
        if self.find_heat is None:
            raise errors.InvalidInput(
                "`explain` needs the .keras file of a run: a .tflite file has no "
                "gradients"
            )
        from landmarks_tf.evaluation import grad_cam

        heat = self.find_heat(normalize(pixels))
        return grad_cam.overlay(picture, heat)

    def predict_photos(
        self, photos: Iterable[_P] | str | Path
    ) -> Iterator[tuple[_P, np.ndarray | errors.InvalidInput]]:
        """Answers as `stream_landmarks` does, with all probabilities.

        Yields:
            for each photo, in order, the photo with probabilities float32
            `[num_classes]`, or with the reason why it cannot be read.
        """
        is_one = isinstance(photos, (bytes, np.ndarray, Image.Image))
        errors.require(not is_one, "photos", "a list of photos", type(photos).__name__)
        if isinstance(photos, (str, Path)):
            rest: Iterator = iter(find_photos([photos]))
        else:
            rest = iter(photos)
        # As many photos for each core.
        batch_size = -(-_MIN_BATCH_SIZE // self.num_cores) * self.num_cores
        with ThreadPoolExecutor(self.num_cores) as pool:

            def begin() -> list[tuple[_P, Future]]:
                return [
                    (photo, pool.submit(_try_load, photo, self.image_size))
                    for photo in itertools.islice(rest, batch_size)
                ]

            # While some photos are answered, the next ones are decoded.
            ahead = begin()
            while ahead:
                chunk = [photo for photo, _ in ahead]
                loaded = [future.result() for _, future in ahead]
                ahead = begin()
                yield from zip(chunk, self._answer(loaded))

    def _answer(
        self, loaded: Sequence[np.ndarray | errors.InvalidInput]
    ) -> Iterator[np.ndarray | errors.InvalidInput]:
        """Yields the probabilities of photos, or why they cannot be read."""
        readable = [pixels for pixels in loaded if isinstance(pixels, np.ndarray)]
        images = normalize(np.stack(readable)) if readable else None
        probabilities = iter(() if images is None else self.predict(images))
        for pixels in loaded:
            yield (
                pixels
                if isinstance(pixels, errors.InvalidInput)
                else next(probabilities)
            )

    def top_landmarks(self, probabilities: np.ndarray, k: int) -> Prediction:
        """Returns the k most likely landmarks of probabilities `[num_classes]`."""
        is_count = isinstance(k, (int, np.integer)) and k >= 1
        errors.require(is_count, "k", "an integer of at least 1", k)
        names = self.names
        order = np.argsort(-probabilities, kind="stable")[:k]
        rows = [(self.class_names[i], names[i], float(probabilities[i])) for i in order]
        return Prediction(rows, float(probabilities.max()) >= self.threshold)


def _load_pixels(photo: Photo, image_size: tuple[int, int]) -> np.ndarray:
    picture = photo_input.open_photo(photo)
    return np.asarray(resize(picture, image_size))


def _try_load(
    photo: Photo, image_size: tuple[int, int]
) -> np.ndarray | errors.InvalidInput:
    try:
        return _load_pixels(photo, image_size)
    except errors.InvalidInput as error:
        return error


def shrink(picture: Image.Image) -> Image.Image:
    """Returns a picture to be looked at, its longest side at most 1,024 pixels."""
    shown = picture.copy()
    shown.thumbnail((_SHOWN_SIDE, _SHOWN_SIDE))
    return shown


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
        run = Run(path)
        run.require(run.model_path, run.labels_path)
        path = run.model_path
    is_model = path.suffix in (".keras", ".tflite") and path.is_file()
    missing = "" if path.exists() else " (no such file)"
    wanted = "a run folder, a .keras or a .tflite file"
    errors.require(is_model, "model", wanted, f"{path}{missing}")
    run = Run(path.parent)
    class_names = run.class_names
    num_cores = num_cores or os.cpu_count() or 1
    if path.suffix == ".tflite":
        classifier = _load_tflite(path, class_names, num_cores)
    else:
        classifier = _load_keras(path, class_names)
    found = run.metrics.threshold
    threshold = found.value if found else 0.0
    return dataclasses.replace(classifier, threshold=threshold, num_cores=num_cores)


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
        raise errors.InvalidInput(
            f"{path} has {model.num_outputs} outputs, but there are "
            f"{len(class_names)} class names"
        )
    return Classifier(class_names, model.image_size, model.predict)
