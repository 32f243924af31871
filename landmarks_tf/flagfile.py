"""`run.flags`: every setting of a run as flags, by which `train.py` repeats it."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path

from landmarks_tf.config import TrainConfig
from landmarks_tf.errors import InvalidInput
from landmarks_tf.files import replacing

# Come after the training or change nothing in it: a run that failed there goes on with
# other values.
_NOT_COMPARED = "formats author licence outliers_dir tensorboard output_dir".split()


def write_flags(path: Path, config: TrainConfig, **places: str) -> None:
    """Writes a run's settings as a flagfile.

    Args:
        path: the file.
        config: of the run.
        places: other flags and values, or values in place of the config's own.

    Raises:
        InvalidInput: if one is there already, of a run that is resumed, and differs.
    """
    if path.exists():
        compare_flags(path, config, **places)
    # Aside: without its flags a run that is killed here could not go on.
    with replacing(path) as aside:
        lines = _to_lines(config, places)
        aside.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def compare_flags(path: Path, config: TrainConfig, **places: str) -> None:
    """Raises InvalidInput if a run was started with other flags; see `write_flags`."""
    # An older run has no flag for a newer setting, whose default it was made with.
    defaults = set(_to_lines(TrainConfig(), {}))
    lines = set(_to_lines(config, places))
    previous = set(path.read_text(encoding="utf-8").splitlines())
    for line in sorted((lines - previous - defaults) | (previous - lines)):
        if not re.match(f"--(no)?({'|'.join(_NOT_COMPARED)})\\b", line):
            raise InvalidInput(
                f"the run to resume was started with other flags: {line} is only in "
                f"{'this command' if line in lines else path}"
            )


def _to_lines(config: TrainConfig, places: Mapping[str, str]) -> list[str]:
    lines = []
    for field in dataclasses.fields(config):
        name, value = field.name, getattr(config, field.name)
        if name in places:
            continue
        if isinstance(value, bool):
            lines.append(f"--{name}" if value else f"--no{name}")
        elif field.type == tuple[int, ...]:
            lines += [f"--{name}={number}" for number in value]
        elif isinstance(value, tuple):
            lines.append(f"--{name}={','.join(value)}")
        else:
            lines.append(f"--{name}={value}")
    return sorted(lines) + [f"--{name}={value}" for name, value in places.items()]
