import numpy as np
import pytest

from landmarks_tf.data.photo import load_images
from landmarks_tf.export.verify import ServedModel
from landmarks_tf.inference.classifier import load_classifier


@pytest.fixture(scope="module")
def served(run_dir):
    names = (run_dir / "labels.txt").read_text().splitlines()
    return ServedModel(run_dir / "saved_model", names)


@pytest.fixture(scope="module")
def files(colored_dir):
    # More than a batch, and no multiple of it.
    return [str(path) for path in sorted((colored_dir / "test").glob("*/*.jpg"))]


def test_both_entrances_answer_as_the_model_does(served, files, run_dir):
    classifier = load_classifier(run_dir)
    expected = classifier.predict(load_images(files, classifier.image_size))
    np.testing.assert_allclose(served.predict_bytes(files), expected, atol=1e-5)
    np.testing.assert_allclose(served.predict_images(files), expected, atol=1e-5)


def test_what_the_server_does_not_name_is_not_a_number(run_dir, files):
    names = (run_dir / "labels.txt").read_text().splitlines()
    answers = ServedModel(run_dir / "saved_model", [*names, "more"]).predict_bytes(
        files
    )
    assert np.isnan(answers[:, 3]).all() and not np.isnan(answers[:, :3]).any()
