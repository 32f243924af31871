"""Writes the files that servers and phones load, from a run's `model.keras`.

python scripts/export.py --model_dir=saved_models/quickstart
python scripts/export.py --model_dir=saved_models/mobile --formats=int8
"""

from pathlib import Path

import command_line
from absl import flags

from landmarks_tf import run_folder
from landmarks_tf import split_file
from landmarks_tf.errors import InvalidInput
from landmarks_tf.run_folder import EXPORTS

_MODEL_DIR = flags.DEFINE_string("model_dir", None, "Run folder.", required=True)
_FORMATS = flags.DEFINE_list(
    "formats",
    list(run_folder.EXACT_EXPORTS),
    f"Files to write, of {','.join(EXPORTS)}. float16 has half the size of float32, "
    "dynamic_range and int8 a quarter; they may answer a little otherwise.",
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir",
    None,
    "Where the run's photos are now, if not where they were: int8 is fitted to some "
    "of those that the run was trained on.",
)
# As many as TensorFlow's guide to post-training quantisation asks for, "around
# 100-500", of all classes.
_NUM_CALIBRATION_PHOTOS = 200


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

    photos: list[str] = []
    if "int8" in _FORMATS.value:
        photos = find_calibration_photos(run_dir, class_names)
    command_line.load_tensorflow()
    from landmarks_tf import exporting
    from landmarks_tf import models

    model = models.load_model(run_dir / run_folder.MODEL, len(class_names))
    for name in _FORMATS.value:
        with run_folder.replacing(
            run_dir / EXPORTS[name]
        ) as path, command_line.quiet_stderr():
            exporting.export_model(model, class_names, name, path, photos)
        print(f"wrote {run_dir / EXPORTS[name]}", flush=True)


def find_calibration_photos(run_dir: Path, class_names: tuple[str, ...]) -> list[str]:
    """Returns files of photos that the run was trained on."""
    run_folder.require(run_dir, run_folder.SPLIT)
    photos = split_file.load_split(
        run_dir / run_folder.SPLIT,
        class_names,
        Path(_DATA_DIR.value) if _DATA_DIR.value else None,
        ["train"],
    )
    return photos.draw_evenly("train", _NUM_CALIBRATION_PHOTOS)


if __name__ == "__main__":
    command_line.run(main)
