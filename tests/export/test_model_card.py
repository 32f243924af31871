import html
import json

import pytest

from landmarks_tf.config import ExportConfig
from landmarks_tf.export import model_card
from landmarks_tf.records import Calibration
from landmarks_tf.records import CalibrationErrors
from landmarks_tf.records import ClassMetrics
from landmarks_tf.records import Metrics
from landmarks_tf.records import Threshold
from landmarks_tf.run import Run


@pytest.fixture
def run(tmp_path):
    path = tmp_path / "petra"
    path.mkdir()
    (path / "labels.txt").write_text("a\nb\n")
    record = {
        "data_dir": "photos",
        "train": {"a/1.jpg": "0", "b/2.jpg": "1"},
        "validation": {"a/3.jpg": "2"},
        "test": {"a/4.jpg": "3"},
        "skipped": {},
    }
    (path / "split.json").write_text(json.dumps(record))
    return Run(path)


def build(run, milliseconds=None):
    config = ExportConfig(author="A. Founder", licence="MIT")
    return model_card.build_card(run, config, milliseconds or {})


def make_metrics(top1, per_class):
    interval = (top1 - 0.1, top1 + 0.05)
    return Metrics(4, top1, interval, 1.0, 1.0, 0.1, 0.01, per_class)


def test_what_is_not_known_is_said_to_be(run):
    card = build(run)
    assert card.startswith("# petra\n\nNames which of 2 landmarks a photo shows.")
    assert "author: A. Founder; licence: MIT" in card
    assert "2 photos to train on" in card
    assert "Its accuracy on test photos was not measured." in card
    assert "Python unknown, TensorFlow unknown" in card
    assert "Whether the probabilities come true was not measured." in card
    assert "There is no threshold: every photo gets a landmark." in card
    assert "photos of other things was not measured" in card
    assert "{" not in card


def test_figures_are_filled_in_and_a_refused_file_is_named(run):
    run.write_metrics(
        test=make_metrics(
            0.9, {"a": ClassMetrics(4, 0.75), "b": ClassMetrics(0, None)}
        ),
        calibration=Calibration(0.5, test=CalibrationErrors(0.2, 0.01)),
        threshold=Threshold(
            0.4, known_accepted=0.95, unknown_accepted=0.05, outliers=150
        ),
    )
    found = {"num_photos": 9, "top1": 0.8, "max_difference": 0.002}
    record = {"faults": [], "agreement": 1.0, "entrances": {"image": found}}
    (run.path / "model_float32.tflite").write_bytes(bytes(2_500_000))
    run.write_parity(float32=record, int8=record | {"faults": ["far", "away"]})
    card = build(run, {"float32": 12.34})
    assert "90.0% (95 % interval 80.0% to\n95.0%)" in card
    assert "Least often right: a (75% of 4)." in card
    assert "by a temperature of 0.50: their calibration error on the" in card
    assert 'Below a probability of 40.0% the answer is "no known landmark"' in card
    assert "So do 5.0% of 150 photos of other things" in card
    assert "| `model_float32.tflite` | 2.5 | 12.3 | 100.0% | 80.0% | 0.002 |" in card
    assert "| `model_int8.tflite` not written: far; away |" in card
    assert "on 9 validation photos" in card


def test_names_are_text_in_the_card(run):
    name = "<img src=x onerror=alert(1)>|[Mary's](javascript:x)*b*"
    run.write_metrics(test=make_metrics(0.5, {name: ClassMetrics(4, 0.5)}))
    fault = {"faults": [f"differs: {name}"], "agreement": 0.0, "entrances": {}}
    run.write_parity(float16=fault)
    card = model_card.build_card(run, ExportConfig(author=name, licence=name), {})
    assert html.unescape(card).count(name) == 4
    assert not set("<>[]*") & set(card)
    row = next(line for line in card.splitlines() if "float16" in line)
    assert row.count("|") == 6
