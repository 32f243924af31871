"""The TFLite files in MediaPipe, the client that phones have."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import draw
from conftest import run_script

from landmarks_tf import load_images
from landmarks_tf.inference.classifier import load_classifier
from landmarks_tf.models.surgery import divide_logits
from landmarks_tf.models.surgery import load_model
from landmarks_tf.run import MODEL

pytestmark = pytest.mark.long
FORMATS = ("float32", "float16", "int8")


@pytest.fixture(scope="module")
def exported(run_dir, tmp_path_factory):
    """A run with all formats, and a threshold that grey photos do not reach."""
    own = tmp_path_factory.mktemp("client") / "run"
    shutil.copytree(run_dir, own)
    # Its probabilities are nearer to 1 than the steps of a byte are to each other.
    model = load_model(own / MODEL, num_classes=3)
    divide_logits(model, 8.0)
    model.save(own / MODEL)
    outliers = tmp_path_factory.mktemp("outliers")
    rng = np.random.default_rng(0)
    for index in range(20):
        draw((110, 110, 110), rng).save(outliers / f"grey{index:02}.jpg")
    result = run_script("evaluate", f"--model_dir={own}", f"--outliers_dir={outliers}")
    assert result.returncode == 0, result.stderr
    result = run_script(
        "export", f"--model_dir={own}", f"--formats={','.join(FORMATS)}"
    )
    assert result.returncode == 0, result.stderr
    return own, sorted(outliers.iterdir())


def ask(model, photos):
    result = subprocess.run(
        [sys.executable, Path(__file__).with_name("mediapipe_client.py"), model],
        input="\n".join(map(str, photos)),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("name", FORMATS)
def test_mediapipe_answers_as_the_model_does(exported, colored_dir, name):
    own, _ = exported
    photos = sorted((colored_dir / "test").glob("*/*.jpg"))
    # Nothing beside the file.
    alone = own.parent / f"{name}.tflite"
    shutil.copy(own / f"model_{name}.tflite", alone)
    answers = ask(alone, photos)
    assert len(answers) == 15
    classifier = load_classifier(own)
    expected = classifier.predict(load_images(photos, classifier.image_size))
    for photo, answer, probabilities in zip(photos, answers, expected):
        label, class_name, score = answer[0]
        assert class_name == photo.parent.name == classifier.class_names[label]
        # Its resize is another.
        assert score == pytest.approx(probabilities[label], abs=0.1)


@pytest.mark.parametrize("name", ["float32", "int8"])
def test_mediapipe_names_nothing_below_the_threshold(exported, colored_dir, name):
    own, outliers = exported
    photos = [*outliers, *sorted((colored_dir / "test").glob("*/*.jpg"))]
    classifier = load_classifier(own)
    probabilities = classifier.predict(load_images(photos, classifier.image_size))
    is_clear = np.abs(probabilities.max(axis=1) - classifier.threshold) > 0.02
    is_known = probabilities.max(axis=1) >= classifier.threshold
    assert np.any(is_clear & is_known) and np.any(is_clear & ~is_known)
    answers = ask(own / f"model_{name}.tflite", photos)
    is_named = np.array([bool(answer) for answer in answers])
    assert np.array_equal(is_named[is_clear], is_known[is_clear])
