import keras
import numpy as np
import pytest
from PIL import Image

from landmarks_tf.errors import InvalidInput
from landmarks_tf.evaluation import grad_cam

SIDE = 64


def red_detector():
    """A convolution of 8 pixels that sees red, for class 1; class 0 is a constant."""
    layers = [
        keras.Input((SIDE, SIDE, 3)),
        keras.layers.Conv2D(1, 8, strides=8, activation="relu"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(2, activation="softmax"),
    ]
    model = keras.Sequential(layers)
    kernel = np.zeros((8, 8, 3, 1), np.float32)
    kernel[..., 0, 0] = 1
    kernel[..., 1:, 0] = -1
    dense = np.array([[0, 10]], np.float32)
    model.set_weights([kernel, np.zeros(1), dense, np.zeros(2)])
    return model


def nested(model):
    """The same with its first layers in a network of their own."""
    body = keras.Sequential(
        [keras.Input((SIDE, SIDE, 3)), *model.layers[:1]], name="body"
    )
    images = keras.Input((SIDE, SIDE, 3))
    outputs = body(keras.layers.Rescaling(1.0)(images))
    for layer in model.layers[1:]:
        outputs = layer(outputs)
    return keras.Model(images, outputs)


@pytest.fixture
def image():
    """Grey with a red square in the lower left."""
    pixels = np.full((SIDE, SIDE, 3), 0.5, np.float32)
    pixels[40:56, 8:24] = (1, 0, 0)
    return pixels


@pytest.mark.parametrize("build", [red_detector, lambda: nested(red_detector())])
def test_heat_is_where_the_answer_comes_from(build, image):
    heat = grad_cam.GradCam(build()).find_heat(image)
    assert (heat.shape, heat.dtype) == ((8, 8), np.float32)
    expected = np.zeros((8, 8), np.float32)
    expected[5:7, 1:3] = 1
    np.testing.assert_allclose(heat, expected, atol=1e-5)


def test_where_nothing_speaks_for_the_answer_there_is_no_heat(image):
    heat = grad_cam.GradCam(red_detector()).find_heat(np.zeros_like(image))
    assert not heat.any()


def test_the_overlay_colours_what_is_hot_and_leaves_the_rest():
    picture = Image.new("RGB", (80, 40), (100, 110, 120))
    heat = np.zeros((4, 8), np.float32)
    heat[:, :2] = 1
    drawn = np.asarray(grad_cam.overlay(picture, heat)).astype(int)
    assert drawn.shape == (40, 80, 3)
    assert (drawn[:, 60:] == (100, 110, 120)).all()
    assert (abs(drawn[:, :10] - (100, 110, 120)).sum(axis=-1) > 60).all()


def test_maps_are_taken_after_their_activation():
    layers = [
        keras.Input((SIDE, SIDE, 3)),
        keras.layers.Conv2D(4, 3, padding="same", activation="relu"),
        keras.layers.Conv2D(4, 3, padding="same", use_bias=False),
        keras.layers.MaxPooling2D(4),
        keras.layers.BatchNormalization(),
        keras.layers.ReLU(),
        keras.layers.Conv2D(4, 3, padding="same", use_bias=False),
        keras.layers.MaxPooling2D(4),
        keras.layers.BatchNormalization(),
        keras.layers.ReLU(),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(2, activation="softmax"),
    ]
    heat = grad_cam.GradCam(keras.Sequential(layers)).find_heat(
        np.random.default_rng(0).random((SIDE, SIDE, 3), np.float32)
    )
    assert heat.shape == (16, 16)  # of the first ReLU layer: the second's are too small


def test_refuses_a_model_without_maps():
    layers = [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2)]
    with pytest.raises(InvalidInput, match="^`explain` needs a model with activations"):
        grad_cam.GradCam(keras.Sequential(layers))


@pytest.mark.parametrize("joined", [keras.layers.Add, keras.layers.Concatenate])
def test_refuses_a_model_that_branches(joined):
    images = keras.Input((SIDE, SIDE, 3))
    maps = [keras.layers.Conv2D(3, 3, padding="same")(images) for _ in range(2)]
    pooled = keras.layers.GlobalAveragePooling2D()(joined()(maps))
    outputs = keras.layers.Dense(2, activation="softmax")(pooled)
    with pytest.raises(InvalidInput, match="^`explain` needs a model whose layers fol"):
        grad_cam.GradCam(keras.Model(images, outputs, name="branched"))
