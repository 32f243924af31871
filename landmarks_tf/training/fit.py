"""`model.fit` that survives being killed. Owns compiling and the call of `fit`."""

import csv
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from landmarks_tf.config import TrainConfig
from landmarks_tf.training.checkpoint import BEST
from landmarks_tf.training.checkpoint import CheckpointKeeper
from landmarks_tf.training.checkpoint import Progress
from landmarks_tf.training.checkpoint import find_checkpoint
from landmarks_tf.training.checkpoint import load_progress
from landmarks_tf.training.checkpoint import restore
from landmarks_tf.training.hosts import ALONE
from landmarks_tf.training.hosts import Hosts


def train_model(
    build: Callable[[], keras.Model],
    options: TrainConfig,
    make_training_data: Callable[[int], Any],
    validation_data: Any,
    checkpoints_dir: Path,
    verbose: int = 1,
    hosts: Hosts = ALONE,
    keep_last: bool = False,
) -> Progress:
    """Trains, or goes on from `checkpoints_dir`, where `load_best_model` then reads.

    Args:
        build: makes the network, uncompiled.
        options: of the run.
        make_training_data: from the first epoch to come to a `tf.data.Dataset` of the
            batches of all epochs to come, with labels int32 `[batch]` or targets
            float32 `[batch, num_classes]`.
        validation_data: a `tf.data.Dataset` of the batches of one, likewise; their
            third part, if they have one, is weights float32 `[batch]`.
        checkpoints_dir: where the state after each epoch is kept.
        verbose: as in `keras.Model.fit`.
        hosts: who train together, each on its share of the data.
        keep_last: whether the last epoch is kept, and not the best on validation.

    Returns:
        how far the run has come, which is to its end.

    Raises:
        InvalidInput: if the loss is no longer finite.
    """
    progress = load_progress(checkpoints_dir)
    if progress.is_over:
        return progress
    first = progress.num_epochs
    training_data = make_training_data(first)
    keras.utils.set_random_seed(options.seed)
    steps_per_epoch = len(training_data) // (options.epochs - first)
    model = _compiled_model(build, options, steps_per_epoch)
    if checkpoint := find_checkpoint(checkpoints_dir):
        restore(checkpoint, model)
    stopping = keras.callbacks.EarlyStopping(
        "val_accuracy", mode="max", patience=options.patience_epochs
    )
    keeper = CheckpointKeeper(
        checkpoints_dir, progress, stopping, options.epochs, hosts, keep_last
    )
    num_classes = model.output_shape[-1]
    model.fit(
        _with_targets(training_data, num_classes, options.label_smoothing),
        initial_epoch=first,
        epochs=options.epochs,
        steps_per_epoch=steps_per_epoch,
        validation_data=_with_targets(validation_data, num_classes),
        shuffle=False,  # the dataset is shuffled already
        callbacks=[stopping, keeper],
        verbose=verbose,
    )
    return keeper.progress


def load_best_model(
    build: Callable[[], keras.Model], checkpoints_dir: Path
) -> keras.Model:
    """Returns the kept epoch's model, float32 throughout, without an optimizer.

    Mixed-precision layers export with operations that phones do not have.
    """
    model = build()
    checkpoint = find_checkpoint(checkpoints_dir)
    if checkpoint is None:
        raise FileNotFoundError(f"no finished epoch in {checkpoints_dir}")
    # Not `set_weights`: it leaves a Normalization layer's derived state stale.
    model.load_weights(checkpoint / BEST)
    return model


def describe_progress(progress: Progress, num_photos: int) -> dict[str, float]:
    """Returns what `metrics.json` says of the training of `num_photos` photos.

    Returns:
        `epochs`; `best_epoch`, counted from 1; `seconds` in training steps, without
        validation; `images_per_second` in them.
    """
    num_images = num_photos * progress.num_epochs
    return {
        "epochs": progress.num_epochs,
        "best_epoch": progress.best_epoch + 1,
        "seconds": round(progress.seconds, 1),
        "images_per_second": round(num_images / progress.seconds, 1),
    }


def write_history(path: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Writes `history.csv`: a row an epoch, epochs counted from 1."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["epoch", *history[0]], lineterminator="\n")
        writer.writeheader()
        for index, row in enumerate(history):
            writer.writerow({"epoch": index + 1, **row})


def _compiled_model(
    build: Callable[[], keras.Model], options: TrainConfig, steps_per_epoch: int
) -> keras.Model:
    policy = keras.config.dtype_policy()
    if options.mixed_precision != "none":
        keras.config.set_dtype_policy(f"mixed_{options.mixed_precision}")
    try:
        model = build()
    finally:
        keras.config.set_dtype_policy(policy)
    optimizer = keras.optimizers.AdamW(
        _learning_rate(options, steps_per_epoch),
        weight_decay=options.weight_decay,
    )
    # Biases and normalisation have nothing to be kept small for.
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    loss = keras.losses.CategoricalCrossentropy()
    # Weighted: what fills up the batches of several hosts has no weight.
    model.compile(optimizer, loss, weighted_metrics=["accuracy"])
    return model


def _learning_rate(options: TrainConfig, steps_per_epoch: int) -> Any:
    if options.learning_rate_schedule == "constant":
        return options.learning_rate
    warmup_steps = options.warmup_epochs * steps_per_epoch
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup_steps else options.learning_rate,
        decay_steps=options.epochs * steps_per_epoch - warmup_steps,
        warmup_target=options.learning_rate if warmup_steps else None,
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
