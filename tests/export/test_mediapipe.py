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
from landmarks_tf.run import Run

pytestmark = pytest.mark.long
FORMATS = ("float32", "float16", "int8")


@pytest.fixture(scope="module")
def exported(run_dir, colored_dir, tmp_path_factory):
    """A run with all formats, its classifier, and the probabilities of photos.

    They are those of its test, and grey ones, which do not reach its threshold.
    """
    own = tmp_path_factory.mktemp("client") / "run"
    shutil.copytree(run_dir, own)
    # Its probabilities are nearer to 1 than the steps of a byte are to each other.
    model = load_model(Run(own).model_path, num_classes=3)
    divide_logits(model, 8.0)
    model.save(Run(own).model_path)
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
    photos = sorted((colored_dir / "test").glob("*/*.jpg"))
    photos += sorted(outliers.iterdir())
    classifier = load_classifier(own)
    probabilities = classifier.predict(load_images(photos, classifier.image_size))
    return own, classifier, dict(zip(photos, probabilities, strict=True))


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
def test_mediapipe_answers_as_the_model_does_and_nothing_below_the_threshold(
    exported, name
):
    own, classifier, expected = exported
    # Nothing beside the file.
    alone = own.parent / f"{name}.tflite"
    shutil.copy(own / f"model_{name}.tflite", alone)
    # All in one start of MediaPipe.
    answers = ask(alone, expected)
    assert len(answers) == 15 + 20
    for (photo, probabilities), answer in zip(list(expected.items())[:15], answers):
        label, class_name, score = answer[0]
        assert class_name == photo.parent.name == classifier.class_names[label]
        # Its resize is another.
        assert score == pytest.approx(probabilities[label], abs=0.1)
    best = np.max(list(expected.values()), axis=1)
    is_clear = np.abs(best - classifier.threshold) > 0.02
    is_known = best >= classifier.threshold
    assert np.any(is_clear & is_known) and np.any(is_clear & ~is_known)
    is_named = np.array([bool(answer) for answer in answers])
    assert np.array_equal(is_named[is_clear], is_known[is_clear])
