"""Which of several attempts at a file is taken. The rest is in test_train."""

from pathlib import Path

import numpy as np
import pytest

from landmarks_tf.data.photo_set import Photo
from landmarks_tf.data.photo_set import PhotoSet
from landmarks_tf.export import verify

EXPECTED = np.tile([0.6, 0.4], (200, 1))
ASKED = PhotoSet(
    Path("photos"),
    ("a", "b"),
    {"validation": tuple(Photo(f"a/{i}.jpg", 0) for i in range(200)), "train": ()},
)


def attempt(monkeypatch, tmp_path, numbers_wrong):
    """Makes files of which so many first answers are others, one after the other."""
    made = []
    path = tmp_path / "model.tflite"

    def write_attempts():
        for number in numbers_wrong:
            path.write_text(str(number))
            made.append(number)
            yield f"{number} wrong"

    def predict(file_format, path, photos):
        rows = EXPECTED.copy()
        rows[: int(path.read_text())] = [0.4, 0.6]
        return {"image": rows}

    monkeypatch.setattr(verify, "_predict_by_entrance", predict)
    record = verify.write_best(write_attempts(), "int8", path, ASKED, EXPECTED)
    return record, path.read_text(), made


def test_the_next_remedy_is_tried_where_the_gate_fails(monkeypatch, tmp_path):
    record, contents, made = attempt(monkeypatch, tmp_path, [9, 0, 7])
    assert (record["faults"], record["made_with"], contents) == ([], "0 wrong", "0")
    assert made == [9, 0]


def test_the_best_is_taken_whatever_came_after_it(monkeypatch, tmp_path):
    record, contents, made = attempt(monkeypatch, tmp_path, [9, 1, 7, 1])
    assert (record["faults"], record["made_with"], contents) == ([], "1 wrong", "1")
    assert record["agreement"] == pytest.approx(199 / 200)
    assert made == [9, 1, 7, 1]


def test_of_equal_agreement_the_nearer_probabilities_are_taken():
    def record(difference):
        entrances = {"image": {"mean_difference": difference}}
        return {"faults": [], "agreement": 0.99, "entrances": entrances}

    assert verify.rank(record(0.1)) > verify.rank(record(0.2))
    worse = record(0.1) | {"agreement": 0.98}
    assert verify.rank(record(0.2)) > verify.rank(worse)


def test_where_all_fail_the_best_is_reported(monkeypatch, tmp_path):
    record, _, _ = attempt(monkeypatch, tmp_path, [9, 4, 7])
    assert record["made_with"] == "4 wrong"
    assert len(record["faults"]) == 2
    assert record["entrances"]["image"]["differing"][:2] == ["a/0.jpg", "a/1.jpg"]
