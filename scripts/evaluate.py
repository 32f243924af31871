"""Tests a trained recogniser on the photos of a split, or on a folder of others.

Writes a page with the figures and with photos, report.html.

python scripts/evaluate.py --model_dir=saved_models/quickstart
python scripts/evaluate.py --model_dir=saved_models/mobile --outliers_dir=other_photos
python scripts/evaluate.py --compare=saved_models/mobile,saved_models/transfer
"""

from pathlib import Path
from typing import TYPE_CHECKING

import checking
import command_line
import rejecting
import reporting
from absl import flags

from landmarks_tf import run_folder
from landmarks_tf.data import photo_set
from landmarks_tf.data import split
from landmarks_tf.data import split_file
from landmarks_tf.data.photo_set import PhotoSet
from landmarks_tf.errors import InvalidInput
from landmarks_tf.names import printable

if TYPE_CHECKING:
    import keras
    import numpy as np

flags.adopt_module_key_flags(rejecting)
flags.adopt_module_key_flags(reporting)
_MODEL_DIR = flags.DEFINE_string("model_dir", None, "Run folder.")
_COMPARE = flags.DEFINE_list(
    "compare",
    None,
    "Two run folders of the same classes: which is better on the photos of the first "
    "one's split or of --data_dir, and whether by more than chance.",
)
flags.mark_flags_as_mutual_exclusive(["model_dir", "compare"], required=True)
_DATA_DIR = flags.DEFINE_string(
    "data_dir",
    None,
    "Folder of photos: the run's own, where it is now (default: where it was), or "
    "another with class folders in <split>/ or in itself.",
)
_SPLIT = flags.DEFINE_enum("split", "test", split.SPLITS, "Photos to test on.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 8, "Photos at a time.", lower_bound=1)


def main(arguments: list[str]) -> None:
    command_line.refuse_arguments(arguments)
    if _MODEL_DIR.value is None:
        compare(*require_pair(_COMPARE.value))
    else:
        evaluate(Path(_MODEL_DIR.value))


def evaluate(run_dir: Path) -> None:
    """Prints the metrics of a run, and writes them and a report into its folder.

    Metrics of photos that are not the run's own are only printed.
    """
    class_names = require_run(run_dir)
    reporting.refuse_place()
    outliers = rejecting.find_outliers()  # refused before any work
    command_line.load_tensorflow()
    photos, is_own = find_photos(run_dir / run_folder.SPLIT, class_names)

    from landmarks_tf.evaluation.metrics import describe_metrics
    from landmarks_tf.evaluation.metrics import evaluate_probabilities

    model = load_model(run_dir, class_names)
    probabilities = answer(model, photos, _SPLIT.value)
    labels = photos.labels(_SPLIT.value)
    metrics = evaluate_probabilities(probabilities, labels, class_names)
    print_metrics(metrics, describe_metrics(metrics))
    if is_own:
        run_folder.write_metrics(run_dir, **{_SPLIT.value: metrics})
    if outliers:
        data_dir = photos.data_dir if is_own else None
        set_threshold(run_dir, model, outliers, class_names, data_dir)
    reporting.write_report(
        run_dir, model, photos, probabilities, metrics, is_own, _BATCH_SIZE.value
    )


def set_threshold(
    run_dir: Path,
    model: "keras.Model",
    outliers: list[Path],
    class_names: tuple[str, ...],
    data_dir: Path | None,
) -> None:
    """Chooses the run's threshold anew, on its own photos."""
    names = ["validation", "test"]
    path = run_dir / run_folder.SPLIT
    photos = split_file.load_split(path, class_names, data_dir, names)
    answers = {name: answer(model, photos, name) for name in names}
    rejecting.set_threshold(run_dir, outliers, answers)
    print("written into metrics.json; export.py writes it into the exported files")


def compare(first: Path, second: Path) -> None:
    """Prints how each run does, and how sure it is that one is better."""
    class_names = require_run(first)
    if class_names != require_run(second):
        raise InvalidInput(f"{first} and {second} know different landmarks")
    command_line.load_tensorflow()
    photos, _ = find_photos(first / run_folder.SPLIT, class_names)
    refuse_trained_on(photos, first, second)

    from landmarks_tf.evaluation.metrics import compare_answers
    from landmarks_tf.evaluation.metrics import describe_metrics
    from landmarks_tf.evaluation.metrics import evaluate_probabilities
    from landmarks_tf.evaluation.metrics import true_class_ranks

    labels = photos.labels(_SPLIT.value)
    is_right = []
    for run_dir in (first, second):
        model = load_model(run_dir, class_names)
        probabilities = answer(model, photos, _SPLIT.value)
        metrics = evaluate_probabilities(probabilities, labels, class_names)
        print(f"{run_dir}: {describe_metrics(metrics)}", flush=True)
        is_right.append(true_class_ranks(probabilities, labels) == 0)
    result = compare_answers(*is_right)
    print(
        f"of {result['num_images']} photos {result['only_first']} are known to {first} "
        f"alone, {result['only_second']} to {second} alone: "
        f"p = {result['p_value']:.2g} (McNemar's exact test)"
    )


def require_pair(names: list[str] | None) -> tuple[Path, Path]:
    if names is None or len(names) != 2:
        raise InvalidInput(f"`compare` must be two run folders. Received: {names}")
    return Path(names[0]), Path(names[1])


def require_run(run_dir: Path) -> tuple[str, ...]:
    """Returns the class names of a run that is whole."""
    run_folder.require(run_dir, run_folder.MODEL, run_folder.LABELS, run_folder.SPLIT)
    return run_folder.load_class_names(run_dir / run_folder.LABELS)


def refuse_trained_on(photos: PhotoSet, *run_dirs: Path) -> None:
    """Raises InvalidInput for a photo that one of the runs has learnt by heart."""
    hashes = split_file.hash_photos(photos)
    for run_dir in run_dirs:
        trained_on = split_file.load_hashes(run_dir / run_folder.SPLIT, ["train"])
        known = set(trained_on.values())
        for path, digest in hashes.items():
            if digest in known:
                raise InvalidInput(
                    f"{run_dir} was trained on {photos.data_dir / path}: compare on "
                    "photos that neither run has seen"
                )


def load_model(run_dir: Path, class_names: tuple[str, ...]) -> "keras.Model":
    from landmarks_tf.models import surgery

    return surgery.load_model(run_dir / run_folder.MODEL, len(class_names))


def answer(model: "keras.Model", photos: PhotoSet, name: str) -> "np.ndarray":
    """Returns a model's probabilities for the photos of a split, in their order."""
    from landmarks_tf.data import pipeline

    dataset = pipeline.make_dataset(
        photos, name, model.input_shape[1:3], _BATCH_SIZE.value
    )
    return model.predict(dataset, verbose=0)


def find_photos(
    split_path: Path, class_names: tuple[str, ...]
) -> tuple[PhotoSet, bool]:
    """Returns the photos to test on, and whether they are the run's own."""
    name = _SPLIT.value
    data_dir = Path(_DATA_DIR.value) if _DATA_DIR.value else None
    if data_dir is None or split_file.is_split_of(split_path, data_dir, name):
        return split_file.load_split(split_path, class_names, data_dir, [name]), True
    listing = photo_set.load_evaluation_photos(data_dir, name, class_names)
    inspections = checking.inspect(listing)
    photos, skipped = checking.skip_unreadable(listing, inspections)
    checking.print_left_out(cannot_be_read=len(skipped))
    if not photos.splits[name]:
        raise InvalidInput(f"no readable photos in {data_dir}")
    return photos, False


def print_metrics(metrics: dict, summary: str) -> None:
    for class_name, row in metrics["per_class"].items():
        name = printable(class_name)
        if row["num_images"] == 0:
            print(f"  no photos  {name}")
        else:
            print(f"  {row['accuracy']:6.1%} of {row['num_images']:<4} {name}")
    print(f"{_SPLIT.value}: {summary}")


if __name__ == "__main__":
    command_line.run(main)
