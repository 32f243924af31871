"""How a photo may be worse than those of a test: what is done to it, and the answers.

Owns the table of conditions. Each is done to the photo itself, before it is resized as
every photo is. No TensorFlow.
"""

import io
import math
import os
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from PIL import ImageFilter

from landmarks_tf.data.photo import load_photo
from landmarks_tf.data.photo import normalize
from landmarks_tf.data.photo import resize

AS_IT_IS = "as it is"
# Shares of the photo's shorter side. On 300 pixels the blur is what ImageNet-C calls
# severity 3 (Hendrycks and Dietterich, ICLR 2019) on 224.
_BLUR_FRACTION = 0.01
_CROPPED_FRACTION = 0.7
# Three and a half stops: a lit building after dusk, taken as if by day.
_NIGHT_EXPOSURE = 0.09
_DISPLAY_GAMMA = 2.2
# Variance of light in 0..1 is the one times the light plus the other: photons and the
# sensor (Foi et al., IEEE Transactions on Image Processing 17 (2008), 1737-1754).
_PHOTON_NOISE = 4e-4
_SENSOR_NOISE = 2e-5
_SEED = 0


@dataclass(frozen=True)
class ConditionResult:
    """What became of photos under a condition.

    Attributes:
        name: of the condition.
        num_right: photos answered right.
        num_images: photos asked about, at least one.
        example: one of them, RGB.
    """

    name: str
    num_right: int
    num_images: int
    example: Image.Image


def compress(photo: Image.Image, quality: int) -> Image.Image:
    """Returns a photo as a JPEG of a quality in 1..95 shows it."""
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def shrink(photo: Image.Image, factor: int) -> Image.Image:
    """Returns a photo with a `factor` of the pixels along each side."""
    size = [max(1, round(side / factor)) for side in photo.size]
    return photo.resize((size[0], size[1]), Image.Resampling.BILINEAR)


def blur(photo: Image.Image) -> Image.Image:
    """Returns a photo out of focus: Gaussian, a hundredth of its shorter side."""
    return photo.filter(ImageFilter.GaussianBlur(_BLUR_FRACTION * min(photo.size)))


def darken(photo: Image.Image) -> Image.Image:
    """Returns a photo taken with too little light, with the noise of that.

    The noise is drawn from a seed of its own: the same photo comes out the same.
    """
    rng = np.random.default_rng(_SEED)

    # A colour at a time: a photo of many megapixels is large as floats.
    def expose(color: Image.Image) -> Image.Image:
        light = (np.asarray(color, np.float32) / 255) ** _DISPLAY_GAMMA
        light *= _NIGHT_EXPOSURE
        noise = rng.standard_normal(light.shape, np.float32)
        light += noise * np.sqrt(_PHOTON_NOISE * light + _SENSOR_NOISE)
        values = np.clip(light, 0, 1) ** (1 / _DISPLAY_GAMMA)
        return Image.fromarray(np.round(values * 255).astype(np.uint8))

    return Image.merge("RGB", [expose(color) for color in photo.split()])


def tilt(photo: Image.Image, degrees: float) -> Image.Image:
    """Returns what a camera held askew sees of a photo, less than 90 degrees.

    The largest part of the same shape that has no empty corners.
    """
    width, height = photo.size
    angle = math.radians(abs(degrees))
    longer = max(width / height, height / width)
    fraction = 1 / (math.cos(angle) + longer * math.sin(angle))
    turned = photo.rotate(degrees, Image.Resampling.BICUBIC)
    return _crop_center(turned, fraction)


def crop(photo: Image.Image) -> Image.Image:
    """Returns the middle of a photo, 70 % of each side."""
    return _crop_center(photo, _CROPPED_FRACTION)


# What people know it by -> from an RGB photo to an RGB photo; the photo itself first.
CONDITIONS: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    AS_IT_IS: lambda photo: photo,
    "JPEG of quality 30": lambda photo: compress(photo, 30),
    "JPEG of quality 10": lambda photo: compress(photo, 10),
    "half the resolution": lambda photo: shrink(photo, 2),
    "a quarter of the resolution": lambda photo: shrink(photo, 4),
    "blurred": blur,
    "dark and noisy, as at night": darken,
    "turned by 10 degrees": lambda photo: tilt(photo, 10),
    "turned by 90 degrees": lambda p: p.transpose(Image.Transpose.ROTATE_90),
    "the middle alone, 70 % of each side": crop,
}


def answer_photos(
    paths: Sequence[Path],
    image_size: tuple[int, int],
    predict: Callable[[np.ndarray], np.ndarray],
) -> Iterator[np.ndarray]:
    """Answers photos under each condition, a few in memory at a time.

    Args:
        paths: of photos.
        image_size: (height, width) in pixels of the images that `predict` takes.
        predict: from images float32 `[num_conditions, height, width, 3]`, RGB, in
            [0, 1], to probabilities.

    Yields:
        for each path, in order, float `[num_conditions, num_classes]`, in the order of
        `CONDITIONS`.

    Raises:
        InvalidInput: if a file cannot be read as a photo; the message names it.
    """
    num_ahead = os.cpu_count() or 1
    with ThreadPoolExecutor(num_ahead) as pool:
        for start in range(0, len(paths), num_ahead):
            chunk = paths[start : start + num_ahead]
            for pixels in pool.map(lambda path: _load(path, image_size), chunk):
                yield predict(normalize(pixels))


def _load(path: Path, image_size: tuple[int, int]) -> np.ndarray:
    """Returns a photo under each condition, uint8 `[num_conditions, ...]`."""
    photo = load_photo(path)
    changed = (change(photo) for change in CONDITIONS.values())
    small = (resize(image, image_size) for image in changed)
    return np.stack([np.asarray(image) for image in small])


def count_right(
    answers: Iterable[np.ndarray], labels: Sequence[int], example: Path
) -> list[ConditionResult]:
    """Returns what became of photos, in the order of `CONDITIONS`.

    Args:
        answers: of `answer_photos`.
        labels: integers `[num_photos]`, at least one.
        example: a photo to show under each condition.
    """
    num_right = np.zeros(len(CONDITIONS), int)
    for probabilities, label in zip(answers, labels):
        num_right += probabilities.argmax(axis=1) == label
    photo = load_photo(example)
    return [
        ConditionResult(name, int(count), len(labels), change(photo))
        for (name, change), count in zip(CONDITIONS.items(), num_right)
    ]


def _crop_center(photo: Image.Image, fraction: float) -> Image.Image:
    width, height = (max(1, int(fraction * side)) for side in photo.size)
    left, top = (photo.width - width) // 2, (photo.height - height) // 2
    return photo.crop((left, top, left + width, top + height))
