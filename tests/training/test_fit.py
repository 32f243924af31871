import dataclasses
import errno
import os
import sys

import keras
import numpy as np
import pytest

from landmarks_tf.config import TrainConfig
from landmarks_tf.data import pipeline
from landmarks_tf.data.photo_set import load_evaluation_photos
from landmarks_tf.data.photo_set import load_photos
from landmarks_tf.errors import InvalidInput
from landmarks_tf.progress import Progress
from landmarks_tf.records import Training
from landmarks_tf.training import fit
from landmarks_tf.training.checkpoint import CheckpointKeeper
from landmarks_tf.training.checkpoint import TrainingState
from landmarks_tf.training.checkpoint import find_checkpoint
from landmarks_tf.training.checkpoint import load_state
from landmarks_tf.training.checkpoint import restore

OPTIONS = TrainConfig(
    preset="small",
    image_size=64,
    batch_size=16,
    epochs=4,
    learning_rate=1e-3,
    learning_rate_schedule="cosine",
)
# All that has a state to go on from.
STRONG = dataclasses.replace(
    OPTIONS,
    warmup_epochs=1,
    weight_decay=0.5,
    label_smoothing=0.1,
    augmentation="crop_flip_color",
    mixing="cutmix_mixup",
)


class Killed(BaseException):
    """As a signal would, passes every `except Exception`."""


@pytest.fixture
def photos(colored_dir):
    photos = load_photos(colored_dir)
    test = load_evaluation_photos(colored_dir, "test", photos.class_names)
    splits = dict(photos.splits) | {"validation": test.splits["test"]}
    return type(photos)(colored_dir, photos.class_names, splits)


def build():
    """A network with all that has a state, small: most of a fit is spent on tracing."""
    layers = [
        keras.Input((64, 64, 3)),
        keras.layers.Conv2D(8, 3, 4, activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(3, activation="softmax"),
    ]
    return keras.Sequential(layers)


def train(photos, folder, options=OPTIONS):
    stage = fit.Stage(
        build,
        options,
        lambda epoch: pipeline.make_training_dataset(photos, options, epoch),
        pipeline.make_dataset(photos, "validation", options.image_size, 4),
        folder,
    )
    state = fit.train_model(stage)
    return fit.load_best_model(build, folder), state


def kill_in_epoch(monkeypatch, number):
    """Makes the next training die in the middle of an epoch, counted from 1."""

    def on_train_batch_begin(self, batch, logs=None):
        if self.state.num_epochs == number - 1 and batch == 1:
            raise Killed

    monkeypatch.setattr(
        CheckpointKeeper,
        "on_train_batch_begin",
        on_train_batch_begin,
        raising=False,
    )


def test_a_killed_run_resumes_to_the_same_weights_and_history(
    photos, tmp_path, monkeypatch
):
    model, progress = train(photos, tmp_path / "unbroken", STRONG)
    killed = tmp_path / "killed"
    kill_in_epoch(monkeypatch, 3)
    with pytest.raises(Killed):
        train(photos, killed, STRONG)
    monkeypatch.undo()
    assert load_state(killed).num_epochs == 2
    resumed, resumed_progress = train(photos, killed, STRONG)
    assert resumed_progress.history == progress.history
    for old, new in zip(model.weights, resumed.weights):
        np.testing.assert_array_equal(old, new)
    # The schedule went on too, and did not begin again.
    rates = [row["learning_rate"] for row in progress.history]
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-9)


class FullDisk:
    """Has no space from a file or folder on that is made in a folder."""

    def __init__(self):
        self.folder, self.first_refused, self.num_made = "", sys.maxsize, 0
        sys.addaudithook(self)  # which stays for good

    def begin(self, folder, first_refused=sys.maxsize):
        self.folder, self.first_refused, self.num_made = folder, first_refused, 0

    def __call__(self, event, arguments):
        if not self.folder:
            return
        if event == "open":
            path, _, flags = arguments
            is_made = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
        else:
            path, is_made = arguments and arguments[0], event in (
                "os.mkdir",
                "os.rename",
            )
        if is_made and str(path).startswith(str(self.folder)):
            self.num_made += 1
            if self.num_made > self.first_refused:
                raise OSError(errno.ENOSPC, "No space left on device", str(path))


