"""The state of a run after each epoch, from which it goes on as if never stopped.

Owns what is kept, how it appears whole, and which epoch is the best.
"""

import json
import math
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import keras

from landmarks_tf import distillation
from landmarks_tf.errors import InvalidInput

BEST = "best.weights.h5"
_LAST = "last.keras"
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

    def followed_by(self, later: "Progress") -> "Progress":
        """Returns the progress of two stages as if of one run."""
        history = (*self.history, *later.history)
        return Progress(history, later.is_over, self.seconds + later.seconds)

    @property
    def best_epoch(self) -> int:
        """The index of the epoch that is kept: highest validation accuracy.

        Of equal ones the lowest validation loss.
        """
        return max(range(len(self.history)), key=lambda i: _merit(self.history[i]))


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
                f"the loss is not finite in epoch {epoch + 1}: lower the learning rate"
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
        network = distillation.student_of(self.model)
        network.save(aside / _LAST)
        if older is None or self.progress.best_epoch == epoch:
            self._save_averaged_weights(aside / BEST)
        else:
            shutil.copyfile(older / BEST, aside / BEST)
        record = {
            "history": self.progress.history,
            "is_over": self.progress.is_over,
            "seconds": self.progress.seconds,
            "random_states": [state.numpy().tolist() for state in _states(network)],
        }
        (aside / _PROGRESS).write_text(json.dumps(record), encoding="utf-8")
        aside.rename(self._checkpoints_dir / f"epoch_{epoch + 1:06d}")
        if older is not None:
            shutil.rmtree(older)

    def _save_averaged_weights(self, path: Path) -> None:
        """Saves the weights that were validated: their averages, if there are any."""
        own = self.model.get_weights()
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
        distillation.student_of(self.model).save_weights(path)
        self.model.set_weights(own)


def _merit(row: Mapping[str, float]) -> tuple[float, float]:
    return row["val_accuracy"], -row["val_loss"]


def restore(checkpoint: Path, model: keras.Model) -> None:
    """Gives a newly compiled model the state that its like had in a checkpoint.

    A file's own optimizer does not do: Keras 3.15 writes into none which weights are
    excluded from weight decay.
    """
    saved = keras.models.load_model(checkpoint / _LAST)
    model.set_weights(saved.get_weights())
    model.optimizer.build(model.trainable_variables)
    for state, other in zip(
        model.optimizer.variables, saved.optimizer.variables, strict=True
    ):
        state.assign(other)
    record = json.loads((checkpoint / _PROGRESS).read_text(encoding="utf-8"))
    for state, value in zip(_states(model), record["random_states"], strict=True):
        state.assign(value)


def _states(model: keras.Model) -> list[keras.Variable]:
    """Returns the states of the dropout layers' generators.

    Keras 3.15 writes them into no file: a model that is loaded starts them anew.
    """
    name = "seed_generator_state"
    return [v for v in model.variables if v.path.endswith(name)]
