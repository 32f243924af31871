"""Whether an exported file predicts as its model does, on the same photos.

A file is written aside, is given photo files through its own entrance, as by a server
or a phone, and takes its place only if it predicts what `model.keras` does.
"""

from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from landmarks_tf import errors
from landmarks_tf.data.photo import load_images
from landmarks_tf.data.photo_set import PhotoSet
from landmarks_tf.evaluation.metrics import compare_predictions
from landmarks_tf.inference.classifier import load_classifier

# Where the model has its first two answers closer together, either may be first.
TIE_MARGIN = 1e-3
_NUM_FARTHEST = 3
_BATCH_SIZE = 8


@dataclass(frozen=True)
class Gate:
    """What an exported file must keep to.

    Attributes:
        min_agreement: the share of photos whose first answer must be the model's.
        max_difference: of any probability from the model's.
        max_accuracy_loss: the share of photos by which fewer may be right.
    """

    min_agreement: float = 1.0
    max_difference: float = 1.0
    max_accuracy_loss: float = 1.0


# By format. float32 rounds otherwise than Keras, float16 keeps ten bits of a weight;
# int8 is another network, of which it counts which landmark it names.
GATES = {
    "saved_model": Gate(max_difference=1e-3),
    "float32": Gate(max_difference=1e-3),
    "float16": Gate(max_difference=1e-2),
    "int8": Gate(min_agreement=0.99, max_accuracy_loss=0.005),
}


def compare(expected: np.ndarray, answers: np.ndarray, labels: Sequence[int]) -> dict:
    """Returns how far an exported file is from its model.

    A photo whose first two answers the model has closer together than TIE_MARGIN is a
    tie, and does not count for `agreement`.

    Args:
        expected: the model's probabilities, float `[num_photos, num_classes]`.
        answers: the file's, likewise; NaN for what the file does not tell.
        labels: of the photos.

    Returns:
        `num_photos`; `num_ties`; `agreement`, the share of the other photos whose first
        answer is the model's; `differing`, the places of those whose is not;
        `farthest`, the places of the three with the largest difference, largest first;
        `max_difference` and `mean_difference` of probabilities; `model_top1` and
        `top1`, the shares of photos that model and file name rightly;
        `top1_difference`, in shares of photos; `only_model` and `only_file`, how many
        photos one alone does, with McNemar's `p_value`.
    """
    told = np.where(np.isnan(answers), -1.0, answers)
    ordered = np.sort(expected, axis=1)
    is_tie = np.zeros(len(expected), bool)
    if expected.shape[1] > 1:
        is_tie = ordered[:, -1] - ordered[:, -2] < TIE_MARGIN
    # A network gone wrong gives no numbers at all.
    is_silent = np.isnan(answers).all(axis=1)
    is_other = (told.argmax(axis=1) != expected.argmax(axis=1)) & ~is_tie | is_silent
    differences = np.where(is_silent[:, np.newaxis], 1.0, np.abs(answers - expected))
    is_right = [rows.argmax(axis=1) == np.asarray(labels) for rows in (expected, told)]
    paired = compare_predictions(*is_right)
    model_top1, top1 = (float(np.mean(right)) for right in is_right)
    num_clear = int(np.sum(~is_tie))
    return {
        "num_photos": len(expected),
        "num_ties": int(np.sum(is_tie)),
        "agreement": 1 - float(np.sum(is_other)) / max(num_clear, 1),
        "differing": np.flatnonzero(is_other).tolist(),
        "farthest": np.argsort(-np.nanmax(differences, axis=1), kind="stable")[
            :_NUM_FARTHEST
        ].tolist(),
        "max_difference": float(np.nanmax(differences)),
        "mean_difference": float(np.nanmean(differences)),
        "model_top1": model_top1,
        "top1": top1,
        "top1_difference": top1 - model_top1,
        "only_model": paired.only_first,
        "only_file": paired.only_second,
        "p_value": paired.p_value,
    }


def find_faults(comparison: dict, gate: Gate) -> list[str]:
    """Returns in a few words each how a file breaks its gate; of a good one, nothing.

    Args:
        comparison: of `compare`.
        gate: of the file's format.
    """
    faults = []
    # The shares are of whole photos: a rounding error is none.
    if comparison["agreement"] < gate.min_agreement - 1e-9:
        faults.append(
            f"{len(comparison['differing'])} of {comparison['num_photos']} first "
            f"answers differ ({gate.min_agreement:.4g} must agree)"
        )
    if not comparison["max_difference"] <= gate.max_difference:
        faults.append(
            f"probabilities differ by up to {comparison['max_difference']:.2g} "
            f"(at most {gate.max_difference:g})"
        )
    loss = -comparison["top1_difference"]
    if loss > gate.max_accuracy_loss + 1e-9:
        faults.append(
            f"{loss:.2%} fewer are right (at most {gate.max_accuracy_loss:.2%})"
        )
    return faults


