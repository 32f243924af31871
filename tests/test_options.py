import dataclasses
import importlib.util
import re
import sys
from pathlib import Path

import pytest
from absl import flags

from landmarks_tf.errors import InvalidInput
from landmarks_tf.options import CHOICES
from landmarks_tf.options import TrainingOptions

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_size", -1),
        ("image_size", 63),
        ("batch_size", 0),
        ("epochs", 0),
        ("cached_views", 0),
        ("patience_epochs", 0),
        ("learning_rate", 0.0),
        ("seed", -1),
        ("validation_fraction", 0.0),
        ("test_fraction", 1.0),
        ("min_accuracy", 1.5),
        *((name, "other") for name in CHOICES),
    ],
)
def test_refuses_a_value_and_says_which(name, value):
    message = f"^`{name}` must be .*Received: {name}={re.escape(str(value))}$"
    with pytest.raises(InvalidInput, match=message):
        TrainingOptions(**{name: value})


def test_transfer_takes_images_that_six_poolings_do_not():
    assert TrainingOptions(model="transfer", image_size=32).image_size == 32


def test_augmented_transfer_needs_a_view_besides_the_photo():
    with pytest.raises(InvalidInput, match="^`cached_views` must be at least 2"):
        TrainingOptions(model="transfer", augmentation="crop_flip", cached_views=1)
    assert TrainingOptions(augmentation="crop_flip", cached_views=1)


def test_every_field_has_a_flag_with_its_default_and_help(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(SCRIPTS), *sys.path])
    spec = importlib.util.spec_from_file_location("train", SCRIPTS / "train.py")
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    for field in dataclasses.fields(TrainingOptions):
        flag = flags.FLAGS[field.name]
        assert flag.default == field.default
        assert len(flag.help) > 5
