import dataclasses
import importlib
from pathlib import Path

import keras
import numpy as np
import pytest
from absl import flags

from landmarks_tf import checkpoints
from landmarks_tf import models
from landmarks_tf.catalog import load_catalog
from landmarks_tf.checkpoints import Progress
from landmarks_tf.options import TrainingOptions

OPTIONS = TrainingOptions(
    model="transfer",
    backbone_weights="none",
    image_size=32,
    batch_size=16,
    augmentation="crop_flip",
    ema_momentum=0.5,
    fine_tuning_epochs=1,
    fine_tuning_learning_rate=1e-3,
)


class Killed(BaseException):
    """As a signal would, passes every `except Exception`."""


def build_model():
    keras.utils.set_random_seed(0)
    model = models.build_transfer_model("MobileNetV2", "none", (32, 32), 3)
    # What random weights and untrained statistics let through of an image is nothing.
    for weight in model.weights:
        if weight.path.endswith("/gamma"):
            weight.assign(3 * weight)
    return model


def weights_of(model):
    return {weight.path: np.array(weight) for weight in model.weights}


@pytest.fixture
def fine_tune(monkeypatch, colored_dir, tmp_path):
    """fitting.fine_tune of a small model, after a probe with a given accuracy."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "scripts")
    fitting = importlib.import_module("fitting")
    flags.FLAGS.mark_as_parsed()
    catalog = load_catalog(colored_dir)
    splits = dict(catalog.splits) | {"validation": catalog.splits["test"]}
    photos = type(catalog)(colored_dir, catalog.class_names, splits)

    def run(accuracy, options=OPTIONS, folder=tmp_path):
        probe = Progress(({"val_accuracy": accuracy, "val_loss": 0.0},), True, 1.0)
        tuned, progress = fitting.fine_tune(
            build_model(), probe, photos, folder, options
        )
        return weights_of(tuned), progress

    return run


def changed_weights(after):
    before = weights_of(build_model())
    return {path for path in before if not np.array_equal(before[path], after[path])}


def test_fine_tuning_changes_all_weights_but_those_of_normalisation(fine_tune, capsys):
    weights, progress = fine_tune(accuracy=-1.0)
    # Its 52 convolutions and the head.
    assert len(changed_weights(weights)) == 52 + 2
    assert progress.num_epochs == 2 and progress.best_epoch == 1
    out = capsys.readouterr().out
    assert "fine-tuning: validation -100.0%, then " in out
    assert out.endswith(": kept\n")


def test_fine_tuning_that_is_no_better_leaves_the_model_as_it_was(fine_tune, capsys):
    weights, progress = fine_tune(accuracy=1.0)
    assert not changed_weights(weights)
    assert progress.num_epochs == 2 and progress.best_epoch == 0
    assert capsys.readouterr().out.endswith(": not kept\n")


def test_killed_fine_tuning_goes_on_to_the_same_weights(
    fine_tune, monkeypatch, tmp_path
):
    options = dataclasses.replace(OPTIONS, fine_tuning_epochs=2)
    weights, progress = fine_tune(-1.0, options, tmp_path / "unbroken")

    def die_in_second_epoch(self, batch, logs=None):
        if self.progress.num_epochs == 1:
            raise Killed

    keeper = checkpoints.CheckpointKeeper
    name = "on_train_batch_begin"
    monkeypatch.setattr(keeper, name, die_in_second_epoch, raising=False)
    with pytest.raises(Killed):
        fine_tune(-1.0, options, tmp_path / "killed")
    monkeypatch.undo()
    resumed, resumed_progress = fine_tune(-1.0, options, tmp_path / "killed")
    assert resumed_progress.history == progress.history
    for path, weight in weights.items():
        np.testing.assert_array_equal(weight, resumed[path])
