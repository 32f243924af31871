import html
import json

import pytest

from landmarks_tf import run_folder
from landmarks_tf.export import model_card


@pytest.fixture
def run(tmp_path):
    (tmp_path / "labels.txt").write_text("a\nb\n")
    record = {
        "data_dir": "photos",
        "train": {"a/1.jpg": "0", "b/2.jpg": "1"},
        "validation": {"a/3.jpg": "2"},
        "test": {"a/4.jpg": "3"},
        "skipped": {},
    }
    (tmp_path / "split.json").write_text(json.dumps(record))
    return tmp_path


def build(run, milliseconds=None):
    return model_card.build_card(
        run, "petra", milliseconds or {}, 20, "A. Founder", "MIT"
    )


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
    run_folder.write_metrics(
        run,
        test={
            "top1": 0.9,
            "top1_interval": [0.8, 0.95],
            "top5": 1.0,
            "per_class": {
                "a": {"num_images": 4, "accuracy": 0.75},
                "b": {"num_images": 0, "accuracy": None},
            },
        },
        calibration={
            "temperature": 0.5,
            "test": {"error_before": 0.2, "error_after": 0.01},
        },
        threshold={
            "value": 0.4,
            "known_accepted": 0.95,
            "unknown_accepted": 0.05,
            "outliers": 150,
        },
    )
    found = {"num_photos": 9, "top1": 0.8, "max_difference": 0.002}
    record = {"faults": [], "agreement": 1.0, "entrances": {"image": found}}
    (run / "model_float32.tflite").write_bytes(bytes(2_500_000))
    run_folder.write_parity(
        run, float32=record, int8=record | {"faults": ["far", "away"]}
    )
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
    run_folder.write_metrics(
        run,
        test={
            "top1": 0.5,
            "top1_interval": [0.4, 0.6],
            "top5": 0.5,
            "per_class": {name: {"num_images": 4, "accuracy": 0.5}},
        },
    )
    fault = {"faults": [f"differs: {name}"], "agreement": 0.0, "entrances": {}}
    run_folder.write_parity(run, float16=fault)
    card = model_card.build_card(run, "<run>", {}, 20, name, name)
    assert html.unescape(card).count(name) == 4
    assert not set("<>[]*") & set(card)
    row = next(line for line in card.splitlines() if "float16" in line)
    assert row.count("|") == 6
