"""How sure a network may be, and when it should say that it knows nothing.

NumPy only. What is chosen here, is chosen on validation photos.
"""

from collections.abc import Sequence

import numpy as np

# A temperature outside means that validation says nothing of it.
_TEMPERATURES = (0.05, 20.0)
_NUM_HALVINGS = 50
_MIN_PHOTOS = 10
# Share of known landmarks that is accepted where no other photos help to choose.
_ACCEPTED_SHARE = 0.95


def fit_temperature(logits: np.ndarray, labels: Sequence[int]) -> float:
    """Returns by what to divide the logits for probabilities that come true.

    The temperature of least cross-entropy (Guo et al., On Calibration of Modern Neural
    Networks, 2017). As if one photo more were right and one wrong, without which no
    probability would be too sure for photos that are all right (Platt, Probabilistic
    Outputs for Support Vector Machines, 1999).

    Args:
        logits: float `[num_images, num_classes]`, of which a softmax makes
            probabilities.
        labels: integers `[num_images]`, at least one.

    Returns:
        in 0.05..20; above 1 where the network is too sure. 1 if there are less than 10
        photos, of which one that is wrong would decide.
    """
    num_images, num_classes = logits.shape
    if num_images < _MIN_PHOTOS:
        return 1.0
    doubt = 1 / (num_images + 2)
    own = logits[np.arange(num_images), labels]
    others = (logits.sum(axis=1) - own) / max(num_classes - 1, 1)
    wanted = np.mean((1 - doubt) * own + doubt * others)
    # The slope of the cross-entropy along 1 / temperature grows: halve, where it is 0.
    low, high = np.log(_TEMPERATURES)
    for _ in range(_NUM_HALVINGS):
        middle = (low + high) / 2
        probabilities = apply_temperature(logits, np.exp(middle))
        if np.mean(np.sum(probabilities * logits, axis=1)) < wanted:
            high = middle  # too little weight on what is right: colder
        else:
            low = middle
    return float(np.exp((low + high) / 2))


def apply_temperature(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Returns the probabilities that come of logits divided by a temperature.

    Args:
        logits: float `[num_images, num_classes]`.
        temperature: greater than 0.

    Returns:
        float64, likewise; rows sum to 1.
    """
    scaled = (logits - logits.max(axis=1, keepdims=True)) / np.float64(temperature)
    powers = np.exp(scaled)
    return powers / powers.sum(axis=1, keepdims=True)


def calibrated_loss(logits: np.ndarray, labels: Sequence[int]) -> float:
    """Returns the mean cross-entropy, in nats, at the temperature that fits.

    Args:
        logits: see `fit_temperature`.
        labels: likewise.
    """
    probabilities = apply_temperature(logits, fit_temperature(logits, labels))
    own = probabilities[np.arange(len(labels)), labels]
    return float(-np.mean(np.log(np.maximum(own, np.finfo(float).tiny))))


def choose_threshold(known: np.ndarray, unknown: np.ndarray) -> float:
    """Returns the largest probability below which a photo shows no known landmark.

    Where the shares of known landmarks and of others that reach it lie farthest apart
    (Youden, Index for rating diagnostic tests, 1950); but, and so without others, not
    higher than a photo of a known landmark reaches with 95 % (a conformal quantile:
    Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005). Less than
    19 photos are too few to say so: what all of them reach, n of n + 1 do on average.

    Args:
        known: the largest probability of each photo of a known landmark, at least one.
        unknown: of each photo of anything else; may be empty.
    """
    # The last of n + 1 photos in random order is as often lowest as any other.
    num_below = max(int((len(known) + 1) * (1 - _ACCEPTED_SHARE) + 1e-9), 1)
    highest = np.sort(known)[num_below - 1]
    if not len(unknown):
        return float(highest)
    scores = np.unique(np.concatenate([known, unknown]))
    gains = [np.mean(known >= score) - np.mean(unknown >= score) for score in scores]
    best = int(np.argmax(gains))
    # Half-way to the next lower score: both sides keep their distance.
    return float(min((scores[max(best - 1, 0)] + scores[best]) / 2, highest))


def evaluate_threshold(
    known: np.ndarray, unknown: np.ndarray, threshold: float
) -> dict[str, float]:
    """Returns how well known landmarks are told from other photos.

    Args:
        known: see `choose_threshold`; photos that it was not chosen on.
        unknown: likewise.
        threshold: of `choose_threshold`.

    Returns:
        `known_accepted`, the share that reaches the threshold; and, if there are
        unknown photos, `unknown_accepted`, likewise; `unknown_accepted_at_95`, the
        share that reaches what 95 % of the known do; `auroc`, how often a known
        landmark has more than something else, ties half.
    """
    accepted = {"known_accepted": float(np.mean(known >= threshold))}
    if not len(unknown):
        return accepted
    ordered = np.sort(unknown)
    below = np.searchsorted(ordered, known, "left")
    not_above = np.searchsorted(ordered, known, "right")
    strict = np.quantile(known, 1 - _ACCEPTED_SHARE)
    return accepted | {
        "unknown_accepted": float(np.mean(unknown >= threshold)),
        "unknown_accepted_at_95": float(np.mean(unknown >= strict)),
        "auroc": float(np.mean(below + not_above) / 2 / len(unknown)),
    }
