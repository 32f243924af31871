"""Every setting of a run, once: its default, what it is for, what it may be.

Owns the settings, their limits and the recipes. Does not own how a program reads them:
`commands/flags` makes flags of the fields. No TensorFlow.
"""

from dataclasses import dataclass
from dataclasses import replace
from typing import Any

from landmarks_tf import setting
from landmarks_tf.errors import require
from landmarks_tf.models import presets
from landmarks_tf.recipes import RECIPES
from landmarks_tf.run import EXPORTS

# Share of the epochs in which photos are mixed; then the network sees them as they are.
_MIXED_SHARE = 0.9
_LARGEST_DECODED_SIZE = 800
SPLITS = ("train", "validation", "test")
OUTLIERS_HELP = (
    "Folder of photos that show none of the landmarks. Half of them help to choose the "
    "probability below which no known landmark is predicted, the other half tell how "
    "well that works. Default: 95 % of the validation photos reach it."
)
# Six halvings leave at least one pixel.
MIN_SCRATCH_IMAGE_SIZE = 64
# As `--help` groups them.
_EXPORT = setting.Group("export")
_NETWORK = setting.Group("network")
_TRAINING = setting.Group("training")
_FINE_TUNING = setting.Group("fine-tuning")
_DATA = setting.Group("data")


@dataclass(frozen=True)
class ExportConfig(setting.Settings):
    """Which files are exported, and what they say of themselves."""

    formats: tuple[str, ...] = _EXPORT.field(
        ("saved_model", "float32", "float16", "int8"),
        f"Files to write, of {','.join(EXPORTS)}. float16 has half the size of "
        "float32, int8 a quarter.",
        setting.Limit(
            f"of {','.join(EXPORTS)}", lambda value: set(value) <= set(EXPORTS)
        ),
    )
    author: str = _EXPORT.field(
        "unknown", "Author of the model, written into the TFLite files."
    )
    licence: str = _EXPORT.field(
        "unknown", "Licence of the model, written into the TFLite files."
    )


