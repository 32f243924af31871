"""Trains a landmark recogniser on a folder of photos, tests it and exports it.

python scripts/train.py --flagfile=scripts/flags/mobile.flags --data_dir=photos

Exit code 0: trained and exported; 3: trained, but not good enough (--min_accuracy), or
an exported file does not predict as the model and is not there: stderr says which.
"""

import os
import sys
from pathlib import Path


from landmarks_tf import errors
from landmarks_tf.commands import cli
from landmarks_tf.config import TrainConfig
from landmarks_tf.data import split_file
from landmarks_tf.inference import output
from landmarks_tf.inference.classifier import load_classifier
from landmarks_tf.recipes import RECIPES
from landmarks_tf.run import Run
from landmarks_tf.training.hosts import VARIABLES
from landmarks_tf.training.hosts import is_trained
from landmarks_tf.training.train import train

FLAGS = cli.Flags()
cli.define_flags(TrainConfig, FLAGS)
_DATA_DIR = FLAGS.string(
    "data_dir",
    "Folder with train/ and test/, or with the class folders themselves, which are "
    "then split. Default: a drawn sample set.",
)
_OUTPUT_DIR = FLAGS.string(
    "output_dir", "Run folder to write. Default: saved_models/RECIPE."
)
_RESUME = FLAGS.boolean(
    "resume", "Go on after the last finished epoch of a run that was stopped."
)
_OVERWRITE = FLAGS.boolean("overwrite", "Replace an older run folder.")
_RECIPE = FLAGS.enum(
    "recipe",
    "Settings that were measured together; other flags change some of them. Default: "
    "mobile, without --data_dir quickstart; none where --model or --preset chooses a "
    "network.",
    None,
    list(RECIPES),
)
_HOST = {
    "coordinator_address": "HOST:PORT of the first of several hosts, any free port, as "
    "the others reach it.",
    "num_hosts": "How many hosts train together.",
    "host_index": "Which of them this one is, from 0: the first writes the run folder.",
}
for name, text in _HOST.items():
    text = f"{text} Default: {VARIABLES[name]} of the environment."
    FLAGS.string(name, text)


def main(arguments: list[str]) -> int:
    cli.refuse_arguments(arguments)
    config, recipe = choose_config()
    _place_host(config)
    output_dir = Path(_OUTPUT_DIR.value or f"saved_models/{recipe or config.model}")
    is_done = _RESUME.value and Run(output_dir).is_finished
    if _RESUME.value and _OVERWRITE.value:
        raise errors.InvalidInput("--resume and --overwrite exclude each other")
    mode = "overwrite" if _OVERWRITE.value else "resume" if _RESUME.value else "refuse"
    data_dir, console = _DATA_DIR.value or None, cli.Console()
    try:
        run = train(data_dir, config, output_dir, progress=console, on_existing=mode)
    except (KeyboardInterrupt, Exception) as error:
        advice = how_to_go_on(output_dir, config, _OVERWRITE.value)
        if isinstance(error, KeyboardInterrupt) or cli.INTERRUPTED.is_set():
            raise KeyboardInterrupt(advice) from error
        reason = cli.system_reason(error)
        if not reason:
            raise
        # The system does not say which disk is full.
        where = f" (while writing {Run.unfinished(output_dir).path})"
        is_host = isinstance(error, ConnectionError)
        raise OSError(f"{reason}{'' if is_host else where}; {advice}") from error
    if is_done or not Run(output_dir).is_finished:  # the first host does the rest
        return 0
    return show(run, config)


def choose_config() -> tuple[TrainConfig, str]:
    """Returns the settings that the flags say, and the name of their recipe, if any."""
    recipe = _RECIPE.value or ""
    if not any(FLAGS[name].present for name in ("recipe", "model", "preset")):
        recipe = "mobile" if _DATA_DIR.value else "quickstart"
        print(f"no --recipe: taking {recipe} (--help lists the others)")
    base = TrainConfig.recipe(recipe) if recipe else TrainConfig()
    return cli.read_config(base, FLAGS), recipe


def how_to_go_on(
    output_dir: Path, config: TrainConfig, overwrites: bool = False
) -> str:
    """Returns what is lost of a run that was stopped, and how to go on."""
    if not Run.unfinished(output_dir).checkpoints_dir.exists():
        return "nothing is trained yet: start again with the same command"
    lost = "what came after the last finished epoch is lost"
    instead = " instead of --overwrite" if overwrites else ""
    # Other hosts are here only while all train.
    is_shared = config.distribution == "hosts" and not is_trained(output_dir)
    where = " on every host" if is_shared else ""
    return f"{lost}; go on with the same command and --resume{instead}{where}"


def show(run: Run, config: TrainConfig) -> int:
    """Predicts a test photo, as predict.py would, and returns the exit code."""
    test = run.metrics.test
    if test is None or test.top1 < config.min_accuracy:
        return 3
    names = ["test"]
    photos = split_file.load_split(run.split_path, run.class_names, names=names)
    photo = photos.absolute_paths("test")[0]
    classifier = load_classifier(run.path)
    landmarks = classifier.predict_landmarks(photo)
    print(f"run folder: {run.path}")
    k = len(landmarks)
    write = output.make_writer("table", [photo], classifier.names, k, sys.stdout)
    write(photo, landmarks)
    print(f"next: python scripts/serve.py --model={run.path}")
    return 3 if any(record["faults"] for record in run.parity.values()) else 0


def _place_host(config: TrainConfig) -> None:
    """Puts the flags of a host into the environment, where the library reads them."""
    for name, variable in VARIABLES.items():
        value = FLAGS[name].value
        is_allowed = value is None or config.distribution == "hosts"
        errors.require(is_allowed, name, "left out without --distribution=hosts", value)
        if value is not None:
            os.environ[variable] = value


COMMAND = cli.Command(
    main,
    FLAGS,
    __doc__,
    # Those that all need first.
    "data_dir recipe output_dir backbone_weights resume overwrite".split(),
)
