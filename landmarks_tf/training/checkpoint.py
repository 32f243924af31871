"""The state of a run, from which it goes on as if never stopped.

Written after each epoch. Owns what is kept, how it appears whole, and which epoch is
the best.
"""

import json
import math
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path

import keras

from landmarks_tf.errors import InvalidInput
from landmarks_tf.training import distribution

BEST = "best.keras"
_LAST = "last.keras"
_PROGRESS = "progress.json"


@dataclass(frozen=True)
class TrainingState:
    """How far a run has come.

    Attributes:
        history: for each finished epoch its `loss`, `accuracy`, `val_loss`,
            `val_accuracy` and `learning_rate`.
        is_over: whether early stopping or the last epoch ended it.
        seconds: spent in training steps of finished epochs, without validation.
        kept_epoch: the index of the epoch that is kept, where other things than
            validation accuracy decided.
    """

    history: tuple[Mapping[str, float], ...] = ()
    is_over: bool = False
    seconds: float = 0.0
    kept_epoch: int | None = None

    @property
    def num_epochs(self) -> int:
        """How many epochs are finished."""
        return len(self.history)

    def followed_by(self, later: "TrainingState", is_better: bool) -> "TrainingState":
        """Returns the state of two stages as if of one run.

        Args:
            later: of the second one.
            is_better: whether its last epoch is kept, and not the best of the first.
        """
        history = (*self.history, *later.history)
        kept = len(history) - 1 if is_better else self.best_epoch
        seconds = self.seconds + later.seconds
        return TrainingState(history, later.is_over, seconds, kept_epoch=kept)

    @property
    def best_epoch(self) -> int:
        """The index of the epoch that is kept: highest validation accuracy.

        The lowest validation loss decides among equal ones.
        """
        if self.kept_epoch is not None:
            return self.kept_epoch
        return max(range(self.num_epochs), key=lambda i: _merit(self.history[i]))


def find_checkpoint(checkpoints_dir: Path) -> Path | None:
    """Returns the folder of the last state that was written, or None."""
    return max(checkpoints_dir.glob("epoch_*"), default=None)


def load_state(checkpoints_dir: Path) -> TrainingState:
    """Returns how far the run of these checkpoints had come."""
    checkpoint = find_checkpoint(checkpoints_dir)
    if checkpoint is None:
        return TrainingState()
    record = json.loads((checkpoint / _PROGRESS).read_text(encoding="utf-8"))
    return TrainingState(tuple(record["history"]), record["is_over"], record["seconds"])


class CheckpointKeeper(keras.callbacks.Callback):
    """Writes after each epoch all that going on needs, and restores early stopping.

    Keras's own BackupAndRestore forgets early stopping, best-so-far and history, and
    can be killed half-way through its file. Here a checkpoint is a folder that gets
    its name when it is whole.

    Must stand after `early_stopping` in the list of callbacks.

    Args:
        checkpoints_dir: where.
        state: how far the run had come.
        early_stopping: of the run.
        epochs: of the run.
        hosts: who train together; the first one writes.
        keep_last: whether the last epoch counts as the best.
    """

    def __init__(
        self,
        checkpoints_dir: Path,
        state: TrainingState,
        early_stopping: keras.callbacks.EarlyStopping,
        epochs: int,
        hosts: distribution.Hosts = distribution.ALONE,
        keep_last: bool = False,
    ) -> None:
        super().__init__()
        self.state = state
        self._checkpoints_dir = checkpoints_dir
        self._early_stopping = early_stopping
        self._epochs = epochs
        self._hosts = hosts
        self._keep_last = keep_last
        self._seconds = 0.0

    def on_train_begin(self, logs: dict | None = None) -> None:
        # EarlyStopping has just forgotten everything; what it saw brings it back.
        for epoch, row in enumerate(self.state.history):
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
        rate = keras.ops.convert_to_tensor(self.model.optimizer.learning_rate)
        row["learning_rate"] = float(keras.ops.convert_to_numpy(rate))
        self.state = TrainingState(
            (*self.state.history, row),
            self.model.stop_training or epoch + 1 == self._epochs,
            self.state.seconds + self._seconds,
        )
        is_best = self._keep_last or self.state.best_epoch == epoch
        self._write(f"epoch_{epoch + 1:06d}", is_best)

    def _write(self, name: str, is_best: bool) -> None:
        """Writes a checkpoint on the first host, for which the others wait."""
        aside = self._checkpoints_dir / "unfinished"
        if self._hosts.is_first:
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            self._complete(aside, name, is_best)
        self._hosts.wait_for_all(name)

    def _complete(self, aside: Path, name: str, is_best: bool) -> None:
        """Writes the rest of a checkpoint, and puts it in the place of the older."""
        older = find_checkpoint(self._checkpoints_dir)
        with distribution.on_this_host():
            self.model.save(aside / _LAST)
        # Both whole: files of weights alone are written by HDF5, which brings the
        # program down where a disk is full.
        best = aside / _LAST if is_best or older is None else older / BEST
        shutil.copyfile(best, aside / BEST)
        states = [state.numpy().tolist() for state in _states(self.model)]
        record = asdict(self.state) | {"random_states": states}
        (aside / _PROGRESS).write_text(json.dumps(record), encoding="utf-8")
        aside.rename(self._checkpoints_dir / name)
        if older is not None:
            shutil.rmtree(older)


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
