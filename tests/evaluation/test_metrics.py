import numpy as np
import pytest

from landmarks_tf.evaluation.metrics import calibration_bins
from landmarks_tf.evaluation.metrics import calibration_error
from landmarks_tf.evaluation.metrics import compare_predictions
from landmarks_tf.evaluation.metrics import confused_pairs
from landmarks_tf.evaluation.metrics import confusion_matrix
from landmarks_tf.evaluation.metrics import evaluate_probabilities
from landmarks_tf.evaluation.metrics import rank_by_confidence
from landmarks_tf.evaluation.metrics import true_class_ranks
from landmarks_tf.evaluation.metrics import wilson_interval
from landmarks_tf.records import ClassMetrics

NAMES = ("a", "b", "c", "d", "e", "f")


def test_metrics_of_a_small_case_by_hand():
    probabilities = np.array(
        [
            [0.7, 0.1, 0.1, 0.05, 0.03, 0.02],  # right
            [0.4, 0.3, 0.2, 0.05, 0.03, 0.02],  # third
            [0.4, 0.3, 0.1, 0.1, 0.07, 0.03],  # fifth
            [0.4, 0.3, 0.1, 0.1, 0.07, 0.03],  # sixth
        ]
    )
    metrics = evaluate_probabilities(probabilities, [0, 2, 4, 5], NAMES)
    assert metrics.num_images == 4
    assert (metrics.top1, metrics.top3, metrics.top5) == (0.25, 0.5, 0.75)
    loss = -np.log([0.7, 0.2, 0.07, 0.03]).mean()
    assert metrics.loss == pytest.approx(loss)
    assert metrics.per_class["a"] == ClassMetrics(1, 1.0)
    assert metrics.per_class["b"] == ClassMetrics(0, None)


def test_equal_probabilities_are_not_right_everywhere():
    uniform = np.full((6, 6), 1 / 6)
    metrics = evaluate_probabilities(uniform, range(6), NAMES)
    assert metrics.top1 == pytest.approx(1 / 6)
    assert metrics.top3 == pytest.approx(3 / 6)


def test_rank_agrees_with_argmax():
    rng = np.random.default_rng(0)
    probabilities = rng.integers(0, 4, (200, 6)) / 4
    labels = rng.integers(0, 6, 200)
    ranks = true_class_ranks(probabilities, labels)
    assert np.array_equal(ranks == 0, probabilities.argmax(axis=1) == labels)


def test_the_most_frequent_mistakes_come_first():
    answers = np.eye(3)[[1, 2, 2, 2, 0, 1]]
    pairs = confused_pairs(answers, [0, 0, 0, 1, 2, 1])
    assert pairs == [(0, 2, 2), (0, 1, 1), (1, 2, 1), (2, 0, 1)]


def test_confusion_has_true_classes_in_rows():
    answers = np.eye(3)[[0, 2, 2, 1]]
    matrix = confusion_matrix(answers, [0, 1, 1, 1])
    assert matrix.tolist() == [[1, 0, 0], [0, 1, 2], [0, 0, 0]]


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_gives_published_values(successes, trials, low, high):
    interval = wilson_interval(successes, trials)
    assert interval == pytest.approx((low, high), abs=5e-5)


def test_description_is_one_line_with_the_interval():
    metrics = evaluate_probabilities(np.eye(6), range(6), NAMES)
    assert str(metrics) == (
        "top-1 100.0% (95 % interval 61.0% to 100.0%), top-3 100.0%, top-5 100.0%, "
        "loss 0.000, 6 photos"
    )


@pytest.mark.parametrize(
    ("only_first", "only_second", "p_value"),
    [
        # 2 * (1 + 10) / 2 ** 10, and so on: binomial tails by hand.
        (1, 9, 22 / 1024),
        (9, 1, 22 / 1024),
        (0, 5, 2 / 32),
        (3, 3, 1.0),
        (0, 0, 1.0),
    ],
)
def test_mcnemar_is_exact(only_first, only_second, p_value):
    first = np.array([True] * only_first + [False] * only_second + [True, False] * 4)
    second = np.array([False] * only_first + [True] * only_second + [True, False] * 4)
    result = compare_predictions(first, second)
    num_images = only_first + only_second + 8
    assert (result.num_images, result.only_first) == (num_images, only_first)
    assert result.only_second == only_second
    assert result.p_value == pytest.approx(p_value)


def test_calibration_error_by_hand():
    # Nine in ten sure and one of two right; five in ten sure and right.
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.5, 0.5], [0.5, 0.5]])
    error = calibration_error(probabilities, [0, 1, 0, 0])
    assert error == pytest.approx((2 * 0.4 + 2 * 0.5) / 4)
    assert calibration_error(np.eye(2), [0, 1]) == 0


def test_calibration_bins_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.88, 0.12], [0.5, 0.5], [1.0, 0.0]])
    counts, confidences, accuracies = calibration_bins(probabilities, [0, 1, 0, 0])
    expected = np.zeros(15, int)
    expected[[7, 13, 14]] = 1, 2, 1
    assert counts.tolist() == expected.tolist()
    assert confidences[[7, 13, 14]] == pytest.approx([0.5, 0.89, 1.0])
    assert accuracies[[7, 13, 14]] == pytest.approx([1.0, 0.5, 1.0])
    assert not confidences[counts == 0].any() and not accuracies[counts == 0].any()


def test_photos_are_ranked_by_how_sure_their_answers_are():
    probabilities = np.array(
        [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7], [0.2, 0.8], [0.5, 0.5]]
    )
    mistakes, right = rank_by_confidence(probabilities, [0, 0, 0, 1, 0, 1])
    assert mistakes.tolist() == [2, 4, 5]
    assert right.tolist() == [1, 3, 0]
