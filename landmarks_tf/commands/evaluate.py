"""Tests a trained recogniser on the photos of a split, or on a folder of others.

Writes a page with the figures and with photos, report.html.

python scripts/evaluate.py --model_dir=saved_models/quickstart
python scripts/evaluate.py --model_dir=saved_models/mobile --outliers_dir=other_photos
python scripts/evaluate.py --compare=saved_models/mobile,saved_models/transfer
"""

from pathlib import Path

from absl import flags

from landmarks_tf.commands import cli
from landmarks_tf.errors import InvalidInput
from landmarks_tf.evaluation import evaluate
from landmarks_tf.run import Run

FLAGS = cli.Flags()
cli.define_flags(evaluate.EvaluationConfig, FLAGS)
_MODEL_DIR = FLAGS.string("model_dir", "Run folder.")
_COMPARE = FLAGS.words(
    "compare",
    "Two run folders of the same classes: which is better on the photos of the first "
    "one's split or of --data_dir, and whether by more than chance.",
)
flags.mark_flags_as_mutual_exclusive(
    ["model_dir", "compare"], required=True, flag_values=FLAGS
)


def main(arguments: list[str]) -> None:
    cli.refuse_arguments(arguments)
    config = cli.read_config(evaluate.EvaluationConfig(), FLAGS)
    if _MODEL_DIR.value is None:
        compare(config)
    else:
        evaluate.evaluate_run(Run(Path(_MODEL_DIR.value)), config, cli.Console())


def compare(config: evaluate.EvaluationConfig) -> None:
    """Prints how each of two runs does, and how sure it is that one is better."""
    names = _COMPARE.value
    if names is None or len(names) != 2:
        raise InvalidInput(f"`compare` must be two run folders. Received: {names}")
    first, second = (Run(Path(name)) for name in names)
    _, _, found = evaluate.compare_runs(first, second, config, cli.Console())
    print(
        f"of {found.num_images} photos {found.only_first} are known to {first.path} "
        f"alone, {found.only_second} to {second.path} alone: p = {found.p_value:.2g} "
        "(McNemar's exact test)"
    )


COMMAND = cli.Command(main, FLAGS, __doc__)
