import dataclasses

import keras
import numpy as np
import pytest
from conftest import build_small_backbone

from landmarks_tf.config import TrainConfig
from landmarks_tf.data import split_file
from landmarks_tf.data.photo_set import load_photos
from landmarks_tf.models.surgery import divide_logits
from landmarks_tf.models.transfer import build_transfer_model
from landmarks_tf.models.transfer import unfreeze
from landmarks_tf.progress import Progress
from landmarks_tf.run import Run
from landmarks_tf.training import stages
from landmarks_tf.training.checkpoint import CheckpointKeeper
from landmarks_tf.training.checkpoint import TrainingState
from landmarks_tf.training.fit import Job

OPTIONS = TrainConfig(
    model="transfer",
    backbone_weights="none",
    image_size=32,
    batch_size=16,
    augmentation="crop_flip_color",
    fine_tuning_epochs=1,
    fine_tuning_learning_rate=1e-3,
    fine_tuning_from="block_16_project",
)


class Killed(BaseException):
    """As a signal would, passes every `except Exception`."""


@pytest.fixture(autouse=True)
def small_backbone(monkeypatch):
    """Spares the minutes that MobileNetV2 takes; test_train.py trains it."""
    monkeypatch.setattr(keras.applications, "MobileNetV2", build_small_backbone)


def build_model(size=None):
    keras.utils.set_random_seed(0)
    return build_transfer_model("MobileNetV2", "none", (size, size), 3)


def weights_of(model):
    return {weight.path: np.array(weight) for weight in model.weights}


@pytest.fixture
def photos(colored_dir):
    photos = load_photos(colored_dir)
    splits = dict(photos.splits) | {"validation": photos.splits["test"]}
    return type(photos)(colored_dir, photos.class_names, splits)


@pytest.fixture
def fine_tune(photos, tmp_path, monkeypatch):
    """stages.fine_tune of a small model, with the validation losses it is to find."""

    def run(losses=(1.0, 0.5), options=OPTIONS, folder=tmp_path):
        found = iter(losses)
        monkeypatch.setattr(stages, "validation_loss", lambda *_: next(found))
        probe = TrainingState(({"val_accuracy": 1.0, "val_loss": 0.0},), True, 1.0)
        model, trainable = build_model(32), build_model()
        unfreeze(trainable, options.fine_tuning_from)
        job = Job(Run(folder), photos, options, progress=Progress(told.append))
        state = stages.fine_tune(job, model, trainable, probe)
        return weights_of(model), state

    told = []
    run.told = told
    return run


def changed_weights(after):
    before = weights_of(build_model())
    return {path for path in before if not np.array_equal(before[path], after[path])}


def test_fine_tuning_changes_all_weights_but_those_of_normalisation(fine_tune):
    options = dataclasses.replace(OPTIONS, fine_tuning_from="")
    weights, progress = fine_tune(options=options)
    # Its three convolutions and the head.
    assert len(changed_weights(weights)) == 3 + 2
    assert progress.num_epochs == 2 and progress.best_epoch == 1
    told = "fine-tuning: calibrated validation loss 1.0000, then 0.5000: kept"
    assert str(fine_tune.told[-1]) == told


def test_the_last_epoch_of_fine_tuning_is_kept_and_none_left_out(
    fine_tune, monkeypatch
):
    written = []
    save = keras.Model.save

    def note(self, path):
        written.append(self.get_weights())
        save(self, path)

    monkeypatch.setattr(keras.Model, "save", note)
    # By which the first one would be kept.
    monkeypatch.setattr(
        "landmarks_tf.training.checkpoint._merit", lambda row: (1.0, 0.0)
    )
    options = dataclasses.replace(OPTIONS, fine_tuning_epochs=3, patience_epochs=1)
    weights, progress = fine_tune(options=options)
    assert (progress.num_epochs, progress.best_epoch) == (4, 3)
    assert len(written) == 3
    for kept, last in zip(weights.values(), written[-1], strict=True):
        np.testing.assert_array_equal(kept, last)


def test_fine_tuning_from_a_layer_on_leaves_those_before_it(fine_tune):
    changed = changed_weights(fine_tune()[0])
    assert changed == {
        "block_16_project/kernel",
        "Conv_1/kernel",
        "head/probabilities/kernel",
        "head/probabilities/bias",
    }


def test_fine_tuning_on_smaller_images_is_validated_at_the_models_size(
    fine_tune, monkeypatch
):
    sizes = []
    fit = keras.Model.fit

    def note_sizes(self, dataset, validation_data, **kwargs):
        for data in (dataset, validation_data):
            sizes.extend({images.shape[1] for images, _ in data})
        return fit(self, dataset, validation_data=validation_data, **kwargs)

    monkeypatch.setattr(keras.Model, "fit", note_sizes)
    options = dataclasses.replace(OPTIONS, image_size=64, training_sizes=(32,))
    fine_tune(options=options)
    assert sizes == [32, 64]


def test_fine_tuning_that_is_no_better_leaves_the_model_as_it_was(
    fine_tune, monkeypatch
):
    def fit_images(job, build, *_, **__):
        tuned = build()
        tuned.set_weights([weight + 1 for weight in tuned.get_weights()])
        return tuned, TrainingState(
            ({"val_accuracy": 1.0, "val_loss": 0.0},), True, 1.0
        )

    monkeypatch.setattr(stages, "fit_images", fit_images)
    weights, progress = fine_tune(losses=(0.5, 0.5))
    assert not changed_weights(weights)
    assert progress.num_epochs == 2 and progress.best_epoch == 0
    assert str(fine_tune.told[-1]).endswith(": not kept")


def test_killed_fine_tuning_goes_on_to_the_same_weights(
    fine_tune, monkeypatch, tmp_path
):
    options = dataclasses.replace(OPTIONS, fine_tuning_epochs=2)
    weights, progress = fine_tune(options=options, folder=tmp_path / "unbroken")

    def die_in_second_epoch(self, batch, logs=None):
        if self.state.num_epochs == 1:
            raise Killed

    with monkeypatch.context() as patch:
        keeper, name = CheckpointKeeper, "on_train_batch_begin"
        patch.setattr(keeper, name, die_in_second_epoch, raising=False)
        with pytest.raises(Killed):
            fine_tune(options=options, folder=tmp_path / "killed")
    resumed, resumed_progress = fine_tune(options=options, folder=tmp_path / "killed")
    assert resumed_progress.history == progress.history
    for path, weight in weights.items():
        np.testing.assert_array_equal(weight, resumed[path])


def test_how_sure_a_model_is_does_not_count_in_fine_tuning(photos):
    model = build_model(32)
    loss = stages.validation_loss(model, photos, 16)
    divide_logits(model, 3)
    assert stages.validation_loss(model, photos, 16) == pytest.approx(loss, 1e-3)
    assert 0 < loss <= np.log(3) + 0.01


def test_both_stages_of_a_run_repeat_by_its_seed(photos, tmp_path):
    options = dataclasses.replace(OPTIONS, epochs=1)

    def fit(name):
        (tmp_path / name).mkdir()
        hashes = {photo.path: photo.path for photo in photos.all_photos()}
        hashed = dataclasses.replace(photos, hashes=hashes)
        split_file.write_split(Run(tmp_path / name).split_path, hashed)
        model, progress = stages.fit_transfer(
            Job(Run(tmp_path / name), hashed, options)
        )
        assert progress.num_epochs == 2
        return weights_of(model)

    first = fit("first")
    keras.utils.set_random_seed(7)
    for path, weight in fit("second").items():
        np.testing.assert_array_equal(weight, first[path])
