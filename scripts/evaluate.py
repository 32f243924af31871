"""Tests a trained recogniser on the photos of a split, or on a folder of others.

python scripts/evaluate.py --model_dir=saved_models/quickstart
"""

from pathlib import Path

import checking
import command_line
from absl import flags

from landmarks_tf import catalog
from landmarks_tf import run_folder
from landmarks_tf import split
from landmarks_tf import split_file
from landmarks_tf.catalog import Catalog
from landmarks_tf.errors import InvalidInput

_MODEL_DIR = flags.DEFINE_string("model_dir", None, "Run folder.", required=True)
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
    run_dir = Path(_MODEL_DIR.value)
    run_folder.require(run_dir, run_folder.MODEL, run_folder.LABELS, run_folder.SPLIT)
    class_names = run_folder.load_class_names(run_dir / run_folder.LABELS)
    command_line.load_tensorflow()
    photos, is_own = find_photos(run_dir / run_folder.SPLIT, class_names)

    from landmarks_tf import evaluation
    from landmarks_tf import models
    from landmarks_tf import pipeline
    from landmarks_tf import plots

    model = models.load_model(run_dir / run_folder.MODEL, len(class_names))
    dataset = pipeline.make_dataset(
        photos, _SPLIT.value, model.input_shape[1:3], _BATCH_SIZE.value
    )
    metrics, matrix = evaluation.evaluate_model(
        model, dataset, photos.labels(_SPLIT.value), class_names
    )
    print_metrics(metrics, evaluation.describe_metrics(metrics))
    with run_folder.replacing(run_dir / run_folder.CONFUSION) as path:
        plots.write_confusion(path, matrix, class_names)
    if is_own:
        run_folder.write_metrics(run_dir, **{_SPLIT.value: metrics})


def find_photos(split_path: Path, class_names: tuple[str, ...]) -> tuple[Catalog, bool]:
    """Returns the photos to test on, and whether they are the run's own."""
    name = _SPLIT.value
    data_dir = Path(_DATA_DIR.value) if _DATA_DIR.value else None
    if data_dir is None or split_file.is_split_of(split_path, data_dir, name):
        return split_file.load_split(split_path, class_names, data_dir, [name]), True
    listing = catalog.load_evaluation_catalog(data_dir, name, class_names)
    inspections = checking.inspect(listing)
    photos, skipped = checking.skip_unreadable(listing, inspections)
    checking.print_left_out(cannot_be_read=len(skipped))
    if not photos.splits[name]:
        raise InvalidInput(f"no readable photos in {data_dir}")
    return photos, False


def print_metrics(metrics: dict, summary: str) -> None:
    for class_name, row in metrics["per_class"].items():
        if row["num_images"] == 0:
            print(f"  no photos  {class_name}")
        else:
            print(f"  {row['accuracy']:6.1%} of {row['num_images']:<4} {class_name}")
    print(f"{_SPLIT.value}: {summary}")


if __name__ == "__main__":
    command_line.run(main)
