"""The numbers and names of a training run, with their defaults and their limits.

Owns the only place where a default is written; the flags of `scripts/train.py` read
it. No TensorFlow.
"""

from dataclasses import dataclass

from landmarks_tf.architectures import BACKBONES
from landmarks_tf.architectures import SCRATCH_PRESETS
from landmarks_tf.errors import InvalidInput

# Each choice is a flag's list of allowed words.
CHOICES = {
    "model": ("scratch", "transfer"),
    "preset": tuple(SCRATCH_PRESETS),
    "backbone": tuple(BACKBONES),
    "augmentation": ("none", "crop_flip"),
    "learning_rate_schedule": ("constant", "cosine"),
    "mixed_precision": ("none", "bfloat16", "float16"),
}
_COUNTS = ("image_size", "batch_size", "cached_views", "epochs", "patience_epochs")
# Six halvings leave at least one pixel.
MIN_SCRATCH_IMAGE_SIZE = 64


@dataclass(frozen=True)
class TrainingOptions:
    """What a run is made of, besides its data.

    Raises:
        InvalidInput: at construction, if a value is outside its limits.
    """

    model: str = "scratch"
    preset: str = "reference"
    backbone: str = "MobileNetV2"
    backbone_weights: str = "imagenet"
    image_size: int = 800
    batch_size: int = 8
    augmentation: str = "none"
    cached_views: int = 8
    epochs: int = 30
    learning_rate: float = 2e-4
    learning_rate_schedule: str = "constant"
    patience_epochs: int = 10
    mixed_precision: str = "none"
    seed: int = 0
    validation_fraction: float = 0.1
    test_fraction: float = 0.2
    min_accuracy: float = 0.0

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            self._require(name, getattr(self, name) in allowed, f"one of {allowed}")
        for name in _COUNTS:
            self._require(name, getattr(self, name) >= 1, "a positive integer")
        self._require("learning_rate", self.learning_rate > 0, "greater than 0")
        self._require("seed", 0 <= self.seed < 2**31, "in 0..2147483647")
        for name in ("validation_fraction", "test_fraction"):
            self._require(name, 0 < getattr(self, name) < 1, "between 0 and 1")
        self._require("min_accuracy", 0 <= self.min_accuracy <= 1, "in [0, 1]")
        if self.model == "transfer":
            wanted = "'none' with a transfer model: its features are float32"
            self._require("mixed_precision", self.mixed_precision == "none", wanted)
            if self.augmentation != "none":
                is_enough = self.cached_views >= 2
                wanted = "at least 2 with augmentation: the first view is the photo"
                self._require("cached_views", is_enough, wanted)
        if self.model == "scratch":
            is_enough = self.image_size >= MIN_SCRATCH_IMAGE_SIZE
            wanted = f"at least {MIN_SCRATCH_IMAGE_SIZE} (six poolings halve it)"
            self._require("image_size", is_enough, wanted)

    def _require(self, name: str, is_allowed: bool, wanted: str) -> None:
        if not is_allowed:
            raise InvalidInput(
                f"`{name}` must be {wanted}. Received: {name}={getattr(self, name)}"
            )
