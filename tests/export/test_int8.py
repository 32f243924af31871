import keras
import numpy as np
import pytest

from landmarks_tf.data.photo import load_images
from landmarks_tf.export import int8
from landmarks_tf.inference.classifier import load_classifier
from landmarks_tf.models.scratch import build_scratch_model

SIZE = 64


@pytest.fixture(scope="module")
def attempts(colored_dir, tmp_path_factory):
    keras.utils.set_random_seed(0)
    model = build_scratch_model("small", (SIZE, SIZE), 3)
    photos = sorted((colored_dir / "train").glob("*/*.jpg"))
    folder = tmp_path_factory.mktemp("int8")
    (folder / "labels.txt").write_text("a\nb\nc\n")
    made = {}
    for number, (how, contents) in enumerate(int8.quantize(model, photos)):
        path = folder / f"{number}.tflite"
        path.write_bytes(contents)
        made[how] = load_classifier(path)
    return model, photos, made


def test_each_attempt_has_a_remedy_more(attempts):
    hows = list(attempts[2])
    # 36 photos are less than the 200 and 500 that are asked for.
    assert hows[0] == "36 calibration photos"
    # 6 are more than a quarter of this network's layers.
    assert len(hows) == 2
    assert hows[1].startswith("36 calibration photos, 3 layers in float32: ")


def test_layers_in_float32_bring_the_answers_nearer(attempts):
    model, photos, made = attempts
    images = load_images(photos[::3], SIZE)
    expected = model.predict(images, verbose=0)
    errors = [
        np.abs(classifier.predict(images) - expected).mean()
        for classifier in made.values()
    ]
    assert errors[-1] < errors[0] < 0.02
