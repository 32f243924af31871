"""Writes the files that servers and phones load, from a run's `model.keras`.

python scripts/export.py --model_dir=saved_models/quickstart
python scripts/export.py --model_dir=saved_models/mobile --formats=int8

Each is asked about the run's validation photos first, and is written only if it answers
as `model.keras` does; `parity.json` says how nearly.

Exit code 0: all are written; 3: one is not, and is named on stderr.
"""

from pathlib import Path

import command_line
import proving
from absl import flags

from landmarks_tf import run_folder
from landmarks_tf.config import ExportConfig
from landmarks_tf.data import split_file

command_line.define_flags(ExportConfig)
flags.adopt_module_key_flags(command_line)
_MODEL_DIR = flags.DEFINE_string("model_dir", None, "Run folder.", required=True)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Where the run's photos are now, if not where they were."
)


def main(arguments: list[str]) -> int:
    command_line.refuse_arguments(arguments)
    config = command_line.read_config(ExportConfig())
    run_dir = Path(_MODEL_DIR.value)
    run_folder.require(run_dir, run_folder.MODEL, run_folder.LABELS, run_folder.SPLIT)
    photos = split_file.load_split(
        run_dir / run_folder.SPLIT,
        run_folder.load_class_names(run_dir / run_folder.LABELS),
        Path(_DATA_DIR.value) if _DATA_DIR.value else None,
        ["train", "validation"],
    )
    command_line.load_tensorflow()
    return 3 if proving.export(run_dir, photos, config) else 0


if __name__ == "__main__":
    command_line.run(main)
