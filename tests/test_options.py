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
        ("training_size", -1),
        ("training_size", 32),
        ("training_size", 300),
        ("training_size", 1600),
        ("weight_decay", -0.1),
        ("label_smoothing", 1.0),
        ("ema_momentum", 1.0),
        ("warmup_epochs", -1),
        ("warmup_epochs", 3),
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


def test_a_warm_up_is_of_a_cosine_and_ends_before_it():
    for schedule, warmup in [("constant", 1), ("cosine", 30)]:
        with pytest.raises(InvalidInput, match="^`warmup_epochs` must be 0, or less"):
            TrainingOptions(learning_rate_schedule=schedule, warmup_epochs=warmup)
    assert TrainingOptions(learning_rate_schedule="cosine", warmup_epochs=29)


def test_a_transfer_model_is_trained_at_its_own_size():
    with pytest.raises(InvalidInput, match="^`training_size` must be 0 with a tra"):
        TrainingOptions(model="transfer", training_size=400)


def test_parts_of_photos_are_decoded_at_twice_the_size():
    def decoded_size(**values):
        return TrainingOptions(**values).decoded_size

    assert decoded_size() == 800
    assert decoded_size(training_size=200) == 200
    assert decoded_size(training_size=200, augmentation="crop_flip") == 400
    assert decoded_size(training_size=800, augmentation="crop_flip") == 800


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
