"""The numbers and names of a training run, with their defaults and their limits.

Owns the only place where a default is written; the flags of `scripts/train.py` read
it. No TensorFlow.
"""

from dataclasses import dataclass
from dataclasses import replace

from landmarks_tf.architectures import BACKBONES
from landmarks_tf.architectures import SCRATCH_PRESETS
from landmarks_tf.errors import require

# Each choice is a flag's list of allowed words.
CHOICES = {
    "model": ("scratch", "transfer"),
    "preset": tuple(SCRATCH_PRESETS),
    "backbone": tuple(BACKBONES),
    "augmentation": ("none", "crop_flip_color"),
    "mixing": ("none", "cutmix_mixup"),
    "learning_rate_schedule": ("constant", "cosine"),
    "mixed_precision": ("none", "bfloat16", "float16"),
}
_COUNTS = (
    "image_size",
    "batch_size",
    "epochs",
    "patience_epochs",
)
_NOT_NEGATIVE = (
    "network_size",
    "weight_decay",
    "warmup_epochs",
    "fine_tuning_epochs",
)
# Share of the epochs in which photos are mixed; then the network sees them as they are.
_MIXED_SHARE = 0.9
_LARGEST_DECODED_SIZE = 800
# Six halvings leave at least one pixel.
MIN_SCRATCH_IMAGE_SIZE = 64


@dataclass(frozen=True)
class TrainConfig:
    """What a run is made of, besides its data.

    Raises:
        InvalidInput: at construction, if a value is outside its limits.
    """

    model: str = "scratch"
    preset: str = "strong"
    backbone: str = "MobileNetV2"
    backbone_weights: str = "imagenet"
    image_size: int = 800
    network_size: int = 0
    training_sizes: tuple[int, ...] = ()
    batch_size: int = 8
    augmentation: str = "none"
    mixing: str = "none"
    epochs: int = 30
    learning_rate: float = 2e-4
    learning_rate_schedule: str = "constant"
    warmup_epochs: int = 0
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    patience_epochs: int = 10
    fine_tuning_epochs: int = 0
    fine_tuning_learning_rate: float = 1e-4
    fine_tuning_from: str = ""
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
        self._require("label_smoothing", 0 <= self.label_smoothing < 1, "in [0, 1)")
        for name in ("learning_rate", "fine_tuning_learning_rate"):
            self._require(name, getattr(self, name) > 0, "greater than 0")
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
        """The height and width that a network is validated at, in pixels."""
        return self.network_size or self.image_size

    @property
    def epoch_sizes(self) -> tuple[int, ...]:
        """The height and width of the training images of each epoch, in pixels."""
        sizes = self.training_sizes or (self.fitted_size,)
        return tuple(
            sizes[epoch * len(sizes) // self.epochs] for epoch in range(self.epochs)
        )

    @property
    def fine_tuning(self) -> "TrainConfig":
        """The options of the second stage, in which the backbone is trained too.

        It begins gently, since AdamW's first steps are as long as any; and is not
        stopped early, since its last epoch is kept, when the rate has come down to 0.
        """
        return replace(
            self,
            epochs=self.fine_tuning_epochs,
            learning_rate=self.fine_tuning_learning_rate,
            learning_rate_schedule="cosine",
            warmup_epochs=min(1, self.fine_tuning_epochs - 1),
            patience_epochs=self.fine_tuning_epochs,
        )

    @property
    def num_mixed_epochs(self) -> int:
        """How many epochs, from the first, show mixed photos."""
        return 0 if self.mixing == "none" else round(_MIXED_SHARE * self.epochs)

    @property
    def decoded_size(self) -> int:
        """The height and width that its training photos are decoded to, in pixels.

        Where parts of them are shown it is twice what is trained at, so that these are
        as sharp as a whole photo of that size, but not what would take gigabytes.
        """
        if self.augmentation == "none":
            return self.fitted_size
        size = max(self.epoch_sizes)
        return max(size, min(2 * size, _LARGEST_DECODED_SIZE))

    def _check_transfer(self) -> None:
        wanted = "'none' with a transfer model: its features are float32"
        self._require("mixed_precision", self.mixed_precision == "none", wanted)
        for name in ("network_size", "mixing"):
            default = getattr(type(self), name)
            wanted = f"{default!r} with a transfer model, which is trained on features"
            self._require(name, getattr(self, name) == default, wanted)
        if not self.fine_tuning_epochs:
            wanted = f"'none' without fine-tuning: {self.backbone} sees each photo once"
            self._require("augmentation", self.augmentation == "none", wanted)
        elif self.training_sizes:
            self._check_training_sizes(self.fine_tuning_epochs)

    def _check_scratch(self) -> None:
        name = "network_size" if self.network_size else "image_size"
        wanted = f"at least {MIN_SCRATCH_IMAGE_SIZE} (six poolings halve it)"
        self._require(name, self.fitted_size >= MIN_SCRATCH_IMAGE_SIZE, wanted)
        is_divisor = self.image_size % self.fitted_size == 0
        wanted = f"a divisor of image_size={self.image_size}, or 0 for all of it"
        self._require("network_size", is_divisor, wanted)
        for name in ("fine_tuning_epochs", "fine_tuning_from"):
            default = getattr(type(self), name)
            wanted = f"{default!r} with a scratch network, all of which is trained"
            self._require(name, getattr(self, name) == default, wanted)
        if self.training_sizes:
            name = "training_sizes"
            is_possible = min(self.training_sizes) >= MIN_SCRATCH_IMAGE_SIZE
            wanted = f"at least {MIN_SCRATCH_IMAGE_SIZE} each (six poolings halve them)"
            self._require(name, is_possible, wanted)
            wanted = "() with a preset that flattens, which takes images of one size"
            is_possible = SCRATCH_PRESETS[self.preset].global_pooling
            self._require(name, is_possible, wanted)
            self._check_training_sizes(self.epochs)

    def _check_training_sizes(self, num_epochs: int) -> None:
        name = "training_sizes"
        self._require(name, min(self.training_sizes) >= 1, "positive integers")
        num_sizes = len(self.training_sizes)
        self._require(name, num_sizes <= num_epochs, "no more than there are epochs")
        is_once = len(set(self.training_sizes)) == num_sizes
        self._require(name, is_once, "all different")
        wanted = "() with augmentation=none, which shows whole photos"
        self._require(name, self.augmentation != "none", wanted)

    def _require(self, name: str, is_allowed: bool, wanted: str) -> None:
        require(is_allowed, name, wanted, getattr(self, name))
