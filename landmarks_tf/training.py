"""`model.fit` that survives being killed. Owns compiling and the call of `fit`."""

import csv
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from landmarks_tf import checkpoints
from landmarks_tf.options import TrainingOptions


def train_model(
    build: Callable[[], keras.Model],
    options: TrainingOptions,
    training_data: Any,
    validation_data: Any,
    checkpoints_dir: Path,
    verbose: int = 1,
) -> tuple[keras.Model, checkpoints.Progress]:
    """Trains, or goes on after the last finished epoch found in `checkpoints_dir`.

    Args:
        build: makes the network, uncompiled.
        options: of the run.
        training_data: a `tf.data.Dataset` of the batches of all epochs to come.
        validation_data: a `tf.data.Dataset` of the batches of one.
        checkpoints_dir: where the state after each epoch is kept.
        verbose: as in `keras.Model.fit`.

    Returns:
        the uncompiled float32 model of the best epoch, and the history.

    Raises:
        InvalidInput: if the loss is no longer finite.
    """
    keras.utils.set_random_seed(options.seed)
    progress = checkpoints.load_progress(checkpoints_dir)
    if not progress.is_over:
        epochs_to_come = options.epochs - progress.num_epochs
        steps_per_epoch = len(training_data) // epochs_to_come
        checkpoint = checkpoints.find_checkpoint(checkpoints_dir)
        if checkpoint is None:
            model = _compiled_model(build, options, steps_per_epoch)
        else:
            model = checkpoints.load_last_model(checkpoint)
        early_stopping = keras.callbacks.EarlyStopping(
            "val_accuracy", mode="max", patience=options.patience_epochs
        )
        keeper = checkpoints.CheckpointKeeper(
            checkpoints_dir, progress, early_stopping, options.epochs
        )
        model.fit(
            training_data,
            initial_epoch=progress.num_epochs,
            epochs=options.epochs,
            steps_per_epoch=steps_per_epoch,
            validation_data=validation_data,
            shuffle=False,  # the dataset is shuffled already
            callbacks=[early_stopping, keeper],
            verbose=verbose,
        )
        progress = keeper.progress
    return load_best_model(build, checkpoints_dir), progress


def load_best_model(
    build: Callable[[], keras.Model], checkpoints_dir: Path
) -> keras.Model:
    """Returns the best epoch's model, float32 throughout, without an optimizer.

    Mixed-precision layers export with operations that phones do not have.
    """
    model = build()
    checkpoint = checkpoints.find_checkpoint(checkpoints_dir)
    if checkpoint is None:
        raise FileNotFoundError(f"no finished epoch in {checkpoints_dir}")
    # Not `set_weights`: it leaves a Normalization layer's derived state stale.
    model.load_weights(checkpoint / checkpoints.BEST)
    return model


def describe_progress(
    progress: checkpoints.Progress, num_photos: int
) -> dict[str, float]:
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
    build: Callable[[], keras.Model], options: TrainingOptions, steps_per_epoch: int
) -> keras.Model:
    policy = keras.config.dtype_policy()
    if options.mixed_precision != "none":
        keras.config.set_dtype_policy(f"mixed_{options.mixed_precision}")
    try:
        model = build()
    finally:
        keras.config.set_dtype_policy(policy)
    learning_rate = options.learning_rate
    if options.learning_rate_schedule == "cosine":
        learning_rate = keras.optimizers.schedules.CosineDecay(
            learning_rate, decay_steps=options.epochs * steps_per_epoch
        )
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy"],
    )
    return model
