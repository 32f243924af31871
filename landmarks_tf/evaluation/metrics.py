"""Numbers that say how good probabilities are. NumPy only; pictures are in `plots`."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from landmarks_tf import records

# The 97.5 % quantile of the normal distribution: a 95 % interval.
_Z = 1.959964
# As in keras.losses.SparseCategoricalCrossentropy.
_EPSILON = 1e-7
# Bins of confidences in the calibration error.
_NUM_BINS = 15


def evaluate_probabilities(
    probabilities: np.ndarray, labels: Sequence[int], class_names: Sequence[str]
) -> records.Metrics:
    """Returns the metrics of a set of photos.

    Args:
        probabilities: float `[num_images, num_classes]`, rows sum to 1.
        labels: integers `[num_images]`, at least one.
        class_names: `[num_classes]`.
    """
    ranks = true_class_ranks(probabilities, labels)
    likelihoods = probabilities[np.arange(len(labels)), labels]
    is_right = ranks == 0
    return records.Metrics(
        num_images=len(labels),
        top1=float(np.mean(is_right)),
        top1_interval=wilson_interval(int(np.sum(is_right)), len(labels)),
        top3=float(np.mean(ranks < 3)),
        top5=float(np.mean(ranks < 5)),
        loss=float(np.mean(-np.log(np.clip(likelihoods, _EPSILON, 1)) + 0.0)),
        calibration_error=calibration_error(probabilities, labels),
        per_class=_per_class(is_right, np.asarray(labels), class_names),
    )


def calibration_error(probabilities: np.ndarray, labels: Sequence[int]) -> float:
    """Returns how far answers are from being right as often as they say.

    Expected calibration error in 15 bins of equal width (Guo et al., On Calibration of
    Modern Neural Networks, 2017).

    Args:
        probabilities: float `[num_images, num_classes]`, rows sum to 1.
        labels: integers `[num_images]`, at least one.

    Returns:
        in [0, 1]: the difference of mean confidence and accuracy in a bin, averaged
        over the photos.
    """
    counts, confidences, accuracies = calibration_bins(probabilities, labels)
    return float(np.sum(counts * np.abs(confidences - accuracies)) / len(labels))


def calibration_bins(
    probabilities: np.ndarray, labels: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns how often answers are right by how sure they are.

    Args:
        probabilities: float `[num_images, num_classes]`, rows sum to 1.
        labels: integers `[num_images]`.

    Returns:
        for 15 bins of equal width of the largest probability, the least sure first:
        how many photos, int; their mean confidence and their accuracy, float in
        [0, 1], both 0 where there is no photo.
    """
    confidences = probabilities.max(axis=1)
    is_right = true_class_ranks(probabilities, labels) == 0
    bins = np.minimum((confidences * _NUM_BINS).astype(int), _NUM_BINS - 1)
    counts, *sums = (
        np.bincount(bins, weights=weights, minlength=_NUM_BINS)
        for weights in (None, confidences, is_right)
    )
    mean_confidences, accuracies = (total / np.maximum(counts, 1) for total in sums)
    return counts, mean_confidences, accuracies


def true_class_ranks(probabilities: np.ndarray, labels: Sequence[int]) -> np.ndarray:
    """Returns how many classes stand before each photo's own, int `[num_images]`.

    The first of equal probabilities counts as the larger, as in `argmax`: a network
    that gives all classes the same is not right everywhere.
    """
    order = np.argsort(-probabilities, axis=-1, kind="stable")
    return np.argmax(order == np.asarray(labels)[:, np.newaxis], axis=-1)


def confusion_matrix(probabilities: np.ndarray, labels: Sequence[int]) -> np.ndarray:
    """Returns int `[num_classes, num_classes]`: rows true, columns answered."""
    num_classes = probabilities.shape[-1]
    answers = np.argmax(probabilities, axis=-1)
    matrix = np.zeros((num_classes, num_classes), int)
    np.add.at(matrix, (np.asarray(labels), answers), 1)
    return matrix


def confused_pairs(
    probabilities: np.ndarray, labels: Sequence[int]
) -> list[tuple[int, int, int]]:
    """Returns true label, predicted label and number of photos of each kind of mistake.

    The most frequent come first. Needs no matrix, so there may be very many classes.
    """
    predicted = np.argmax(probabilities, axis=-1).tolist()
    mistakes = [pair for pair in zip(labels, predicted) if pair[0] != pair[1]]
    counts = Counter(sorted(mistakes)).most_common()
    return [(true, wrong, count) for (true, wrong), count in counts]


def rank_by_confidence(
    probabilities: np.ndarray, labels: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the photos answered wrong, and those answered right.

    Returns:
        indices of photos, int: the mistakes, the most confident first, and the right
        answers, the least confident first.
    """
    confidences = probabilities.max(axis=1)
    is_right = true_class_ranks(probabilities, labels) == 0
    order = np.argsort(confidences, kind="stable")
    most_confident = np.argsort(-confidences, kind="stable")
    return most_confident[~is_right[most_confident]], order[is_right[order]]


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Returns the 95 % score interval of a fraction, within [0, 1].

    Wilson, Journal of the American Statistical Association 22 (1927), 209-212.
    """
    fraction = successes / trials
    scale = 1 + _Z**2 / trials
    center = (fraction + _Z**2 / (2 * trials)) / scale
    spread = fraction * (1 - fraction) / trials + _Z**2 / (4 * trials**2)
    half = _Z * math.sqrt(spread) / scale
    return max(0.0, center - half), min(1.0, center + half)


@dataclass(frozen=True)
class McNemar:
    """How two networks differ on the same photos.

    Attributes:
        num_images: photos.
        only_first: those that the first network alone predicts right.
        only_second: those that the second alone does.
        p_value: two-sided, in [0, 1].
    """

    num_images: int
    only_first: int
    only_second: int
    p_value: float


def compare_predictions(first: np.ndarray, second: np.ndarray) -> McNemar:
    """Returns whether two networks differ by more than chance on the same photos.

    McNemar's test in its exact form (Psychometrika 12 (1947), 153-157): were the two
    equally good, then of the photos that just one of them knows each would have half
    of them on average.

    Args:
        first: bool `[num_images]`, where the first answer of one network is right.
        second: of the other.
    """
    only_first = int(np.sum(first & ~second))
    only_second = int(np.sum(second & ~first))
    trials = only_first + only_second
    few = range(min(only_first, only_second) + 1)
    tail = sum(math.comb(trials, count) for count in few) / 2**trials
    return McNemar(len(first), only_first, only_second, min(1.0, 2 * tail))


def _per_class(
    is_right: np.ndarray, labels: np.ndarray, class_names: Sequence[str]
) -> dict[str, records.ClassMetrics]:
    rows = {}
    for label, name in enumerate(class_names):
        own = is_right[labels == label]
        accuracy = float(np.mean(own)) if len(own) else None
        rows[name] = records.ClassMetrics(len(own), accuracy)
    return rows
