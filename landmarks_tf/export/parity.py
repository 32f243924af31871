"""Whether an exported file answers as its model does, on the same photos.

Owns the comparison and the limits. Does not own how either is asked. NumPy only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from landmarks_tf.evaluation.metrics import compare_answers

# Where the model has its first two answers closer together, either may be first.
TIE_MARGIN = 1e-3
_NUM_FARTHEST = 3


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
    # Of a network gone wrong, that gives no numbers at all.
    is_silent = np.isnan(answers).all(axis=1)
    is_other = (told.argmax(axis=1) != expected.argmax(axis=1)) & ~is_tie | is_silent
    differences = np.where(is_silent[:, np.newaxis], 1.0, np.abs(answers - expected))
    is_right = [rows.argmax(axis=1) == np.asarray(labels) for rows in (expected, told)]
    paired = compare_answers(*is_right)
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
        "only_model": paired["only_first"],
        "only_file": paired["only_second"],
        "p_value": paired["p_value"],
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
