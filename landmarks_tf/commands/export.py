"""Writes the files that servers and phones load, from a run's `model.keras`.

python scripts/export.py --model_dir=saved_models/quickstart
python scripts/export.py --model_dir=saved_models/mobile --formats=int8

Each is given the run's validation photos first, and is written only if it predicts what
`model.keras` does; `parity.json` says how nearly.

Exit code 0: all are written; 3: one is not, and is named on stderr.
"""

from pathlib import Path


from landmarks_tf.commands import cli
from landmarks_tf.config import ExportConfig
from landmarks_tf.evaluation.evaluate import require_run
from landmarks_tf.run import Run

FLAGS = cli.Flags()
cli.define_flags(ExportConfig, FLAGS)
_MODEL_DIR = FLAGS.string("model_dir", "Run folder.", required=True)
_DATA_DIR = FLAGS.string(
    "data_dir", "Where the run's photos are now, if not where they were."
)


def main(arguments: list[str]) -> int:
    cli.refuse_arguments(arguments)
    config = cli.read_config(ExportConfig(), FLAGS)
    run = Run(Path(_MODEL_DIR.value))
    require_run(run)  # without the seconds that TensorFlow takes
    from landmarks_tf.export.export import export_run

    data_dir = Path(_DATA_DIR.value) if _DATA_DIR.value else None
    return 3 if export_run(run, config, data_dir, cli.Console()) else 0


COMMAND = cli.Command(main, FLAGS, __doc__)
