import sys

import keras
import numpy as np
import pytest

from landmarks_tf.errors import InvalidInput
from landmarks_tf.evaluation import calibration
from landmarks_tf.models import networks
from landmarks_tf.models.presets import BACKBONES
from landmarks_tf.models.presets import SCRATCH_PRESETS

# Preset -> parameters at 800x800 and 50 classes.
SCRATCH_PARAMETERS = {"reference": 20_486_738, "strong": 3_219_474, "small": 501_354}
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


def count(model, kind):
    return sum(isinstance(layer, kind) for layer in model.layers)


def test_every_network_is_in_the_tables():
    assert set(SCRATCH_PARAMETERS) == set(SCRATCH_PRESETS)
    assert set(TRANSFER_PARAMETERS) == set(BACKBONES)


@pytest.mark.parametrize("preset", SCRATCH_PRESETS)
def test_scratch_network_has_the_layers_of_the_mission(preset):
    model = networks.build_scratch_model(preset, (800, 800), 50)
    assert isinstance(model, keras.Sequential)
    assert model.count_params() == SCRATCH_PARAMETERS[preset]
    assert count(model, keras.layers.Conv2D) == 6
    assert count(model, keras.layers.MaxPooling2D) == 6
    assert count(model, keras.layers.Dense) == 3
    assert count(model, keras.layers.Dropout) == 2
    assert model.input_shape == (None, 800, 800, 3)
    assert model.output_shape == (None, 50)
    kinds = [type(layer) for layer in model.layers]
    wide = [
        kind for kind in kinds if kind in (keras.layers.Dense, keras.layers.Dropout)
    ]
    assert wide == [keras.layers.Dense, keras.layers.Dropout] * 2 + [keras.layers.Dense]


def test_a_network_with_global_pooling_takes_images_of_any_size():
    model = networks.build_scratch_model("strong", (None, None), 3)
    for size in (64, 96, 160):
        assert model(np.zeros((1, size, size, 3), np.float32)).shape == (1, 3)


def test_a_network_that_shrinks_its_images_answers_as_the_one_within_it():
    model = networks.build_scratch_model("small", (256, 256), 3, shrinking=4)
    assert model.input_shape == (None, 256, 256, 3)
    small = networks.without_shrinking(model, (64, 64))
    assert small.input_shape == (None, 64, 64, 3)
    images = np.random.default_rng(0).random((2, 64, 64, 3), np.float32)
    enlarged = images.repeat(4, axis=1).repeat(4, axis=2)
    np.testing.assert_allclose(model(enlarged), small(images), atol=1e-6)
    trained = networks.build_scratch_model("small", (64, 64), 3)
    model.set_weights(trained.get_weights())
    np.testing.assert_allclose(small(images), trained(images), atol=1e-6)


@pytest.mark.parametrize("preset", SCRATCH_PRESETS)
def test_every_hidden_layer_of_the_scratch_network_is_rectified(preset):
    model = networks.build_scratch_model(preset, (64, 64), 3)
    num_relu = count(model, keras.layers.ReLU)
    for layer in model.layers[:-1]:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            num_relu += layer.activation is keras.activations.relu
    assert num_relu == 8
    assert model.layers[-1].activation is keras.activations.softmax


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
    model = networks.build_transfer_model(backbone, "none", (96, 96), 50)
    assert model.count_params() == TRANSFER_PARAMETERS[backbone]
    assert len(model.trainable_weights) == 2
    (index,) = (i for i, x in enumerate(model.layers) if isinstance(x, keras.Model))
    before_backbone = keras.Model(model.input, model.layers[index - 1].output)
    images = np.random.default_rng(0).random((2, 96, 96, 3), np.float32)
    expected = preprocess_input(backbone, images * 255)
    received = before_backbone.predict(images, verbose=0)
    np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-5)


def test_frozen_backbone_is_in_inference_mode():
    model = networks.build_transfer_model("MobileNetV2", "none", (32, 32), 3)
    images = np.random.default_rng(0).random((4, 32, 32, 3), np.float32)
    before = [w.numpy() for w in model.non_trainable_weights]
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(images, np.array([0, 1, 2, 0]), verbose=0)
    for old, new in zip(before, model.non_trainable_weights):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("build", "name", "size"),
    [
        (networks.build_scratch_model, ("small",), 64),
        (networks.build_transfer_model, ("MobileNetV2", "none"), 32),
        pytest.param(
            *(networks.build_transfer_model, ("ResNet50", "none"), 32),
            marks=pytest.mark.long,
        ),
    ],
)
def test_model_gives_probabilities_and_loads_without_the_package(
    build, name, size, tmp_path
):
    model = build(*name, (size, size), 7)
    images = np.random.default_rng(0).random((3, size, size, 3), np.float32)
    probabilities = model.predict(images, verbose=0)
    assert probabilities.shape == (3, 7)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(images, verbose=0), probabilities)


def test_probabilities_are_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = networks.build_scratch_model("reference", (64, 64), 3)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.layers[0].compute_dtype == "bfloat16"
    assert model.layers[-1].compute_dtype == "float32"


