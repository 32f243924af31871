import re
import sys

import keras
import numpy as np
import pytest

from landmarks_tf.errors import InvalidInput
from landmarks_tf.models import backbones


def test_weights_of_the_backbone_are_loaded_from_a_path(tmp_path):
    path = tmp_path / "mine.weights.h5"
    body = backbones.load_backbone("MobileNetV2", "none", (32, 32))
    body.save_weights(path)
    loaded = backbones.load_backbone("MobileNetV2", str(path), (48, 48))
    for old, new in zip(body.weights, loaded.weights):
        np.testing.assert_array_equal(old, new)


def test_weights_of_another_architecture_are_refused(tmp_path):
    path = tmp_path / "mine.weights.h5"
    backbones.load_backbone("MobileNetV2", "none", (32, 32)).save_weights(path)
    message = re.escape(f"{path} does not hold the weights of EfficientNetB0")
    with pytest.raises(InvalidInput, match=message):
        backbones.load_backbone("EfficientNetB0", str(path), (32, 32))


@pytest.mark.parametrize("contents", [b"", b"no weights"])
def test_a_file_that_holds_no_weights_is_refused(tmp_path, contents):
    path = tmp_path / "mine.weights.h5"
    path.write_bytes(contents)
    with pytest.raises(InvalidInput, match="does not hold the weights of MobileNetV2"):
        backbones.load_backbone("MobileNetV2", str(path), (32, 32))


def test_missing_weights_are_refused():
    message = re.escape("Received: backbone_weights=nowhere.h5")
    with pytest.raises(InvalidInput, match=f"^`backbone_weights` must be .*{message}$"):
        backbones.load_backbone("MobileNetV2", "nowhere.h5", (32, 32))


def test_a_failed_download_names_the_file_to_fetch(monkeypatch):
    def fail(name, url, **options):
        raise Exception(f"URL fetch failure on {url}: 404 -- Not Found")

    monkeypatch.setattr(weights_of("MobileNetV2"), "get_file", fail)
    message = r"--backbone_weights: https://\S+/mobilenet_v2\S+_no_top.h5$"
    with pytest.raises(InvalidInput, match=message):
        backbones.load_backbone("MobileNetV2", "imagenet", (224, 224))


def weights_of(backbone):
    """The module through which a backbone fetches its weights."""
    constructor = getattr(keras.applications, backbone)
    return sys.modules[constructor.__module__].file_utils


def normalization(model):
    kind = keras.layers.Normalization
    return next(layer for layer in model.layers if isinstance(layer, kind))


@pytest.mark.parametrize("source", ["path", "download"])
def test_published_efficientnet_weights_see_the_scale_they_were_trained_at(
    tmp_path, monkeypatch, source
):
    # As published, the normalisation holds deviations where variances belong.
    stddev = np.array([0.229, 0.224, 0.225], np.float32)
    mean = np.array([0.485, 0.456, 0.406], np.float32)
    body = backbones.load_backbone("EfficientNetB0", "none", (32, 32))
    normalization(body).set_weights([mean, stddev, np.zeros(())])
    path = tmp_path / "published.weights.h5"
    body.save_weights(path)
    monkeypatch.setattr(
        weights_of("EfficientNetB0"), "get_file", lambda *args, **options: path
    )
    weights = str(path) if source == "path" else "imagenet"
    loaded = backbones.load_backbone("EfficientNetB0", weights, (32, 32))
    # The same layers whatever the source: a rebuilt model takes their weights.
    assert len(loaded.layers) == len(body.layers)
    stem = next(x for x in loaded.layers if isinstance(x, keras.layers.ZeroPadding2D))
    normalized = keras.Model(loaded.input, stem.input)
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype("float32")
    expected = (pixels / 255 - mean) / stddev
    received = normalized.predict(pixels, verbose=0)
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-4)
