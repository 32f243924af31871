import re
import sys

import keras
import numpy as np
import pytest

from landmarks_tf.errors import InvalidInput
from landmarks_tf.models.presets import BACKBONES
from landmarks_tf.models.transfer import build_feature_extractor
from landmarks_tf.models.transfer import build_head
from landmarks_tf.models.transfer import build_transfer_model
from landmarks_tf.models.transfer import join_head
from landmarks_tf.models.transfer import load_backbone

# Backbone -> parameters of the transfer model with 50 classes.
TRANSFER_PARAMETERS = {
    "ConvNeXtTiny": 27_858_578,
    "DenseNet121": 7_088_754,
    "EfficientNetB0": 4_113_621,
    "EfficientNetB1": 6_639_289,
    "EfficientNetB2": 7_839_019,
    "EfficientNetB3": 10_860_385,
    "EfficientNetB4": 17_763_473,
    "EfficientNetV2B0": 5_983_362,
    "EfficientNetV2B1": 6_995_174,
    "EfficientNetV2B2": 8_839_824,
    "EfficientNetV2B3": 13_007_472,
    "EfficientNetV2S": 20_395_410,
    "InceptionV3": 21_905_234,
    "MobileNetV2": 2_322_034,
    "MobileNetV3Large": 3_044_402,
    "MobileNetV3Small": 967_970,
    "NASNetMobile": 4_322_566,
    "ResNet50": 23_690_162,
    "ResNet50V2": 23_667_250,
    "VGG16": 14_740_338,
    "Xception": 20_963_930,
}


def test_every_backbone_is_in_the_table():
    assert set(TRANSFER_PARAMETERS) == set(BACKBONES)


def preprocess_input(backbone, pixels):
    """What the backbone's own module makes of float pixels in 0..255."""
    module = {"ResNet50": "resnet50", "VGG16": "vgg16"}.get(backbone)
    if module:
        return getattr(keras.applications, module).preprocess_input(pixels)
    constructor = getattr(keras.applications, backbone)
    return sys.modules[constructor.__module__].preprocess_input(pixels)


# One of each kind; the others take a minute together.
QUICK = ("MobileNetV2", "ResNet50", "EfficientNetB0")


@pytest.mark.parametrize(
    "backbone",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.long)
        for name in BACKBONES
    ],
)
def test_backbone_receives_what_its_own_preprocessing_would_give(backbone):
    model = build_transfer_model(backbone, "none", (96, 96), 50)
    assert model.count_params() == TRANSFER_PARAMETERS[backbone]
    assert len(model.trainable_weights) == 2
    (index,) = (i for i, x in enumerate(model.layers) if isinstance(x, keras.Model))
    before_backbone = keras.Model(model.input, model.layers[index - 1].output)
    images = np.random.default_rng(0).random((2, 96, 96, 3), np.float32)
    expected = preprocess_input(backbone, images * 255)
    received = before_backbone.predict(images, verbose=0)
    np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-5)


def test_frozen_backbone_is_in_inference_mode():
    model = build_transfer_model("MobileNetV2", "none", (32, 32), 3)
    images = np.random.default_rng(0).random((4, 32, 32, 3), np.float32)
    before = [w.numpy() for w in model.non_trainable_weights]
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(images, np.array([0, 1, 2, 0]), verbose=0)
    for old, new in zip(before, model.non_trainable_weights):
        np.testing.assert_array_equal(old, new)


def test_a_head_on_its_features_answers_as_the_whole_model():
    extractor = build_feature_extractor("MobileNetV2", "none", (32, 32))
    head = build_head(extractor.output_shape[-1], 5)
    model = join_head(extractor, head)
    images = np.random.default_rng(0).random((3, 32, 32, 3), np.float32)
    features = extractor.predict(images, verbose=0)
    assert features.shape == (3, 1280)
    np.testing.assert_allclose(
        head.predict(features, verbose=0), model.predict(images, verbose=0), rtol=1e-5
    )


@pytest.mark.parametrize("weights", ["none", "imagenet"])
def test_images_too_small_for_the_backbone_are_refused(weights):
    with pytest.raises(InvalidInput, match=r"Received: image_size=\(32, 32\)"):
        build_transfer_model("InceptionV3", weights, (32, 32), 3)


def test_weights_of_the_backbone_are_loaded_from_a_path(tmp_path):
    path = tmp_path / "mine.weights.h5"
    body = load_backbone("MobileNetV2", "none", (32, 32))
    body.save_weights(path)
    loaded = load_backbone("MobileNetV2", str(path), (48, 48))
    for old, new in zip(body.weights, loaded.weights):
        np.testing.assert_array_equal(old, new)


def test_weights_of_another_architecture_are_refused(tmp_path):
    path = tmp_path / "mine.weights.h5"
    load_backbone("MobileNetV2", "none", (32, 32)).save_weights(path)
    message = re.escape(f"{path} does not hold the weights of EfficientNetB0")
    with pytest.raises(InvalidInput, match=message):
        load_backbone("EfficientNetB0", str(path), (32, 32))


@pytest.mark.parametrize("contents", [b"", b"no weights"])
def test_a_file_that_holds_no_weights_is_refused(tmp_path, contents):
    path = tmp_path / "mine.weights.h5"
    path.write_bytes(contents)
    with pytest.raises(InvalidInput, match="does not hold the weights of MobileNetV2"):
        load_backbone("MobileNetV2", str(path), (32, 32))


def test_missing_weights_are_refused():
    message = re.escape("Received: backbone_weights=nowhere.h5")
    with pytest.raises(InvalidInput, match=f"^`backbone_weights` must be .*{message}$"):
        load_backbone("MobileNetV2", "nowhere.h5", (32, 32))


def test_a_failed_download_names_the_file_to_fetch(monkeypatch):
    def fail(name, url, **options):
        raise Exception(f"URL fetch failure on {url}: 404 -- Not Found")

    monkeypatch.setattr(weights_of("MobileNetV2"), "get_file", fail)
    message = r"--backbone_weights: https://\S+/mobilenet_v2\S+_no_top.h5$"
    with pytest.raises(InvalidInput, match=message):
        load_backbone("MobileNetV2", "imagenet", (224, 224))


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
    body = load_backbone("EfficientNetB0", "none", (32, 32))
    normalization(body).set_weights([mean, stddev, np.zeros(())])
    path = tmp_path / "published.weights.h5"
    body.save_weights(path)
    monkeypatch.setattr(
        weights_of("EfficientNetB0"), "get_file", lambda *args, **options: path
    )
    weights = str(path) if source == "path" else "imagenet"
    loaded = load_backbone("EfficientNetB0", weights, (32, 32))
    # The same layers whatever the source: a rebuilt model takes their weights.
    assert len(loaded.layers) == len(body.layers)
    stem = next(x for x in loaded.layers if isinstance(x, keras.layers.ZeroPadding2D))
    normalized = keras.Model(loaded.input, stem.input)
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype("float32")
    expected = (pixels / 255 - mean) / stddev
    received = normalized.predict(pixels, verbose=0)
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-4)
