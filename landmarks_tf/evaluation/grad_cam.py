"""Where in a photo a network sees what it answers: Grad-CAM.

Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks, ICCV 2017, with the
gradient of each place for itself, as in HiResCAM (Draelos and Carin, arXiv 2011.08891,
2020): where a linear layer follows the average of the maps the two are the same; of a
small network with three dense layers Grad-CAM left half the photos without heat.
"""

import keras
import matplotlib
import numpy as np
import tensorflow as tf
from PIL import Image

from landmarks_tf.errors import InvalidInput
from landmarks_tf.models.surgery import build_logits_model

# Maps of fewer values a side tell left from right and little more.
_MIN_SIDE = 5
# A backbone is a network among the layers, and ends with an activation.
_ACTIVATIONS = (keras.layers.ReLU, keras.layers.Activation, keras.Model)
_TOLERANCE = 1e-3
_COLORS = "turbo"
# Share of its range that is used: beyond, red darkens to brown.
_HOTTEST = 0.9
_OPACITY = 0.6


class GradCam:
    """Finds where a network looks.

    Args:
        model: from the contract's images to probabilities; its layers follow one
            another, some of which may be networks.

    Raises:
        InvalidInput: if the layers do not follow one another, or none is an
            activation of maps.
    """

    def __init__(self, model: keras.Model) -> None:
        # Gradients of logits: that of a probability near 1 vanishes in float32.
        network = build_logits_model(model)
        layers = _layers(network)
        active = [
            place
            for place, values in enumerate(_outputs(network))
            if _is_activation(layers[place]) and _is_map(values)
        ]
        if not active:
            raise InvalidInput(
                "`explain` needs a model with activations in maps of at least "
                f"{_MIN_SIDE} values a side"
            )
        self._before = layers[: active[-1] + 1]
        self._after = layers[active[-1] + 1 :]
        spec = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32)
        self._heat = tf.function(self._find_heat, input_signature=[spec])

    def find_heat(self, image: np.ndarray) -> np.ndarray:
        """Returns how much each place speaks for the first answer.

        Args:
            image: float32 `[height, width, 3]`, RGB, in [0, 1].

        Returns:
            float32 `[rows, columns]`, coarser than the image; in [0, 1], the largest
            1, or 0 everywhere if no place speaks for it.
        """
        heat = self._heat(tf.constant(image[np.newaxis])).numpy()
        return heat / max(float(heat.max()), np.finfo(np.float32).tiny)

    def _find_heat(self, images: tf.Tensor) -> tf.Tensor:
        maps = _apply(self._before, images)
        with tf.GradientTape() as tape:
            tape.watch(maps)
            logits = _apply(self._after, maps)[0]
            answer = tf.argmax(logits)
            others = tf.concat([logits[:answer], logits[answer + 1 :]], axis=0)
            # What speaks for all landmarks alike speaks for none.
            score = logits[answer] - tf.reduce_logsumexp(others)
        gradient = tape.gradient(score, maps)
        return tf.nn.relu(tf.reduce_sum(maps * gradient, axis=-1))[0]


def overlay(picture: Image.Image, heat: np.ndarray) -> Image.Image:
    """Returns an RGB picture coloured where a network looks, of the same size.

    Args:
        picture: RGB, the photo upright, of any size.
        heat: of `GradCam.find_heat` for the photo.
    """
    enlarged = Image.fromarray(heat).resize(picture.size, Image.Resampling.BICUBIC)
    values = np.clip(np.asarray(enlarged), 0, 1)
    colors = (matplotlib.colormaps[_COLORS](values * _HOTTEST)[..., :3] * 255).astype(
        np.uint8
    )
    opacity = Image.fromarray((values * (_OPACITY * 255)).astype(np.uint8))
    return Image.composite(Image.fromarray(colors), picture, opacity)


def _outputs(network: keras.Model) -> list[tf.Tensor]:
    """Returns what each layer gives for a grey photo.

    Raises:
        InvalidInput: if not every layer takes what the one before it gives.
    """
    values = grey = tf.fill((1, *network.input_shape[1:]), 0.5)
    outputs = []
    try:
        for layer in _layers(network):
            values = layer(values)
            outputs.append(values)
    except (TypeError, ValueError):  # one takes the results of several
        values = tf.constant(np.nan)
    if not np.allclose(values, network(grey), atol=_TOLERANCE, rtol=_TOLERANCE):
        raise InvalidInput(
            "`explain` needs a model whose layers follow one another: those of "
            f"{network.name} branch"
        )
    return outputs


def _layers(network: keras.Model) -> list[keras.Layer]:
    return [x for x in network.layers if not isinstance(x, keras.layers.InputLayer)]


def _is_activation(layer: keras.Layer) -> bool:
    """Returns whether a layer's values say what is there, and are 0 where it is not."""
    if isinstance(layer, keras.layers.Conv2D):
        return layer.activation is not keras.activations.linear
    return isinstance(layer, _ACTIVATIONS)


def _is_map(values: tf.Tensor) -> bool:
    return len(values.shape) == 4 and min(values.shape[1:3]) >= _MIN_SIDE


def _apply(layers: list[keras.Layer], values: tf.Tensor) -> tf.Tensor:
    for layer in layers:
        values = layer(values)
    return values
