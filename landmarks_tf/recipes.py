"""The recipes: settings that were measured together, by name. Tables, no code.

What each reaches, and in which time, stands in `scripts/flags/NAME.flags`.
"""

from collections.abc import Mapping
from typing import Any

# The head is trained by the probe's settings, then the last blocks by fine-tuning's.
_PROBE_AND_FINE_TUNING = {
    "model": "transfer",
    "batch_size": 32,
    "epochs": 6,
    "learning_rate": 3e-3,
    "learning_rate_schedule": "cosine",
    "label_smoothing": 0.1,
    "weight_decay": 0.05,
    "augmentation": "crop_flip_color",
    "training_sizes": (224,),
}
RECIPES: Mapping[str, Mapping[str, Any]] = {
    "quickstart": {
        "preset": "small",
        "image_size": 80,
        "batch_size": 32,
        "epochs": 12,
        "learning_rate": 3e-3,
        "learning_rate_schedule": "cosine",
    },
    "mobile": {
        **_PROBE_AND_FINE_TUNING,
        "backbone": "MobileNetV2",
        "image_size": 288,
        "fine_tuning_epochs": 12,
        "fine_tuning_learning_rate": 3e-4,
        "fine_tuning_from": "block_13_expand",
    },
    "transfer": {
        **_PROBE_AND_FINE_TUNING,
        "backbone": "EfficientNetB4",
        "image_size": 320,
        "fine_tuning_epochs": 6,
        "fine_tuning_learning_rate": 1e-4,
        "fine_tuning_from": "block6a_expand_conv",
        # In int8 one prediction in a hundred is another: refused, so not tried.
        "formats": ("saved_model", "float32", "float16"),
    },
    "scratch": {
        "model": "scratch",
        "preset": "strong",
        "image_size": 800,
        "network_size": 200,
        "training_sizes": (96, 128, 160),
        "batch_size": 32,
        "augmentation": "crop_flip_color",
        "mixing": "cutmix_mixup",
        "epochs": 180,
        "patience_epochs": 180,
        "learning_rate": 2e-3,
        "learning_rate_schedule": "cosine",
        "warmup_epochs": 5,
        "weight_decay": 0.05,
        "label_smoothing": 0.1,
        "mixed_precision": "bfloat16",
    },
    # The mission's own network as it is: no normalisation, no augmentation.
    "reference": {
        "model": "scratch",
        "preset": "reference",
        "image_size": 800,
        "batch_size": 8,
        "epochs": 30,
        "learning_rate": 2e-4,
    },
}
