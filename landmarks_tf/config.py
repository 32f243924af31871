"""Every setting of a run, once: its default, what it is for, what it may be.

Owns the settings, their limits and the recipes. Does not own how a program reads them:
`scripts/command_line.py` makes flags of the fields. No TensorFlow.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace
from typing import Any

from landmarks_tf.errors import require
from landmarks_tf.models.presets import BACKBONES
from landmarks_tf.models.presets import SCRATCH_PRESETS
from landmarks_tf.recipes import RECIPES
from landmarks_tf.run_folder import EXPORTS

# Share of the epochs in which photos are mixed; then the network sees them as they are.
_MIXED_SHARE = 0.9
_LARGEST_DECODED_SIZE = 800
# Six halvings leave at least one pixel.
MIN_SCRATCH_IMAGE_SIZE = 64


@dataclass(frozen=True)
class Limit:
    """What a value may be: in words, to stand behind "must be", and as a test."""

    wanted: str
    allows: Callable[[Any], bool]


_ANY = Limit("anything", lambda value: True)
_COUNT = Limit("a positive integer", lambda value: value >= 1)
_NOT_NEGATIVE = Limit("0 or more", lambda value: value >= 0)
_POSITIVE = Limit("greater than 0", lambda value: value > 0)
_SHARE = Limit("between 0 and 1", lambda value: 0 < value < 1)
_SHARE_OR_NONE = Limit("in [0, 1)", lambda value: 0 <= value < 1)
_SHARE_OR_ALL = Limit("in [0, 1]", lambda value: 0 <= value <= 1)
_SEED = Limit("in 0..2147483647", lambda value: 0 <= value < 2**31)


def _setting(group: str, default: Any, text: str, limit: Limit = _ANY) -> Any:
    """Returns a field with its group, its help and its limit."""
    metadata = {"group": group, "help": text, "limit": limit, "choices": ()}
    return dataclasses.field(default=default, metadata=metadata)


def _choice(group: str, default: str, choices: tuple[str, ...], text: str) -> Any:
    """Returns a field that has one of some words."""
    limit = Limit(f"one of {choices}", lambda value: value in choices)
    metadata = {"group": group, "help": text, "limit": limit, "choices": choices}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class ExportConfig:
    """Which files are exported, and what they say of themselves.

    Raises:
        InvalidInput: at construction, if a value is outside its limits.
    """

    formats: tuple[str, ...] = _setting(
        "export",
        ("saved_model", "float32", "float16", "int8"),
        f"Files to write, of {','.join(EXPORTS)}. float16 has half the size of "
        "float32, int8 a quarter.",
        Limit(f"of {','.join(EXPORTS)}", lambda value: set(value) <= set(EXPORTS)),
    )
    author: str = _setting(
        "export", "unknown", "Author of the model, written into the TFLite files."
    )
    licence: str = _setting(
        "export", "unknown", "Licence of the model, written into the TFLite files."
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            limit = field.metadata["limit"]
            value = getattr(self, field.name)
            require(limit.allows(value), field.name, limit.wanted, value)


@dataclass(frozen=True)
class TrainConfig(ExportConfig):
    """What a run is made of, besides its data.

    Raises:
        InvalidInput: at construction, if a value is outside its limits.
    """

    model: str = _choice(
        "network",
        "scratch",
        ("scratch", "transfer"),
        "Network from scratch, or a new head on a pre-trained backbone.",
    )
    preset: str = _choice(
        "network", "strong", tuple(SCRATCH_PRESETS), "Layout of the scratch network."
    )
    backbone: str = _choice(
        "network",
        "MobileNetV2",
        tuple(BACKBONES),
        "Network of keras.applications under the transfer model.",
    )
    backbone_weights: str = _setting(
        "network",
        "imagenet",
        "Weights: imagenet (downloaded), none (random), or the path of a file without "
        "top.",
    )
    image_size: int = _setting(
        "network", 800, "Height and width of the model's images, in pixels.", _COUNT
    )
    network_size: int = _setting(
        "network",
        0,
        "Height and width that a scratch network shrinks its images to before it looks "
        "at them; divides image_size. 0: no shrinking.",
        _NOT_NEGATIVE,
    )
    training_sizes: tuple[int, ...] = _setting(
        "training",
        (),
        "Progressive resizing: image sizes to train at, in order, each for an equal "
        "share of the epochs (scratch networks and fine-tuning). Repeat the flag for "
        "each. Default: network_size or image_size.",
    )
    batch_size: int = _setting("training", 8, "Photos in a training step.", _COUNT)
    augmentation: str = _choice(
        "training",
        "none",
        ("none", "crop_flip_color"),
        "Train on the photos, or on random parts of them, mirrored half the time, in "
        "random brightness, contrast and saturation.",
    )
    mixing: str = _choice(
        "training",
        "none",
        ("none", "cutmix_mixup"),
        "Mix half of a scratch network's training photos in pairs, by CutMix or MixUp, "
        "in the first nine tenths of the epochs.",
    )
    epochs: int = _setting("training", 30, "Largest number of epochs.", _COUNT)
    learning_rate: float = _setting(
        "training", 2e-4, "Highest step size of AdamW.", _POSITIVE
    )
    learning_rate_schedule: str = _choice(
        "training",
        "constant",
        ("constant", "cosine"),
        "Keep the learning rate, or lower it to 0 along a cosine.",
    )
    warmup_epochs: int = _setting(
        "training",
        0,
        "Epochs in which the learning rate rises, before the cosine.",
        _NOT_NEGATIVE,
    )
    weight_decay: float = _setting(
        "training",
        0.0,
        "AdamW weight decay (not applied to biases and normalisation).",
        _NOT_NEGATIVE,
    )
    label_smoothing: float = _setting(
        "training",
        0.0,
        "Share of each training label that is spread over all classes.",
        _SHARE_OR_NONE,
    )
    patience_epochs: int = _setting(
        "training",
        10,
        "Stop after so many epochs without better validation accuracy.",
        _COUNT,
    )
    fine_tuning_epochs: int = _setting(
        "fine-tuning",
        0,
        "Epochs that train a transfer model's backbone too, once its head is trained. "
        "The result is kept if its validation loss is lower. 0: no fine-tuning.",
        _NOT_NEGATIVE,
    )
    fine_tuning_learning_rate: float = _setting(
        "fine-tuning",
        1e-4,
        "Highest step size of AdamW in fine-tuning; a cosine lowers it to 0.",
        _POSITIVE,
    )
    fine_tuning_from: str = _setting(
        "fine-tuning", "", "First layer of the backbone to fine-tune. Default: all."
    )
    mixed_precision: str = _choice(
        "training",
        "none",
        ("none", "bfloat16", "float16"),
        "Compute in this precision while training; the model written is float32.",
    )
    seed: int = _setting(
        "training", 0, "Seed of split, weights, order and dropout.", _SEED
    )
    validation_fraction: float = _setting(
        "data", 0.1, "Share of the training photos held out for validation.", _SHARE
    )
    test_fraction: float = _setting(
        "data",
        0.2,
        "Share of all photos held out for testing, where the data has no test/.",
        _SHARE,
    )
    min_accuracy: float = _setting(
        "export",
        0.0,
        "Smallest top-1 accuracy on the test photos at which files are exported (exit "
        "code 3 below it).",
        _SHARE_OR_ALL,
    )

    @classmethod
    def recipe(cls, name: str, **changed: Any) -> "TrainConfig":
        """Returns the settings of a recipe, some of them changed.

        Raises:
            InvalidInput: if there is no such recipe.
        """
        require(name in RECIPES, "recipe", f"one of {tuple(RECIPES)}", name)
        return cls(**{**RECIPES[name], **changed})

    def __post_init__(self) -> None:
        super().__post_init__()
        is_cosine = self.learning_rate_schedule == "cosine"
        is_possible = self.warmup_epochs < self.epochs if is_cosine else False
        wanted = "0, or less than `epochs` with learning_rate_schedule=cosine"
        self._require("warmup_epochs", is_possible or not self.warmup_epochs, wanted)
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