@dataclass(frozen=True)
class TrainConfig(ExportConfig):
    """What a run is made of, besides its data.

    Raises:
        InvalidInput: at construction, if a value is outside its limits.
    """

    model: str = _NETWORK.choice(
        "scratch",
        ("scratch", "transfer"),
        "Network from scratch, or a new head on a pre-trained backbone.",
    )
    preset: str = _NETWORK.choice(
        "strong", tuple(presets.SCRATCH_PRESETS), "Layout of the scratch network."
    )
    backbone: str = _NETWORK.choice(
        "MobileNetV2",
        tuple(presets.BACKBONES),
        "Network of keras.applications under the transfer model.",
    )
    backbone_weights: str = _NETWORK.field(
        "imagenet",
        "Weights: imagenet (downloaded), none (random), or the path of a file without "
        "top.",
    )
    image_size: int = _NETWORK.field(
        800, "Height and width of the model's images, in pixels.", setting.COUNT
    )
    network_size: int = _NETWORK.field(
        0,
        "Height and width that a scratch network shrinks its images to before it looks "
        "at them; divides image_size. 0: no shrinking.",
        setting.NOT_NEGATIVE,
    )
    training_sizes: tuple[int, ...] = _TRAINING.field(
        (),
        "Progressive resizing: image sizes to train at, in order, each for an equal "
        "share of the epochs (scratch networks and fine-tuning). Repeat the flag for "
        "each. Default: network_size or image_size.",
    )
    batch_size: int = _TRAINING.field(8, "Photos in a training step.", setting.COUNT)
    augmentation: str = _TRAINING.choice(
        "none",
        ("none", "crop_flip_color"),
        "Train on the photos, or on random parts of them, mirrored half the time, in "
        "random brightness, contrast and saturation.",
    )
    mixing: str = _TRAINING.choice(
        "none",
        ("none", "cutmix_mixup"),
        "Mix half of a scratch network's training photos in pairs, by CutMix or MixUp, "
        "in the first nine tenths of the epochs.",
    )
    epochs: int = _TRAINING.field(30, "Largest number of epochs.", setting.COUNT)
    learning_rate: float = _TRAINING.field(
        2e-4, "Highest step size of AdamW.", setting.POSITIVE
    )
    learning_rate_schedule: str = _TRAINING.choice(
        "constant",
        ("constant", "cosine"),
        "Keep the learning rate, or lower it to 0 along a cosine.",
    )
    warmup_epochs: int = _TRAINING.field(
        0,
        "Epochs in which the learning rate rises, before the cosine.",
        setting.NOT_NEGATIVE,
    )
    weight_decay: float = _TRAINING.field(
        0.0,
        "AdamW weight decay (not applied to biases and normalisation).",
        setting.NOT_NEGATIVE,
    )
    label_smoothing: float = _TRAINING.field(
        0.0,
        "Share of each training label that is spread over all classes.",
        setting.SHARE_OR_NONE,
    )
    patience_epochs: int = _TRAINING.field(
        10,
        "Stop after so many epochs without better validation accuracy.",
        setting.COUNT,
    )
    fine_tuning_epochs: int = _FINE_TUNING.field(
        0,
        "Epochs that train a transfer model's backbone too, once its head is trained. "
        "The result is kept if its validation loss is lower. 0: no fine-tuning.",
        setting.NOT_NEGATIVE,
    )
    fine_tuning_learning_rate: float = _FINE_TUNING.field(
        1e-4,
        "Highest step size of AdamW in fine-tuning; a cosine lowers it to 0.",
        setting.POSITIVE,
    )
    fine_tuning_from: str = _FINE_TUNING.field(
        "", "First layer of the backbone to fine-tune. Default: all."
    )
    mixed_precision: str = _TRAINING.choice(
        "none",
        ("none", "bfloat16", "float16"),
        "Compute in this precision while training; the model written is float32.",
    )
    seed: int = _TRAINING.field(
        0, "Seed of split, weights, order and dropout.", setting.SEED
    )
    validation_fraction: float = _DATA.field(
        0.1, "Share of the training photos held out for validation.", setting.SHARE
    )
    test_fraction: float = _DATA.field(
        0.2,
        "Share of all photos held out for testing, where the data has no test/.",
        setting.SHARE,
    )
    split_file: str = _DATA.field(
        "",
        "File split.json of an earlier run: its photos stay in their splits, whatever "
        "--seed and the fractions say; new ones are divided by them. A photo that has "
        "changed or gone is refused. Recorded in run.flags as the run's own split.",
    )
    outliers_dir: str = _DATA.field("", OUTLIERS_HELP)
    distribution: str = _TRAINING.choice(
        "auto",
        ("auto", "none", "hosts"),
        "Devices to train on. auto takes all GPUs of this machine, each with its share "
        "of every batch: let --batch_size divide by their number. hosts trains a "
        "scratch network on several machines, each of which runs this command "
        "(docs/distributed.md).",
    )
    deterministic: bool = _TRAINING.field(
        False,
        "Refuse operations that TensorFlow may compute otherwise the next time. On a "
        "CPU a run is the same without (docs/reproducibility.md).",
    )
    tensorboard: bool = _TRAINING.field(
        False,
        "Write logs for TensorBoard into the run folder, tensorboard/ (needs the extra "
        "[tensorboard]).",
    )
    min_accuracy: float = _EXPORT.field(
        0.0,
        "Smallest top-1 accuracy on the test photos at which files are exported (exit "
        "code 3 below it).",
        setting.SHARE_OR_ALL,
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
        why = "with a transfer model: its features are float32"
        self._require_defaults(why, "mixed_precision")
        why = "with a transfer model, which is trained on features"
        self._require_defaults(why, "network_size", "mixing")
        if not self.fine_tuning_epochs:
            why = f"without fine-tuning: {self.backbone} sees each photo once"
            self._require_defaults(why, "augmentation")
        elif self.training_sizes:
            self._check_training_sizes(self.fine_tuning_epochs)

    def _check_scratch(self) -> None:
        name = "network_size" if self.network_size else "image_size"
        wanted = f"at least {MIN_SCRATCH_IMAGE_SIZE} (six poolings halve it)"
        self._require(name, self.fitted_size >= MIN_SCRATCH_IMAGE_SIZE, wanted)
        is_divisor = self.image_size % self.fitted_size == 0
        wanted = f"a divisor of image_size={self.image_size}, or 0 for all of it"
        self._require("network_size", is_divisor, wanted)
        why = "with a scratch network, all of which is trained"
        self._require_defaults(why, "fine_tuning_epochs", "fine_tuning_from")
        if self.training_sizes:
            name = "training_sizes"
            is_possible = min(self.training_sizes) >= MIN_SCRATCH_IMAGE_SIZE
            wanted = f"at least {MIN_SCRATCH_IMAGE_SIZE} each (six poolings halve them)"
            self._require(name, is_possible, wanted)
            if not presets.SCRATCH_PRESETS[self.preset].global_pooling:
                why = "with a preset that flattens, which takes images of one size"
                self._require_defaults(why, name)
            self._check_training_sizes(self.epochs)

    def _check_training_sizes(self, num_epochs: int) -> None:
        name = "training_sizes"
        self._require(name, min(self.training_sizes) >= 1, "positive integers")
        num_sizes = len(self.training_sizes)
        self._require(name, num_sizes <= num_epochs, "no more than there are epochs")
        is_once = len(set(self.training_sizes)) == num_sizes
        self._require(name, is_once, "all different")
        if self.augmentation == "none":
            why = "with augmentation=none, which shows whole photos"
            self._require_defaults(why, name)

    def _require_defaults(self, why: str, *names: str) -> None:
        for name in names:
            default = getattr(type(self), name)
            self._require(name, getattr(self, name) == default, f"{default!r} {why}")

    def _require(self, name: str, is_allowed: bool, wanted: str) -> None:
        require(is_allowed, name, wanted, getattr(self, name))