def test_a_head_on_its_features_answers_as_the_whole_model():
    extractor = networks.build_feature_extractor("MobileNetV2", "none", (32, 32))
    head = networks.build_head(extractor.output_shape[-1], 5)
    model = networks.join_head(extractor, head)
    images = np.random.default_rng(0).random((3, 32, 32, 3), np.float32)
    features = extractor.predict(images, verbose=0)
    assert features.shape == (3, 1280)
    np.testing.assert_allclose(
        head.predict(features, verbose=0), model.predict(images, verbose=0), rtol=1e-5
    )


@pytest.mark.parametrize("weights", ["none", "imagenet"])
def test_images_too_small_for_the_backbone_are_refused(weights):
    with pytest.raises(InvalidInput, match=r"Received: image_size=\(32, 32\)"):
        networks.build_transfer_model("InceptionV3", weights, (32, 32), 3)


def test_a_file_that_is_no_model_is_refused(tmp_path):
    path = tmp_path / "model.keras"
    path.write_text("not a model")
    with pytest.raises(InvalidInput, match="is not a Keras model that loads"):
        networks.load_model(path, 3)


def test_a_model_that_does_not_fit_its_labels_is_refused(tmp_path):
    path = tmp_path / "model.keras"
    networks.build_scratch_model("small", (64, 64), 3).save(path)
    assert networks.load_model(path, 3).output_shape == (None, 3)
    with pytest.raises(
        InvalidInput, match="has 3 outputs, but there are 4 class names"
    ):
        networks.load_model(path, 4)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize(
    "kind", ["scratch", pytest.param("transfer", marks=pytest.mark.long)]
)
def test_a_model_of_mixed_precision_is_loaded_in_float32(tmp_path, policy, kind):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        if kind == "scratch":
            mixed = networks.build_scratch_model("small", (64, 64), 3)
        else:
            mixed = networks.build_transfer_model("MobileNetV2", "none", (64, 64), 3)
    finally:
        keras.config.set_dtype_policy(before)
    mixed.save(tmp_path / "model.keras")
    model = networks.load_model(tmp_path / "model.keras", 3)
    dtypes = {layer.compute_dtype for layer in model._flatten_layers()}
    assert dtypes == {"float32"}
    images = np.random.default_rng(0).random((2, 64, 64, 3), np.float32)
    expected = mixed.predict(images, verbose=0)
    np.testing.assert_allclose(model.predict(images, verbose=0), expected, atol=0.03)


def test_a_model_of_mixed_precision_normalizes_as_before_when_loaded(tmp_path):
    # As in EfficientNet: a backbone whose first layer has derived state.
    images = np.random.default_rng(0).random((2, 4, 4, 3), np.float32)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        body = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Normalization()])
        body.layers[0].adapt(images)
        model = keras.Sequential([body, keras.layers.Flatten()])
        model.build((None, 4, 4, 3))
    finally:
        keras.config.set_dtype_policy("float32")
    model.save(tmp_path / "model.keras")
    loaded = networks.load_model(tmp_path / "model.keras", 48)
    answers = loaded.predict(images, verbose=0)
    expected = (images - images.mean((0, 1, 2))) / images.std((0, 1, 2))
    np.testing.assert_allclose(answers, expected.reshape(2, 48), atol=0.03)


class Doubling(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (Doubling(), ".* could not be deserialized"),
        (keras.layers.Lambda(lambda x: x * 2), "it brings Python code of its own"),
    ],
    ids=["own", "lambda"],
)
def test_a_model_with_layers_that_are_not_kerass_is_refused(tmp_path, layer, reason):
    images = keras.Input((8, 8, 3))
    outputs = keras.layers.Dense(3)(keras.layers.Flatten()(layer(images)))
    keras.Model(images, outputs).save(tmp_path / "model.keras")
    with pytest.raises(
        InvalidInput, match=f"is not a Keras model that loads: {reason}"
    ):
        networks.load_model(tmp_path / "model.keras", 3)


@pytest.mark.parametrize("kind", ["scratch", "transfer"])
def test_a_temperature_is_in_the_weights(kind):
    if kind == "scratch":
        model = networks.build_scratch_model("small", (64, 64), 3)
    else:
        model = networks.build_transfer_model("MobileNetV2", "none", (64, 64), 3)
    kernel, _ = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel, np.array([0, 1, 2], np.float32)])
    images = np.random.default_rng(0).random((4, 64, 64, 3), np.float32)
    logits = networks.build_logits_model(model).predict(images, verbose=0)
    before = model.predict(images, verbose=0)
    for temperature, expected in ((1.0, before), (0.25, None)):
        if expected is None:
            networks.divide_logits(model, temperature)
            expected = model.predict(images, verbose=0)
            assert np.abs(expected - before).max() > 1e-4
        softened = calibration.apply_temperature(logits, temperature)
        np.testing.assert_allclose(softened, expected, atol=1e-6)