def begin_epochs(folder, model):
    early_stopping = keras.callbacks.EarlyStopping("val_accuracy", mode="max")
    progress = load_state(folder)
    keeper = CheckpointKeeper(folder, progress, early_stopping, 9)
    for callback in (early_stopping, keeper):
        callback.set_model(model)
        callback.on_train_begin()
    return keeper


def end_epoch(keeper):
    epoch = keeper.state.num_epochs
    keeper.on_epoch_begin(epoch)
    names = "loss", "accuracy", "val_loss", "val_accuracy"
    keeper.on_epoch_end(epoch, dict.fromkeys(names, epoch / 10))


def test_a_disk_that_is_full_costs_no_checkpoint(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(keras.optimizers.AdamW(), "mse", metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)
    disk = FullDisk()
    disk.begin(tmp_path / "enough")
    keeper = begin_epochs(tmp_path / "enough", model)
    end_epoch(keeper)
    begin = disk.num_made
    end_epoch(keeper)
    end = disk.num_made
    assert end >= begin + 5  # a folder, three files and its name
    for number in range(begin, end):
        folder = tmp_path / str(number)
        disk.begin(folder, number)
        keeper = begin_epochs(folder, model)
        end_epoch(keeper)
        weights = model.get_weights()
        model.set_weights([x + 1 for x in weights])
        with pytest.raises(OSError, match="No space left"):
            end_epoch(keeper)
        disk.begin("")
        checkpoint = find_checkpoint(folder)
        restore(checkpoint, model)
        for old, new in zip(weights, model.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
        best = fit.load_best_model(lambda: keras.models.clone_model(model), folder)
        np.testing.assert_array_equal(best.get_weights()[0], weights[0])
        keeper = begin_epochs(folder, model)
        assert keeper.state.num_epochs == 1
        end_epoch(keeper)
        assert load_state(folder).num_epochs == 2


def test_a_run_killed_while_writing_a_checkpoint_keeps_the_one_before(
    photos, tmp_path, monkeypatch
):
    save = keras.Model.save

    def fail_second(model, path, **options):
        if "epoch_000001" in str(list(tmp_path.iterdir())):
            path.write_text("half a file")
            raise Killed
        save(model, path, **options)

    monkeypatch.setattr(keras.Model, "save", fail_second)
    with pytest.raises(Killed):
        train(photos, tmp_path)
    monkeypatch.undo()
    assert (tmp_path / "unfinished").exists()
    assert load_state(tmp_path).num_epochs == 1
    assert train(photos, tmp_path)[1].num_epochs == OPTIONS.epochs


def test_a_finished_run_is_not_trained_again(photos, tmp_path, monkeypatch):
    model, progress = train(photos, tmp_path)
    assert progress.is_over
    monkeypatch.setattr(keras.Model, "fit", None)
    again, same = train(photos, tmp_path)
    assert same == progress
    for old, new in zip(model.weights, again.weights):
        np.testing.assert_array_equal(old, new)


def run_of(accuracies, folder, patience=3, epochs=20, loss=1.0):
    """Feeds a keeper invented validation accuracies; returns it when it stops."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    early_stopping = keras.callbacks.EarlyStopping(
        "val_accuracy", mode="max", patience=patience
    )
    progress = load_state(folder)
    keeper = CheckpointKeeper(folder, progress, early_stopping, epochs)
    callbacks = keras.callbacks.CallbackList([early_stopping, keeper], model=model)
    model.stop_training = False
    callbacks.on_train_begin()
    for epoch in range(progress.num_epochs, len(accuracies)):
        model.layers[0].set_weights([np.full((1, 1), epoch), np.zeros(1)])
        callbacks.on_epoch_begin(epoch)
        logs = {"loss": 1.0, "val_loss": loss, "accuracy": 0.5}
        callbacks.on_epoch_end(epoch, logs | {"val_accuracy": accuracies[epoch]})
        if model.stop_training:
            break
    return keeper.state


def test_early_stopping_counts_on_through_a_resume(tmp_path):
    accuracies = [0.1, 0.5, 0.4, 0.4, 0.4, 0.9]
    unbroken = run_of(accuracies, tmp_path / "unbroken", patience=3)
    assert unbroken.num_epochs == 5
    assert unbroken.is_over
    run_of(accuracies[:4], tmp_path / "killed", patience=3)
    resumed = run_of(accuracies, tmp_path / "killed", patience=3)
    assert resumed.num_epochs == 5
    assert resumed.is_over


def test_the_best_epoch_is_kept_through_a_resume(tmp_path):
    run_of([0.1, 0.8], tmp_path, patience=9)
    progress = run_of([0.1, 0.8, 0.3, 0.7], tmp_path, patience=9)
    assert progress.best_epoch == 1
    checkpoint = find_checkpoint(tmp_path)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.load_weights(checkpoint / "best.keras")
    assert model.layers[0].get_weights()[0] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["epoch_000004"]


def test_of_equal_accuracies_the_lower_loss_is_best():
    rows = [
        {"val_accuracy": 0.5, "val_loss": 1.0},
        {"val_accuracy": 0.9, "val_loss": 0.5},
        {"val_accuracy": 0.9, "val_loss": 0.4},
        {"val_accuracy": 0.9, "val_loss": 0.4},
    ]
    assert TrainingState(tuple(rows)).best_epoch == 2


def test_a_loss_that_is_not_finite_ends_the_run_with_a_reason(tmp_path):
    run_of([0.5], tmp_path)
    with pytest.raises(InvalidInput, match="not finite in epoch 2: lower"):
        run_of([0.5, 0.5], tmp_path, loss=float("nan"))
    assert load_state(tmp_path).num_epochs == 1


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision_gives_a_float32_model(photos, tmp_path, precision):
    options = dataclasses.replace(OPTIONS, epochs=1, mixed_precision=precision)
    model, progress = train(photos, tmp_path, options)
    assert progress.num_epochs == 1
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"


def test_the_model_written_is_the_one_that_was_validated(tmp_path):
    # As in EfficientNet: a normalisation layer, which has derived state of its own.
    def build_normalized():
        images = keras.Input((4, 4, 3))
        normalized = keras.layers.Normalization()(images)
        return keras.Model(images, keras.layers.GlobalAveragePooling2D()(normalized))

    model = build_normalized()
    weights = [np.array([0.4] * 3), np.array([0.05] * 3), np.zeros(())]
    model.layers[1].set_weights(weights)
    model.layers[1].finalize_state()
    checkpoint = tmp_path / "epoch_000001"
    checkpoint.mkdir()
    model.save(checkpoint / "best.keras")
    rebuilt = fit.load_best_model(build_normalized, tmp_path)
    images = np.random.default_rng(0).random((2, 4, 4, 3), np.float32)
    np.testing.assert_allclose(
        rebuilt.predict(images, verbose=0), model.predict(images, verbose=0), rtol=1e-5
    )


def test_training_tells_its_speed():
    state = TrainingState(({"val_accuracy": 1, "val_loss": 0},) * 3, True, 6.0)
    assert fit.describe_training(state, 100) == Training(3, 1, 6.0, 50.0)


def test_steps_epochs_and_callbacks_are_told(photos, tmp_path):
    events, epochs = [], []
    stage = fit.Stage(
        build,
        dataclasses.replace(OPTIONS, epochs=2),
        lambda epoch: pipeline.make_training_dataset(
            photos, dataclasses.replace(OPTIONS, epochs=2), epoch
        ),
        pipeline.make_dataset(photos, "validation", OPTIONS.image_size, 4),
        tmp_path,
    )
    note = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: epochs.append(epoch)
    )
    fit.train_model(stage, [note], Progress(events.append))
    assert epochs == [0, 1]
    steps = [event for event in events if event.total]
    assert [event.done for event in steps] == [*range(1, steps[0].total + 1)] * 2
    lines = [event.text for event in events if not event.total]
    assert [line.partition(":")[0] for line in lines] == ["Epoch 1/2", "Epoch 2/2"]
    assert "val_accuracy" in lines[0] and lines[1].endswith("0.0 min left")
