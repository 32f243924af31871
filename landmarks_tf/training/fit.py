"""`model.fit` that survives being killed. Owns compiling and the call of `fit`."""

import time
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from landmarks_tf import records
from landmarks_tf.config import TrainConfig
from landmarks_tf.data.photo_set import PhotoSet
from landmarks_tf.progress import Progress
from landmarks_tf.run import Run
from landmarks_tf.training import checkpoint
from landmarks_tf.training.distribution import ALONE
from landmarks_tf.training.distribution import Hosts


@dataclass(frozen=True)
class Job:
    """A run that is being made.

    Attributes:
        run: its folder, unfinished.
        photos: with their three splits.
        config: its settings.
        callbacks: of Keras, for every call of `fit`.
        progress: hears what is done.
    """

    run: Run
    photos: PhotoSet
    config: TrainConfig
    callbacks: Sequence[keras.callbacks.Callback] = ()
    progress: Progress = Progress()


@dataclass(frozen=True)
class Stage:
    """What one call of `fit` is made of.

    Attributes:
        build: makes the network, uncompiled.
        config: of this stage.
        make_training_data: from the first epoch to come to a `tf.data.Dataset` of the
            batches of all epochs to come, with labels int32 `[batch]` or targets
            float32 `[batch, num_classes]`.
        validation_data: a `tf.data.Dataset` of the batches of one, likewise; their
            third part, if they have one, is weights float32 `[batch]`.
        checkpoints_dir: where the state after each epoch is kept.
        keep_last: whether the last epoch is kept, and not the best on validation.
    """

    build: Callable[[], keras.Model]
    config: TrainConfig
    make_training_data: Callable[[int], Any]
    validation_data: Any
    checkpoints_dir: Path
    keep_last: bool = False


def train_model(
    stage: Stage,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    progress: Progress = Progress(),
    hosts: Hosts = ALONE,
) -> checkpoint.TrainingState:
    """Trains, or goes on from a stage's checkpoints, where `load_best_model` reads.

    Args:
        stage: what is trained on what.
        callbacks: of Keras, besides those that this needs.
        progress: hears of each step and epoch.
        hosts: who train together, each on its share of the data.

    Returns:
        how far the stage has come, which is to its end.

    Raises:
        InvalidInput: if the loss is no longer finite.
    """
    config, state = stage.config, checkpoint.load_state(stage.checkpoints_dir)
    if state.is_over:
        return state
    first = state.num_epochs
    training_data = stage.make_training_data(first)
    keras.utils.set_random_seed(config.seed)
    steps_per_epoch = len(training_data) // (config.epochs - first)
    model = _compiled_model(stage.build, config, steps_per_epoch)
    if last := checkpoint.find_checkpoint(stage.checkpoints_dir):
        checkpoint.restore(last, model)
    stopping = keras.callbacks.EarlyStopping(
        "val_accuracy", mode="max", patience=config.patience_epochs
    )
    keeper = checkpoint.CheckpointKeeper(
        stage.checkpoints_dir, state, stopping, config.epochs, hosts, stage.keep_last
    )
    num_classes = model.output_shape[-1]
    model.fit(
        _with_targets(training_data, num_classes, config.label_smoothing),
        initial_epoch=first,
        epochs=config.epochs,
        steps_per_epoch=steps_per_epoch,
        validation_data=_with_targets(stage.validation_data, num_classes),
        shuffle=False,  # the dataset is shuffled already
        callbacks=[stopping, keeper, _EpochReport(progress), *callbacks],
        verbose=0,
    )
    return keeper.state


class _EpochReport(keras.callbacks.Callback):
    """Tells of each training step, and of each epoch what Keras measured."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._begin = time.monotonic()
        self._title = f"Epoch {epoch + 1}/{self.params['epochs']}"

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._progress.step(self._title, batch + 1, self.params["steps"])

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        numbers = [f"{name} {value:.4f}" for name, value in (logs or {}).items()]
        seconds = time.monotonic() - self._begin
        left = seconds * (self.params["epochs"] - epoch - 1) / 60
        numbers.append(f"{seconds:.1f} s, {left:.1f} min left")
        self._progress.tell(f"{self._title}: {', '.join(numbers)}")


def load_best_model(
    build: Callable[[], keras.Model], checkpoints_dir: Path
) -> keras.Model:
    """Returns the kept epoch's model, float32 throughout, without an optimizer.

    Mixed-precision layers export with operations that phones do not have.
    """
    model = build()
    last = checkpoint.find_checkpoint(checkpoints_dir)
    if last is None:
        raise FileNotFoundError(f"no finished epoch in {checkpoints_dir}")
    # Not `set_weights`: it leaves a Normalization layer's derived state stale.
    model.load_weights(last / checkpoint.BEST)
    return model


def describe_training(
    state: checkpoint.TrainingState, num_photos: int
) -> records.Training:
    """Returns what `metrics.json` says of the training of `num_photos` photos."""
    num_images = num_photos * state.num_epochs
    return records.Training(
        epochs=state.num_epochs,
        best_epoch=state.best_epoch + 1,
        seconds=round(state.seconds, 1),
        images_per_second=round(num_images / state.seconds, 1),
    )


def _compiled_model(
    build: Callable[[], keras.Model], config: TrainConfig, steps_per_epoch: int
) -> keras.Model:
    policy = keras.config.dtype_policy()
    if config.mixed_precision != "none":
        keras.config.set_dtype_policy(f"mixed_{config.mixed_precision}")
    try:
        model = build()
    finally:
        keras.config.set_dtype_policy(policy)
    optimizer = keras.optimizers.AdamW(
        _learning_rate(config, steps_per_epoch), weight_decay=config.weight_decay
    )
    # Biases and normalisation have nothing to be kept small for.
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    loss = keras.losses.CategoricalCrossentropy()
    # Weighted: what fills up the batches of several hosts has no weight.
    model.compile(optimizer, loss, weighted_metrics=["accuracy"])
    return model


def _learning_rate(config: TrainConfig, steps_per_epoch: int) -> Any:
    if config.learning_rate_schedule == "constant":
        return config.learning_rate
    warmup_steps = config.warmup_epochs * steps_per_epoch
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup_steps else config.learning_rate,
        decay_steps=config.epochs * steps_per_epoch - warmup_steps,
        warmup_target=config.learning_rate if warmup_steps else None,
        warmup_steps=warmup_steps,
    )


def _with_targets(data: Any, num_classes: int, label_smoothing: float = 0.0) -> Any:
    """Turns labels into distributions over the classes, where they are not yet.

    Smoothed here and not by the loss, which would smooth those of validation too.
    """

    # In TensorFlow whatever the backend: it is a dataset's function.
    def convert(inputs: Any, labels: Any, *weights: Any) -> tuple:
        is_mixed = len(labels.shape) == 2
        targets = labels if is_mixed else tf.one_hot(labels, num_classes)
        smooth = targets * (1 - label_smoothing) + label_smoothing / num_classes
        return inputs, smooth, *weights

    return data.map(convert)
