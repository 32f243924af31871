"""`model.fit` that survives being killed. Owns compiling, callbacks and checkpoints."""

import csv
import json
import math
import shutil
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from landmarks_tf.errors import InvalidInput
from landmarks_tf.options import TrainingOptions

_LAST = "last.keras"
_BEST = "best.weights.h5"
_PROGRESS = "progress.json"


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
        history: for each finished epoch its `loss`, `accuracy`, `val_loss`,
            `val_accuracy` and `learning_rate`.
        is_over: whether early stopping or the last epoch ended it.
        seconds: spent in training steps, without validation.
    """

    history: tuple[Mapping[str, float], ...] = ()
    is_over: bool = False
    seconds: float = 0.0

    @property
    def num_epochs(self) -> int:
        """How many epochs are finished."""
        return len(self.history)

    @property
    def best_epoch(self) -> int:
        """The index of the epoch that is kept: highest validation accuracy.

        Of equal ones the lowest validation loss.
        """
        return max(range(len(self.history)), key=lambda i: _merit(self.history[i]))


def train_model(
    build: Callable[[], keras.Model],
    options: TrainingOptions,
    training_data: Any,
    validation_data: Any,
    checkpoints_dir: Path,
    verbose: int = 1,
) -> tuple[keras.Model, Progress]:
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
    progress = load_progress(checkpoints_dir)
    if not progress.is_over:
        epochs_to_come = options.epochs - progress.num_epochs
        steps_per_epoch = len(training_data) // epochs_to_come
        checkpoint = find_checkpoint(checkpoints_dir)
        if checkpoint is None:
            model = _compiled_model(build, options, steps_per_epoch)
        else:
            model = _load_last_model(checkpoint)
        early_stopping = keras.callbacks.EarlyStopping(
            "val_accuracy", mode="max", patience=options.patience_epochs
        )
        keeper = CheckpointKeeper(
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
    checkpoint = find_checkpoint(checkpoints_dir)
    if checkpoint is None:
        raise FileNotFoundError(f"no finished epoch in {checkpoints_dir}")
    # Not `set_weights`: it leaves a Normalization layer's derived state stale.
    model.load_weights(checkpoint / _BEST)
    return model


def find_checkpoint(checkpoints_dir: Path) -> Path | None:
    """Returns the folder of the last finished epoch, or None."""
    return max(checkpoints_dir.glob("epoch_*"), default=None)


def load_progress(checkpoints_dir: Path) -> Progress:
    """Returns how far the run of these checkpoints had come."""
    checkpoint = find_checkpoint(checkpoints_dir)
    if checkpoint is None:
        return Progress()
    record = json.loads((checkpoint / _PROGRESS).read_text(encoding="utf-8"))
    return Progress(tuple(record["history"]), record["is_over"], record["seconds"])


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


class CheckpointKeeper(keras.callbacks.Callback):
    """Writes after each epoch all that going on needs, and restores early stopping.

    Keras's own BackupAndRestore forgets early stopping, best-so-far and history, and
    can be killed half-way through its file. Here a checkpoint is a folder that gets
    its name when it is whole.

    Must stand after `early_stopping` in the list of callbacks.
    """

    def __init__(
        self,
        checkpoints_dir: Path,
        progress: Progress,
        early_stopping: keras.callbacks.EarlyStopping,
        epochs: int,
    ) -> None:
        super().__init__()
        self.progress = progress
        self._checkpoints_dir = checkpoints_dir
        self._early_stopping = early_stopping
        self._epochs = epochs
        self._seconds = 0.0

    def on_train_begin(self, logs: dict | None = None) -> None:
        # EarlyStopping has just forgotten everything; what it saw brings it back.
        for epoch, row in enumerate(self.progress.history):
            self._early_stopping.on_epoch_end(epoch, row)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._begin = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._seconds = time.monotonic() - self._begin

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        row = {name: float(value) for name, value in (logs or {}).items()}
        if not math.isfinite(row["loss"] + row["val_loss"]):
            raise InvalidInput(
                f"the loss is not finite in epoch {epoch + 1}: lower `learning_rate`"
            )
        row["learning_rate"] = float(self.model.optimizer.learning_rate)
        self.progress = Progress(
            (*self.progress.history, row),
            self.model.stop_training or epoch + 1 == self._epochs,
            self.progress.seconds + self._seconds,
        )
        self._write(epoch)

    def _write(self, epoch: int) -> None:
        older = find_checkpoint(self._checkpoints_dir)
        aside = self._checkpoints_dir / "unfinished"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        self.model.save(aside / _LAST)
        if older is None or self.progress.best_epoch == epoch:
            self.model.save_weights(aside / _BEST)
        else:
            shutil.copyfile(older / _BEST, aside / _BEST)
        record = {
            "history": self.progress.history,
            "is_over": self.progress.is_over,
            "seconds": self.progress.seconds,
            "random_states": [state.numpy().tolist() for state in _states(self.model)],
        }
        (aside / _PROGRESS).write_text(json.dumps(record), encoding="utf-8")
        aside.rename(self._checkpoints_dir / f"epoch_{epoch + 1:06d}")
        if older is not None:
            shutil.rmtree(older)


def _merit(row: Mapping[str, float]) -> tuple[float, float]:
    return row["val_accuracy"], -row["val_loss"]


def _load_last_model(checkpoint: Path) -> keras.Model:
    model = keras.models.load_model(checkpoint / _LAST)
    record = json.loads((checkpoint / _PROGRESS).read_text(encoding="utf-8"))
    for state, value in zip(_states(model), record["random_states"]):
        state.assign(value)
    return model


def _states(model: keras.Model) -> list[keras.Variable]:
    """Returns the states of the dropout layers' generators.

    Keras 3.15 writes them into no file: a model that is loaded starts them anew.
    """
    name = "seed_generator_state"
    return [v for v in model.variables if v.path.endswith(name)]


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