def write_best(
    attempts: Iterator[str],
    file_format: str,
    path: Path,
    photos: PhotoSet,
    expected: np.ndarray,
) -> dict:
    """Writes the attempt at a format that predicts most as the model does.

    One that keeps to its gate is not yet the last: some hundred photos hardly tell 99 %
    of the same predictions from 98 %, and a remedy costs a minute once.

    Args:
        attempts: see `saved_model.write_attempts`.
        file_format: a name in `run.EXPORTS`.
        path: the file.
        photos: whose validation photos are predicted.
        expected: the model's probabilities for them.

    Returns:
        what `parity.json` says of it; `faults` is empty if it keeps to its gate.
    """
    import tensorflow as tf

    best: dict[str, Any] = {}
    contents = b""
    while best.get("faults", True) or best["agreement"] < 1:
        try:
            how = next(attempts, None)
        except tf.errors.OpError as error:
            # Where Python would raise OSError, as for a disk that is full.
            raise OSError(f"cannot write {path}: {errors.first_line(error)}") from error
        if how is None:
            break
        record = verify(file_format, path, photos, expected) | {"made_with": how}
        if not best or rank(record) > rank(best):
            best = record
            contents = path.read_bytes() if path.is_file() else b""
    if contents:
        path.write_bytes(contents)
    return best


def rank(record: dict) -> tuple[bool, float, float]:
    """Returns what is the larger, the more a file predicts as its model does."""
    # Some hundred photos often leave the agreement a draw; the probabilities do not.
    differences = [found["mean_difference"] for found in record["entrances"].values()]
    return not record["faults"], record["agreement"], -max(differences)


def verify(
    file_format: str, path: Path, photos: PhotoSet, expected: np.ndarray
) -> dict:
    """Returns how far a file's predictions are from the model's; see `write_best`.

    Returns:
        `faults`, in words; `agreement`, of the worse entrance; `entrances`, for each
        the result of `compare`, with the paths of photos that differ.
    """
    rows = _predict_by_entrance(file_format, path, photos)
    validation = photos.splits["validation"]
    entrances, faults = {}, []
    for entrance, probabilities in rows.items():
        found = compare(expected, probabilities, photos.labels("validation"))
        faults += find_faults(found, GATES[file_format])
        for key in ("differing", "farthest"):
            found[key] = [validation[place].path for place in found[key]]
        entrances[entrance] = found
    agreement = min(found["agreement"] for found in entrances.values())
    return {"faults": faults, "agreement": agreement, "entrances": entrances}


def predict_files(path: Path, files: Sequence[str]) -> np.ndarray:
    """Returns the probabilities of a .keras or .tflite file for photo files."""
    classifier = load_classifier(path)
    rows = []
    for _, probabilities in classifier.predict_photos([Path(file) for file in files]):
        if isinstance(probabilities, errors.InvalidInput):
            raise probabilities
        rows.append(probabilities)
    return np.stack(rows)


def _predict_by_entrance(
    file_format: str, path: Path, photos: PhotoSet
) -> dict[str, np.ndarray]:
    """Returns a file's probabilities for photos, by each of its entrances."""
    files = photos.absolute_paths("validation")
    if file_format != "saved_model":
        return {"image": predict_files(path, files)}
    served = ServedModel(path, photos.class_names)
    return {
        "photo_bytes": served.predict_bytes(files),
        "images": served.predict_images(files),
    }


class ServedModel:
    """The two signatures of a SavedModel.

    Args:
        path: the folder.
        class_names: of the run, in the order of the labels.
    """

    def __init__(self, path: Path, class_names: Sequence[str]) -> None:
        import tensorflow as tf

        self._model = tf.saved_model.load(str(path))
        self._labels = {name.encode(): i for i, name in enumerate(class_names)}

    def predict_bytes(self, paths: Sequence[str]) -> np.ndarray:
        """Returns what `serving_default` answers for the bytes of photo files.

        Returns:
            float32 `[num_photos, num_classes]`; NaN for classes it does not name.
        """
        import tensorflow as tf

        serve = self._model.signatures["serving_default"]
        answers = np.full((len(paths), len(self._labels)), np.nan, np.float32)
        for start in range(0, len(paths), _BATCH_SIZE):
            batch = [Path(path).read_bytes() for path in paths[start:][:_BATCH_SIZE]]
            answer = serve(photos=tf.constant(batch))
            named = zip(answer["class_names"].numpy(), answer["probabilities"].numpy())
            for row, (names, probabilities) in enumerate(named, start):
                answers[row, [self._labels[name] for name in names]] = probabilities
        return answers

    def predict_images(self, paths: Sequence[str]) -> np.ndarray:
        """Returns what `images` answers for photo files, read by Pillow.

        Returns:
            float32 `[num_photos, num_classes]`.
        """
        serve = self._model.signatures["images"]
        _, height, width, _ = serve.structured_input_signature[1]["images"].shape
        rows = [
            serve(images=load_images(path, (height, width)))["probabilities"].numpy()
            for path in paths
        ]
        return np.concatenate(rows)
