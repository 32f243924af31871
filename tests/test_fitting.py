import importlib
from pathlib import Path

import keras
import numpy as np
import pytest
from absl import flags

from landmarks_tf import models
from landmarks_tf.catalog import load_catalog
from landmarks_tf.checkpoints import Progress
from landmarks_tf.options import TrainingOptions

OPTIONS = TrainingOptions(
    model="transfer",
    backbone_weights="none",
    image_size=32,
    batch_size=16,
    fine_tuning_epochs=1,
    fine_tuning_learning_rate=1e-2,
)


@pytest.fixture
def fine_tune(monkeypatch, colored_dir, tmp_path):
    """fitting.fine_tune of a small model, after a probe with a given accuracy."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "scripts")
    fitting = importlib.import_module("fitting")
    flags.FLAGS.mark_as_parsed()
    catalog = load_catalog(colored_dir)
    splits = dict(catalog.splits) | {"validation": catalog.splits["test"]}
    photos = type(catalog)(colored_dir, catalog.class_names, splits)
    keras.utils.set_random_seed(0)
    model = models.build_transfer_model("MobileNetV2", "none", (32, 32), 3)
    # What random weights and untrained statistics let through of an image is nothing.
    for weight in model.weights:
        if weight.path.endswith("/gamma"):
            weight.assign(3 * weight)

    def run(accuracy):
        probe = Progress(({"val_accuracy": accuracy, "val_loss": 0.0},), True, 1.0)
        before = {w.path: np.array(w) for w in model.weights}
        tuned, progress = fitting.fine_tune(model, probe, photos, tmp_path, OPTIONS)
        after = {w.path: np.array(w) for w in tuned.weights}
        changed = {p for p in before if not np.array_equal(before[p], after[p])}
        return changed, progress

    return run


def test_fine_tuning_changes_all_weights_but_those_of_normalisation(fine_tune, capsys):
    changed, progress = fine_tune(accuracy=-1.0)
    # Its 52 convolutions and the head.
    assert len(changed) == 52 + 2
    assert progress.num_epochs == 2 and progress.best_epoch == 1
    out = capsys.readouterr().out
    assert "fine-tuning: validation -100.0%, then " in out
    assert out.endswith(": kept\n")


def test_fine_tuning_that_is_no_better_leaves_the_model_as_it_was(fine_tune, capsys):
    changed, progress = fine_tune(accuracy=1.0)
    assert not changed
    assert progress.num_epochs == 2 and progress.best_epoch == 0
    assert capsys.readouterr().out.endswith(": not kept\n")
