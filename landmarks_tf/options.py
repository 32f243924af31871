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
    "augmentation": ("none", "crop_flip", "crop_flip_color"),
    "learning_rate_schedule": ("constant", "cosine"),
    "mixed_precision": ("none", "bfloat16", "float16"),
}
_COUNTS = ("image_size", "batch_size", "cached_views", "epochs", "patience_epochs")
_NOT_NEGATIVE = ("training_size", "weight_decay", "warmup_epochs")
# Six halvings leave at least one pixel.
MIN_SCRATCH_IMAGE_SIZE = 64


@dataclass(frozen=True)
class TrainingOptions:
    """What a run is made of, besides its data.

    Raises:
        InvalidInput: at construction, if a value is outside its limits.
    """

    model: str = "scratch"
    preset: str = "strong"
    backbone: str = "MobileNetV2"
    backbone_weights: str = "imagenet"
    image_size: int = 800
    training_size: int = 0
    batch_size: int = 8
    augmentation: str = "none"
    cached_views: int = 8
    epochs: int = 30
    learning_rate: float = 2e-4
    learning_rate_schedule: str = "constant"
    warmup_epochs: int = 0
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    ema_momentum: float = 0.0
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
        for name in _NOT_NEGATIVE:
            self._require(name, getattr(self, name) >= 0, "0 or more")
        for name in ("label_smoothing", "ema_momentum"):
            self._require(name, 0 <= getattr(self, name) < 1, "in [0, 1)")
        self._require("learning_rate", self.learning_rate > 0, "greater than 0")
        is_cosine = self.learning_rate_schedule == "cosine"
        is_possible = self.warmup_epochs < self.epochs if is_cosine else False
        wanted = "0, or less than `epochs` with learning_rate_schedule=cosine"
        self._require("warmup_epochs", is_possible or not self.warmup_epochs, wanted)
        self._require("seed", 0 <= self.seed < 2**31, "in 0..2147483647")
        for name in ("validation_fraction", "test_fraction"):
            self._require(name, 0 < getattr(self, name) < 1, "between 0 and 1")
        self._require("min_accuracy", 0 <= self.min_accuracy <= 1, "in [0, 1]")
        if self.model == "transfer":
            self._check_transfer()
        else:
            self._check_scratch()

    @property
    def fitted_size(self) -> int:
        """The height and width that a network is trained at, in pixels."""
        return self.training_size or self.image_size

    @property
    def decoded_size(self) -> int:
        """The height and width that its training photos are decoded to, in pixels.

        Twice what is trained at where parts of them are shown, which are then as sharp
        as a whole photo of that size.
        """
        if self.augmentation == "none":
            return self.fitted_size
        return min(2 * self.fitted_size, self.image_size)

    def _check_transfer(self) -> None:
        wanted = "'none' with a transfer model: its features are float32"
        self._require("mixed_precision", self.mixed_precision == "none", wanted)
        wanted = "0 with a transfer model, whose features are of `image_size`"
        self._require("training_size", self.training_size == 0, wanted)
        if self.augmentation != "none":
            is_enough = self.cached_views >= 2
            wanted = "at least 2 with augmentation: the first view is the photo"
            self._require("cached_views", is_enough, wanted)

    def _check_scratch(self) -> None:
        name = "training_size" if self.training_size else "image_size"
        wanted = f"at least {MIN_SCRATCH_IMAGE_SIZE} (six poolings halve it)"
        self._require(name, self.fitted_size >= MIN_SCRATCH_IMAGE_SIZE, wanted)
        is_divisor = self.image_size % self.fitted_size == 0
        wanted = f"a divisor of image_size={self.image_size}, or 0 for all of it"
        self._require("training_size", is_divisor, wanted)

    def _require(self, name: str, is_allowed: bool, wanted: str) -> None:
        if not is_allowed:
            raise InvalidInput(
                f"`{name}` must be {wanted}. Received: {name}={getattr(self, name)}"
            )
