"""Writes the files that servers and phones load, from a run's `model.keras`.

python scripts/export.py --model_dir=saved_models/quickstart
"""

from pathlib import Path

import command_line
from absl import flags

from landmarks_tf import run_folder
from landmarks_tf.errors import InvalidInput
from landmarks_tf.run_folder import EXPORTS

_MODEL_DIR = flags.DEFINE_string("model_dir", None, "Run folder.", required=True)
_FORMATS = flags.DEFINE_list(
    "formats", list(EXPORTS), f"Files to write, of {','.join(EXPORTS)}."
)


def main(arguments: list[str]) -> None:
    command_line.refuse_arguments(arguments)
    for name in _FORMATS.value:
        if name not in EXPORTS:
            raise InvalidInput(
                f"`formats` must be of {','.join(EXPORTS)}. Received: {name}"
            )
    run_dir = Path(_MODEL_DIR.value)
    run_folder.require(run_dir, run_folder.MODEL, run_folder.LABELS)
    class_names = run_folder.load_class_names(run_dir / run_folder.LABELS)

    command_line.load_tensorflow()
    from landmarks_tf import exporting
    from landmarks_tf import models

    model = models.load_model(run_dir / run_folder.MODEL, len(class_names))
    for name in _FORMATS.value:
        with run_folder.replacing(
            run_dir / EXPORTS[name]
        ) as path, command_line.quiet_stderr():
            exporting.export_model(model, class_names, name, path)
        print(f"wrote {run_dir / EXPORTS[name]}", flush=True)


if __name__ == "__main__":
    command_line.run(main)
