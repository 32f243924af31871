import hashlib
import json

import numpy as np
from PIL import Image

from landmarks_tf.data.photo import load_images
from landmarks_tf.export import vectors


def write(folder):
    def predict(images):
        mean = images.mean()
        return np.array([[mean, 1 - mean]], np.float32)

    vectors.write_vectors(folder, (48, 64), {"a.tflite": predict}, 0.5)
    return json.loads((folder / "vectors.json").read_text())


def test_vectors_are_what_an_app_makes_of_the_photos(tmp_path):
    record = write(tmp_path / "vectors")
    assert (record["image_size"], record["threshold"]) == ([48, 64], 0.5)
    assert len({photo["uint8_sha256"] for photo in record["photos"]}) == 3
    for photo in record["photos"]:
        path = tmp_path / "vectors" / photo["file"]
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "RGB", (64, 48))
            pixels = np.asarray(image)
        assert hashlib.sha256(pixels).hexdigest() == photo["uint8_sha256"]
        # As docs/mobile.md says.
        images = pixels * np.float32(1 / 255)
        assert hashlib.sha256(images).hexdigest() == photo["float32_sha256"]
        assert np.array_equal(images, load_images(path, (48, 64))[0])
        expected = [images.mean(), 1 - images.mean()]
        np.testing.assert_allclose(
            photo["probabilities"]["a.tflite"], expected, atol=1e-6
        )


def test_the_same_model_has_the_same_vectors(tmp_path):
    assert write(tmp_path / "first") == write(tmp_path / "second")
