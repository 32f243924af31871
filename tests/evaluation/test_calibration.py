import numpy as np
import pytest

from landmarks_tf.evaluation import calibration
from landmarks_tf.evaluation.metrics import calibration_error


def draw_answers(temperature, num_images=4000, num_classes=10):
    """Logits of probabilities that come true, made too sure or too unsure."""
    rng = np.random.default_rng(0)
    true = rng.dirichlet(np.full(num_classes, 0.2), num_images)
    labels = [int(rng.choice(num_classes, p=row)) for row in true]
    return temperature * np.log(true + 1e-30), labels


@pytest.mark.parametrize("temperature", [0.3, 1.0, 3.0])
def test_the_temperature_is_found(temperature):
    logits, labels = draw_answers(temperature)
    found = calibration.fit_temperature(logits, labels)
    assert found == pytest.approx(temperature, rel=0.06)
    probabilities = calibration.apply_temperature(logits, 1.0)
    mended = calibration.apply_temperature(logits, found)
    assert calibration_error(mended, labels) < 0.03
    if temperature != 1:
        assert calibration_error(probabilities, labels) > 0.08
    assert np.array_equal(mended.argmax(axis=1), probabilities.argmax(axis=1))


def test_no_other_temperature_has_less_loss():
    logits, labels = draw_answers(2.0, 300)
    found = calibration.fit_temperature(logits, labels)

    def loss(temperature):
        rows = calibration.apply_temperature(logits, temperature)
        own = rows[np.arange(300), labels]
        others = np.log(rows).sum(axis=1) - np.log(own)
        return -np.mean(301 / 302 * np.log(own) + 1 / 302 * others / 9)

    assert loss(found) < min(loss(found * 1.01), loss(found / 1.01))


def test_the_calibrated_loss_is_the_same_however_sure_the_logits_are():
    logits, labels = draw_answers(1.0)
    loss = calibration.calibrated_loss(logits, labels)
    own = calibration.apply_temperature(logits, 1.0)[np.arange(len(labels)), labels]
    assert loss == pytest.approx(-np.mean(np.log(own)), rel=0.02)
    assert calibration.calibrated_loss(5 * logits, labels) == pytest.approx(loss)
    shuffled = np.random.default_rng(1).permutation(labels)
    chance = calibration.calibrated_loss(logits, shuffled)
    assert chance == pytest.approx(np.log(10), rel=0.02)


def test_the_calibrated_loss_of_what_is_quite_wrong_is_finite():
    logits = np.array([[0.0, 1e6], [1e6, 0.0]])
    assert 0 < calibration.calibrated_loss(logits, [0, 1]) < 1000


@pytest.mark.parametrize("num_images", [10, 30, 200])
def test_photos_that_are_all_right_leave_some_doubt(num_images):
    labels = np.arange(num_images) % 3
    logits = 5 * np.eye(3, dtype=np.float32)[labels]
    found = calibration.fit_temperature(logits, labels)
    mended = calibration.apply_temperature(logits, found)
    # As sure as one wrong in so many and two.
    assert mended.max() == pytest.approx((num_images + 1) / (num_images + 2))


def test_very_large_logits_and_a_single_class_are_taken():
    logits = np.array([[3e4, 0.0], [0.0, 3e4]], np.float32)
    many = np.tile(logits, (10, 1))
    assert 0.05 <= calibration.fit_temperature(many, [0] * 20) <= 20
    assert np.isfinite(calibration.apply_temperature(logits, 0.05)).all()
    assert 0.05 <= calibration.fit_temperature(np.ones((20, 1)), [0] * 20) <= 20


def test_a_few_photos_fit_no_temperature():
    logits = 5 * np.eye(3, dtype=np.float32)
    assert calibration.fit_temperature(logits, [0, 1, 1]) == 1


def test_the_threshold_parts_what_can_be_parted():
    known = np.array([0.9, 0.8, 0.7, 0.95])
    unknown = np.array([0.2, 0.5, 0.3])
    threshold = calibration.choose_threshold(known, unknown)
    assert threshold == pytest.approx(0.6)
    assert calibration.evaluate_threshold(known, unknown, threshold) == {
        "known_accepted": 1,
        "unknown_accepted": 0,
        "unknown_accepted_at_95": 0,
        "auroc": 1,
    }


def test_without_other_photos_95_of_100_landmarks_are_accepted():
    rng = np.random.default_rng(0)
    shares = [
        np.mean(rng.random(1000) >= calibration.choose_threshold(rng.random(99), []))
        for _ in range(200)
    ]
    assert 0.95 <= np.mean(shares) < 0.96
    known = np.linspace(0.01, 1, 100)
    threshold = calibration.choose_threshold(known, np.array([]))
    assert calibration.evaluate_threshold(known, np.array([]), threshold) == {
        "known_accepted": 0.96
    }


def test_other_photos_do_not_push_out_more_than_5_of_100_landmarks():
    known, unknown = np.linspace(0.01, 1, 100), np.full(100, 0.5)
    # Apart, the two would be from 0.5 on.
    assert calibration.choose_threshold(known, unknown) == pytest.approx(0.05)
    assert calibration.choose_threshold(known, unknown / 20) == pytest.approx(0.0275)


def test_of_a_few_photos_all_reach_the_threshold():
    known = np.array([0.9, 0.4, 0.95])
    assert calibration.choose_threshold(known, np.array([])) == 0.4
    assert calibration.choose_threshold(known, np.array([0.5])) == 0.4


def test_auroc_by_hand():
    known, unknown = np.array([0.4, 0.6, 0.8]), np.array([0.4, 0.7])
    # Of six pairs 3 are in order and one is a tie.
    record = calibration.evaluate_threshold(known, unknown, 0.5)
    assert record["auroc"] == pytest.approx(3.5 / 6)
    assert record["known_accepted"] == pytest.approx(2 / 3)
    assert record["unknown_accepted"] == pytest.approx(1 / 2)
