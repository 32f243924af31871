"""Writing the files that servers and phones load, each if it answers as its model does.

A file is written aside, asked about photo files through its own entrance, as a server
or a phone would, and takes its place only if the answers are those of `model.keras`.
"""

import sys
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import command_line
import describing

from landmarks_tf import run_folder
from landmarks_tf.config import ExportConfig
from landmarks_tf.data.photo_set import PhotoSet
from landmarks_tf.errors import InvalidInput
from landmarks_tf.errors import first_line
from landmarks_tf.export import parity
from landmarks_tf.inference.classifier import load_classifier
from landmarks_tf.names import printable
from landmarks_tf.run_folder import EXPORTS

if TYPE_CHECKING:
    import numpy as np

# Of validation photos: enough to see a loss of half a point, in a minute.
_MAX_PHOTOS = 1000
# Named of the photos for which a refused file has another answer.
_MAX_NAMED = 3


def export(run_dir: Path, photos: PhotoSet, config: ExportConfig) -> list[str]:
    """Writes the formats into a run's folder, and how far each is from its model.

    Args:
        run_dir: of the run, with its model and labels.
        photos: of the run; files are compared on those of validation, and int8 is
            calibrated on those of training.
        config: which formats, and what they say of themselves.

    Returns:
        the formats that do not answer as the model does; their files are not there.
    """
    import tensorflow as tf

    from landmarks_tf.export import int8
    from landmarks_tf.export import saved_model
    from landmarks_tf.models.surgery import load_model

    # Where a GPU would round factors to ten bits, LiteRT does not.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    asked = photos.draw_evenly("validation", _MAX_PHOTOS)
    calibration = photos.draw_evenly("train", max(int8.NUM_CALIBRATION_PHOTOS))
    model_path = run_dir / run_folder.MODEL
    model = load_model(model_path, len(photos.class_names))
    with command_line.quiet_stderr():
        expected = answer_by_pillow(model_path, asked.absolute_paths("validation"))
    records = {}
    for file_format in config.formats:
        target = run_dir / EXPORTS[file_format]
        with run_folder.replacing(target) as path:
            attempts = saved_model.write_attempts(
                model,
                photos.class_names,
                file_format,
                path,
                calibration.absolute_paths("train"),
                describing.describe(run_dir, photos.class_names, config),
            )
            record = write_best(attempts, file_format, path, asked, expected)
            if record["faults"]:
                run_folder.remove(path)
        records[file_format] = record
        run_folder.write_parity(run_dir, **records)
        report(target, record)
    with command_line.quiet_stderr():
        describing.write_companions(run_dir, config)
    return [name for name, record in records.items() if record["faults"]]


def write_best(
    attempts: Iterator[str],
    file_format: str,
    path: Path,
    asked: PhotoSet,
    expected: "np.ndarray",
) -> dict:
    """Writes the attempt at a format that answers most as the model does.

    One that keeps to its gate is not yet the last: some hundred photos hardly tell 99 %
    of the same answers from 98 %, and a remedy costs a minute once.

    Returns:
        what `parity.json` says of it; `faults` is empty if it keeps to its gate.
    """
    import tensorflow as tf

    best: dict[str, Any] = {}
    contents = b""
    while best.get("faults", True) or best["agreement"] < 1:
        with command_line.quiet_stderr():
            try:
                how = next(attempts, None)
            except tf.errors.OpError as error:
                # Where Python would raise OSError, as for a disk that is full.
                raise OSError(f"cannot write {path}: {first_line(error)}") from error
            if how is None:
                break
            record = prove(file_format, path, asked, expected) | {"made_with": how}
        if not best or rank(record) > rank(best):
            best = record
            contents = path.read_bytes() if path.is_file() else b""
    if contents:
        path.write_bytes(contents)
    return best


def rank(record: dict) -> tuple[bool, float, float]:
    # Some hundred photos often leave the agreement a draw; the probabilities do not.
    differences = [found["mean_difference"] for found in record["entrances"].values()]
    return not record["faults"], record["agreement"], -max(differences)


def prove(
    file_format: str, path: Path, asked: PhotoSet, expected: "np.ndarray"
) -> dict:
    """Asks a file about photos, and returns how far its answers are from the model's.

    Returns:
        `faults`, in words; `agreement`, of the worse entrance; `entrances`, for each
        the result of `parity.compare`, which photos differ among it.
    """
    answers = answer(
        file_format, path, asked.absolute_paths("validation"), asked.class_names
    )
    entrances, faults = {}, []
    for entrance, rows in answers.items():
        found = parity.compare(expected, rows, asked.labels("validation"))
        faults += parity.find_faults(found, parity.GATES[file_format])
        paths = [photo.path for photo in asked.splits["validation"]]
        named = {
            key: [paths[place] for place in found[key]]
            for key in ("differing", "farthest")
        }
        entrances[entrance] = found | named
    agreement = min(found["agreement"] for found in entrances.values())
    return {"faults": faults, "agreement": agreement, "entrances": entrances}


def answer(
    file_format: str, path: Path, files: Sequence[str], class_names: tuple[str, ...]
) -> "dict[str, np.ndarray]":
    """Returns a file's probabilities for photo files, by each of its entrances."""
    if file_format != "saved_model":
        return {"image": answer_by_pillow(path, files)}
    from landmarks_tf.export import served_model

    served = served_model.ServedModel(path, class_names)
    return {
        "photo_bytes": served.answer_files(files),
        "images": served.answer_images(files),
    }


def answer_by_pillow(path: Path, files: Sequence[str]) -> "np.ndarray":
    """Returns the probabilities of a .keras or .tflite file for photo files."""
    import numpy as np

    classifier = load_classifier(path)
    rows = []
    for _, probabilities in classifier.predict_photos([Path(file) for file in files]):
        if isinstance(probabilities, InvalidInput):
            raise probabilities
        rows.append(probabilities)
    return np.stack(rows)


def report(target: Path, record: dict) -> None:
    """Prints a line of what was written, or why it was not."""
    how = f" ({record['made_with']})" if record["made_with"] else ""
    found = list(record["entrances"].values())
    differing = sorted({path for entrance in found for path in entrance["differing"]})
    if record["faults"]:
        worst = max(found, key=lambda entrance: entrance["max_difference"])
        named = differing or worst["farthest"]
        more = len(named) - _MAX_NAMED
        photos = ", ".join(named[:_MAX_NAMED]) + (f" and {more} more" * (more > 0))
        faults = "; ".join(dict.fromkeys(record["faults"]))
        message = f"{target} is not written: {faults}: {photos}{how}"
        print(printable(f"error: {message}"), file=sys.stderr)
        return
    num_photos = found[0]["num_photos"]
    difference = max(entrance["max_difference"] for entrance in found)
    print(
        f"wrote {target.name}: {num_photos - len(differing)} of {num_photos} first "
        f"answers as the model's, probabilities at most {difference:.1g} off{how}",
        flush=True,
    )
