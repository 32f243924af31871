import numpy as np
import pytest

from landmarks_tf.export import verify
from landmarks_tf.export.verify import Gate

EXPECTED = np.array(
    [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.4, 0.3, 0.3], [0.3004, 0.3, 0.3996]]
)
LABELS = [0, 1, 1, 2]


def compare(answers, expected=EXPECTED):
    return verify.compare(expected, np.array(answers), LABELS)


def test_a_file_that_answers_the_same_passes():
    found = compare(EXPECTED)
    assert found == {
        "num_photos": 4,
        "num_ties": 0,
        "agreement": 1.0,
        "differing": [],
        "farthest": [0, 1, 2],
        "max_difference": 0.0,
        "mean_difference": 0.0,
        "model_top1": 0.75,
        "top1": 0.75,
        "top1_difference": 0.0,
        "only_model": 0,
        "only_file": 0,
        "p_value": 1.0,
    }
    assert verify.find_faults(found, Gate(1.0, 0.0, 0.0)) == []


def test_another_first_answer_is_found_and_named():
    answers = EXPECTED.copy()
    answers[1] = [0.5, 0.4, 0.1]
    found = compare(answers)
    assert (found["agreement"], found["differing"]) == (0.75, [1])
    assert found["farthest"] == [1, 0, 2]
    assert (found["only_model"], found["only_file"]) == (1, 0)
    assert found["max_difference"] == pytest.approx(0.4)
    assert found["mean_difference"] == pytest.approx(0.8 / 12)
    assert verify.find_faults(found, Gate(0.75, 0.41, 0.25)) == []
    assert verify.find_faults(found, Gate(0.99, 0.1, 0.005)) == [
        "1 of 4 first answers differ (0.99 must agree)",
        "probabilities differ by up to 0.4 (at most 0.1)",
        "25.00% fewer are right (at most 0.50%)",
    ]


def test_a_tie_may_fall_either_way(monkeypatch):
    expected, answers = EXPECTED.copy(), EXPECTED.copy()
    expected[2] = [0.4, 0.3995, 0.2005]
    answers[2] = [0.3995, 0.4, 0.2005]
    found = compare(answers, expected)
    assert (found["num_ties"], found["agreement"]) == (1, 1.0)
    assert found["differing"] == []
    monkeypatch.setattr(verify, "TIE_MARGIN", 1e-4)
    assert compare(answers, expected)["differing"] == [2]


def test_what_is_not_told_is_not_compared():
    answers = EXPECTED.copy()
    answers[0, 2] = np.nan
    found = compare(answers)
    assert (found["max_difference"], found["agreement"]) == (0.0, 1.0)
    # But a first answer that is not told is another one.
    answers[1] = [0.1, np.nan, 0.1]
    assert compare(answers)["differing"] == [1]


def test_better_answers_are_no_fault():
    answers = EXPECTED.copy()
    answers[2] = [0.1, 0.8, 0.1]
    found = compare(answers)
    assert found["top1_difference"] == 0.25
    assert verify.find_faults(found, Gate(0.7, 1.0, 0.0)) == []


def test_a_file_that_answers_no_numbers_is_at_fault():
    found = compare(np.full_like(EXPECTED, np.nan))
    assert verify.find_faults(found, Gate())
