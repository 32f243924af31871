import keras
import numpy as np
import pytest

from landmarks_tf.errors import InvalidInput
from landmarks_tf.evaluation import calibration
from landmarks_tf.models.scratch import build_scratch_model
from landmarks_tf.models.surgery import build_logits_model
from landmarks_tf.models.surgery import divide_logits
from landmarks_tf.models.surgery import load_model
from landmarks_tf.models.transfer import build_transfer_model


@pytest.mark.parametrize(
    ("build", "name", "size"),
    [
        (build_scratch_model, ("small",), 64),
        (build_transfer_model, ("MobileNetV2", "none"), 32),
        pytest.param(
            *(build_transfer_model, ("ResNet50", "none"), 32),
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


def test_a_file_that_is_no_model_is_refused(tmp_path):
    path = tmp_path / "model.keras"
    path.write_text("not a model")
    with pytest.raises(InvalidInput, match="is not a Keras model that loads"):
        load_model(path, 3)


def test_a_model_that_does_not_fit_its_labels_is_refused(tmp_path):
    path = tmp_path / "model.keras"
    build_scratch_model("small", (64, 64), 3).save(path)
    assert load_model(path, 3).output_shape == (None, 3)
    with pytest.raises(
        InvalidInput, match="has 3 outputs, but there are 4 class names"
    ):
        load_model(path, 4)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize(
    "kind", ["scratch", pytest.param("transfer", marks=pytest.mark.long)]
)
def test_a_model_of_mixed_precision_is_loaded_in_float32(tmp_path, policy, kind):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        if kind == "scratch":
            mixed = build_scratch_model("small", (64, 64), 3)
        else:
            mixed = build_transfer_model("MobileNetV2", "none", (64, 64), 3)
    finally:
        keras.config.set_dtype_policy(before)
    mixed.save(tmp_path / "model.keras")
    model = load_model(tmp_path / "model.keras", 3)
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
    loaded = load_model(tmp_path / "model.keras", 48)
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
        load_model(tmp_path / "model.keras", 3)


@pytest.mark.parametrize("kind", ["scratch", "transfer"])
def test_a_temperature_is_in_the_weights(kind):
    if kind == "scratch":
        model = build_scratch_model("small", (64, 64), 3)
    else:
        model = build_transfer_model("MobileNetV2", "none", (64, 64), 3)
    kernel, _ = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel, np.array([0, 1, 2], np.float32)])
    images = np.random.default_rng(0).random((4, 64, 64, 3), np.float32)
    logits = build_logits_model(model).predict(images, verbose=0)
    before = model.predict(images, verbose=0)
    for temperature, expected in ((1.0, before), (0.25, None)):
        if expected is None:
            divide_logits(model, temperature)
            expected = model.predict(images, verbose=0)
            assert np.abs(expected - before).max() > 1e-4
        softened = calibration.apply_temperature(logits, temperature)
        np.testing.assert_allclose(softened, expected, atol=1e-6)
