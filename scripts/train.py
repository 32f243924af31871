"""Trains a landmark recogniser on a folder of photos, tests it and exports it.

python scripts/train.py --flagfile=scripts/flags/mobile.flags --data_dir=photos

Exit code 0: trained and exported; 3: trained, but not good enough (--min_accuracy), or
an exported file does not answer as the model and is not there: stderr says which.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import answering
import command_line
import dividing
import fitting
import hosting
import proving
import rejecting
from absl import flags

from landmarks_tf import run_folder
from landmarks_tf.config import TrainConfig
from landmarks_tf.data import photo_set
from landmarks_tf.data import split_file
from landmarks_tf.data.photo_set import PhotoSet
from landmarks_tf.errors import InvalidInput
from landmarks_tf.errors import require
from landmarks_tf.evaluation.metrics import calibration_error
from landmarks_tf.evaluation.metrics import describe_metrics
from landmarks_tf.evaluation.metrics import evaluate_probabilities
from landmarks_tf.names import printable
from landmarks_tf.recipes import RECIPES
from landmarks_tf.samples import sample_set

if TYPE_CHECKING:
    import keras
    import numpy as np

command_line.define_flags(TrainConfig)
for module in (command_line, dividing, hosting, rejecting):
    flags.adopt_module_key_flags(module)

_DATA_DIR = flags.DEFINE_string(
    "data_dir",
    None,
    "Folder with train/ and test/, or with the class folders themselves, which are "
    "then split. Default: a drawn sample set.",
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Run folder to write. Default: saved_models/RECIPE."
)
_RESUME = flags.DEFINE_bool(
    "resume", False, "Go on after the last finished epoch of a run that was stopped."
)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace an older run folder.")
_RECIPE = flags.DEFINE_enum(
    "recipe",
    None,
    list(RECIPES),
    "Settings that were measured together; other flags change some of them. Default: "
    "mobile, without --data_dir quickstart; none where --model or --preset chooses a "
    "network.",
)
_DISTRIBUTION = flags.DEFINE_enum(
    "distribution",
    "auto",
    ["auto", "none", "hosts"],
    "auto trains on all GPUs of this machine if there are several, each with its share "
    "of every batch: let --batch_size divide by their number. hosts trains a scratch "
    "network on several machines, each of which runs this command "
    "(docs/distributed.md).",
)
_DETERMINISTIC = flags.DEFINE_bool(
    "deterministic",
    False,
    "Refuse operations that TensorFlow may compute otherwise the next time. On a CPU a "
    "run is the same without (docs/reproducibility.md).",
)


def main(arguments: list[str]) -> int:
    command_line.refuse_arguments(arguments)
    options, recipe = choose_config()
    place = find_place(options)
    if place and _DETERMINISTIC.value:
        raise InvalidInput("--deterministic is not for --distribution=hosts")
    name = recipe or options.model
    output_dir = Path(_OUTPUT_DIR.value or f"saved_models/{name}")
    if place and hosting.is_beside():
        fit_share(place, output_dir, options)
        return 0
    if _RESUME.value and run_folder.is_finished(output_dir):
        run_folder.tidy(output_dir)
        print(f"{output_dir} is finished: nothing to resume")
        return 0
    if not _RESUME.value:
        dividing.require_split_file()  # refused before any work
    listing = list_data()
    outliers = rejecting.find_outliers()
    run_folder.refuse_overlap(output_dir, listing.data_dir)
    run_dir = run_folder.unfinished_dir(output_dir)
    try:
        if place and place.index:
            if _RESUME.value and is_trained(run_dir):
                print("the training is over: the first host does the rest by itself")
                return 0
            return hosting.train_beside(place)
        run_folder.begin(output_dir, _RESUME.value, _OVERWRITE.value)
        # Who repeats the run by its flags, repeats its split.
        split_path = str(output_dir / run_folder.SPLIT)
        command_line.write_flags(run_dir / run_folder.FLAGS, split_file=split_path)
        return train(listing, run_dir, output_dir, options, outliers, place)
    except (ConnectionError, ChildProcessError):
        raise  # of another host, or the process beside: they say how to go on
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(how_to_go_on(run_dir, place)) from error
    except Exception as error:
        reason = command_line.system_reason(error)
        if not reason:
            raise
        # Of a full disk the system does not say which.
        where = f"while writing {run_dir}"
        advice = how_to_go_on(run_dir, place)
        raise OSError(f"{reason} ({where}); {advice}") from error
    finally:
        run_folder.give_back(output_dir)


def train(
    listing: PhotoSet,
    run_dir: Path,
    output_dir: Path,
    options: TrainConfig,
    outliers: list[Path],
    place: hosting.Place | None,
) -> int:
    """Does the work of a run that was begun, and returns the exit code."""
    command_line.load_tensorflow(place is not None, _DETERMINISTIC.value)
    photos = split_data(listing, run_dir, options)
    # What is trained beside is found finished here. Where it is already, the others
    # have ended, and none would come.
    if place and not is_trained(run_dir):
        if exit_code := hosting.train_beside(place):
            return exit_code
    model = fit(photos, run_dir, options)
    answers = calibrate(model, photos, run_dir, options)
    top1 = evaluate(model, answers, photos, run_dir, options)
    rejecting.set_threshold(run_dir, outliers, answers)
    is_good_enough = top1 >= options.min_accuracy
    refused = proving.export(run_dir, photos, options) if is_good_enough else []
    run_folder.publish(output_dir)
    if not is_good_enough:
        message = f"top-1 {top1:.1%} is below --min_accuracy={options.min_accuracy}"
        print(f"error: {message}; nothing is exported", file=sys.stderr)
        return 3
    show_answer(output_dir, photos)
    return 3 if refused else 0


def is_trained(run_dir: Path) -> bool:
    """Returns whether the training of a run is over; the rest may be missing."""
    if not (run_dir / run_folder.CHECKPOINTS).exists():
        return False  # without the seconds that Keras takes
    command_line.load_tensorflow(shares_gpus=True)
    from landmarks_tf.training.checkpoint import load_progress

    return load_progress(run_dir / run_folder.CHECKPOINTS).is_over


def how_to_go_on(run_dir: Path, place: hosting.Place | None) -> str:
    if not (run_dir / run_folder.CHECKPOINTS).exists():
        return "nothing is trained yet: start again with the same command"
    lost = "what came after the last finished epoch is lost"
    instead = " instead of --overwrite" if _OVERWRITE.value else ""
    where = ""
    # Other hosts are here only while all train; the first has loaded TensorFlow then.
    if place and place.num_hosts > 1 and (place.index or not is_trained(run_dir)):
        where = " on every host"
    return f"{lost}; go on with the same command and --resume{instead}{where}"


def choose_config() -> tuple[TrainConfig, str]:
    """Returns the settings that the flags say, and the name of their recipe, if any."""
    recipe = _RECIPE.value or ""
    if not any(map(command_line.is_given, ("recipe", "model", "preset"))):
        recipe = "mobile" if _DATA_DIR.value else "quickstart"
        if not hosting.is_beside():
            print(f"no --recipe: taking {recipe} (--help lists the others)")
    base = TrainConfig.recipe(recipe) if recipe else TrainConfig()
    return command_line.read_config(base), recipe


def find_place(options: TrainConfig) -> hosting.Place | None:
    """Returns where this host stands among several; None where it trains alone."""
    if _DISTRIBUTION.value == "hosts":
        return hosting.find_place(options)
    hosting.refuse_place()
    return None


def list_data() -> PhotoSet:
    """Lists the data folder, drawing one where none is given, and tells of it."""
    if _DATA_DIR.value is None:
        print(
            "no --data_dir: drawing a sample set (once), as the recipe quickstart has",
            flush=True,
        )
        data_dir = sample_set.load_sample_set()
    else:
        data_dir = Path(_DATA_DIR.value)
    listing = photo_set.load_photos(data_dir)
    print(f"{data_dir}: {len(listing.class_names)} classes", flush=True)
    ignored = listing.visible_ignored()
    if ignored:
        count, first = len(ignored), ignored[0]
        text = f"ignored {count} that are no photos of a class, the first: {first}"
        print(printable(text))
    return listing


def split_data(listing: PhotoSet, run_dir: Path, options: TrainConfig) -> PhotoSet:
    """Divides the readable photos, or takes the division of the run resumed."""
    split_path = run_dir / run_folder.SPLIT
    labels_path = run_dir / run_folder.LABELS
    if split_path.exists():
        new = split_file.find_new(split_path, listing)
        if new:
            text = f"left out {len(new)} photos that are new, the first: {new[0]}"
            print(printable(text))
        class_names = run_folder.load_class_names(labels_path)
        return split_file.load_split(split_path, class_names, listing.data_dir)
    photos, hashes, left_out = dividing.divide(listing, options)
    run_folder.write_class_names(labels_path, photos.class_names)
    split_file.write_split(split_path, photos, hashes, left_out)
    dividing.print_counts(photos)
    return photos


def fit(photos: PhotoSet, run_dir: Path, options: TrainConfig) -> "keras.Model":
    """Trains, and writes the history."""
    from landmarks_tf import plots
    from landmarks_tf.training import distribution
    from landmarks_tf.training import fit

    kinds = {"scratch": fitting.fit_scratch, "transfer": fitting.fit_transfer}
    devices = distribution.list_devices() if _DISTRIBUTION.value == "auto" else []
    if len(devices) > 1:
        is_divided = options.batch_size % len(devices) == 0
        wanted = f"a multiple of the {len(devices)} devices"
        require(is_divided, "batch_size", wanted, options.batch_size)
        print(f"training on {len(devices)} devices at a time", flush=True)
    with distribution.on_devices(devices):
        model, progress = kinds[options.model](photos, run_dir, options)
    if len(devices) > 1:
        model = distribution.to_one_device(model)
    fit.write_history(run_dir / run_folder.HISTORY, progress.history)
    plots.write_curves(run_dir / run_folder.CURVES, progress.history)
    record = fit.describe_progress(progress, len(photos.splits["train"]))
    run_folder.write_metrics(
        run_dir, environment=run_folder.environment(), training=record
    )
    print(
        f"training: {record['epochs']} epochs, the best is {record['best_epoch']}, "
        f"{record['seconds']} s, {record['images_per_second']} images/s",
        flush=True,
    )
    return model


def fit_share(place: hosting.Place, output_dir: Path, options: TrainConfig) -> None:
    """Trains as one of several hosts, from what the first one has written."""
    run_dir = run_folder.unfinished_dir(output_dir)
    data_dir = Path(_DATA_DIR.value or sample_set.load_sample_set())
    with hosting.meeting(place, options) as hosts:
        wanted = "a folder that all hosts see, with the run that the first host began"
        require(run_dir.is_dir(), "output_dir", wanted, output_dir)
        command_line.compare_flags(
            run_dir / run_folder.FLAGS, split_file=str(output_dir / run_folder.SPLIT)
        )
        # The first host has read the photos; each reads its share while it trains.
        photos = split_file.load_split(
            run_dir / run_folder.SPLIT,
            run_folder.load_class_names(run_dir / run_folder.LABELS),
            data_dir,
            reads_photos=False,
        )
        fitting.fit_share(photos, run_dir, options, hosts)


def calibrate(
    model: "keras.Model", photos: PhotoSet, run_dir: Path, options: TrainConfig
) -> "dict[str, np.ndarray]":
    """Makes the model as sure as validation allows, and writes it.

    Returns:
        its probabilities for the photos of validation and test.
    """
    from landmarks_tf.evaluation import calibration
    from landmarks_tf.models.surgery import build_logits_model
    from landmarks_tf.models.surgery import divide_logits

    network = build_logits_model(model)
    logits = {
        name: fitting.answer(network, photos, name, options)
        for name in ("validation", "test")
    }
    temperature = calibration.fit_temperature(
        logits["validation"], photos.labels("validation")
    )
    divide_logits(model, temperature)
    model.save(run_dir / run_folder.MODEL)
    before, after = (
        {
            name: calibration.apply_temperature(rows, value)
            for name, rows in logits.items()
        }
        for value in (1.0, temperature)
    )
    record: dict[str, Any] = {"temperature": temperature}
    for name in before:
        errors = [
            calibration_error(rows[name], photos.labels(name))
            for rows in (before, after)
        ]
        record[name] = dict(zip(("error_before", "error_after"), errors))
        print(
            f"probabilities of {name} photos were {errors[0]:.3f} off on average "
            f"(calibration error), are {errors[1]:.3f} by a temperature of "
            f"{temperature:.2f}",
            flush=True,
        )
    run_folder.write_metrics(run_dir, calibration=record)
    return after


def evaluate(
    model: "keras.Model",
    answers: "dict[str, np.ndarray]",
    photos: PhotoSet,
    run_dir: Path,
    options: TrainConfig,
) -> float:
    """Writes and prints the metrics of validation and test; returns test top-1.

    Args:
        model: of the run.
        answers: its probabilities, of `calibrate`.
        photos: the catalog.
        run_dir: of the run.
        options: of the run.
    """
    from landmarks_tf.models.scratch import without_shrinking

    def measure(what: str, section: str, name: str, rows: "np.ndarray") -> dict:
        metrics = evaluate_probabilities(rows, photos.labels(name), photos.class_names)
        run_folder.write_metrics(run_dir, **{section: metrics})
        print(f"{what}: {describe_metrics(metrics)}", flush=True)
        return metrics

    for name, rows in answers.items():
        metrics = measure(name, name, name, rows)
    size = options.epoch_sizes[-1]
    if options.model == "scratch" and size != options.image_size:
        small = without_shrinking(model, (size, size))
        rows = fitting.answer(small, photos, "test", options)
        what = f"test at the training's {size} pixels"
        measure(what, "test_at_training_size", "test", rows)
    return metrics["top1"]


def show_answer(output_dir: Path, photos: PhotoSet) -> None:
    """Asks the run about one test photo, as predict.py would."""
    from landmarks_tf.inference.classifier import load_classifier

    photo = photos.absolute_paths("test")[0]
    with command_line.quiet_stderr():
        classifier = load_classifier(output_dir)
        landmarks = classifier.predict_landmarks(photo)
    print(f"run folder: {output_dir}")
    write = answering.make_writer("table", [photo], classifier.names, len(landmarks))
    write(photo, landmarks)
    print(f"next: python scripts/serve.py --model={output_dir}")


if __name__ == "__main__":
    # Those that all need first.
    first = "data_dir recipe output_dir backbone_weights resume overwrite".split()
    command_line.run(main, first=first)
