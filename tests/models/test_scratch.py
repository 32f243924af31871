import keras
import numpy as np
import pytest

from landmarks_tf.models.presets import SCRATCH_PRESETS
from landmarks_tf.models.scratch import build_scratch_model

# Preset -> parameters at 800x800 and 50 classes.
SCRATCH_PARAMETERS = {"reference": 20_486_738, "strong": 3_219_474, "small": 501_354}


def count(model, kind):
    return sum(isinstance(layer, kind) for layer in model.layers)


def test_every_preset_is_in_the_table():
    assert set(SCRATCH_PARAMETERS) == set(SCRATCH_PRESETS)


@pytest.mark.parametrize("preset", SCRATCH_PRESETS)
def test_scratch_network_has_the_layers_of_the_mission(preset):
    model = build_scratch_model(preset, (800, 800), 50)
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
    model = build_scratch_model("strong", (None, None), 3)
    for size in (64, 96, 160):
        assert model(np.zeros((1, size, size, 3), np.float32)).shape == (1, 3)


def test_a_network_that_shrinks_its_images_answers_as_the_one_within_it():
    model = build_scratch_model("small", (256, 256), 3, shrinking=4)
    assert model.input_shape == (None, 256, 256, 3)
    small = build_scratch_model("small", (64, 64), 3)
    model.set_weights(small.get_weights())
    images = np.random.default_rng(0).random((2, 64, 64, 3), np.float32)
    enlarged = images.repeat(4, axis=1).repeat(4, axis=2)
    np.testing.assert_allclose(model(enlarged), small(images), atol=1e-6)


@pytest.mark.parametrize("preset", SCRATCH_PRESETS)
def test_every_hidden_layer_of_the_scratch_network_is_rectified(preset):
    model = build_scratch_model(preset, (64, 64), 3)
    num_relu = count(model, keras.layers.ReLU)
    for layer in model.layers[:-1]:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            num_relu += layer.activation is keras.activations.relu
    assert num_relu == 8
    assert model.layers[-1].activation is keras.activations.softmax


def test_probabilities_are_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build_scratch_model("reference", (64, 64), 3)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.layers[0].compute_dtype == "bfloat16"
    assert model.layers[-1].compute_dtype == "float32"
