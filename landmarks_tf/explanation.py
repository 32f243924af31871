"""Where in a photo a network sees what it answers: Grad-CAM.

Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks, ICCV 2017.
"""

import keras
import matplotlib
import numpy as np
import tensorflow as tf
from PIL import Image

from landmarks_tf import models
from landmarks_tf.errors import InvalidInput

# Maps of fewer values a side tell left from right and little more.
_MIN_SIDE = 5
# A backbone is a network among the layers.
_CONVOLUTIONS = (keras.layers.Conv2D, keras.Model)
_TOLERANCE = 1e-3
_COLORS = "turbo"
_OPACITY = 0.6


class GradCam:
    """Finds where a network looks.

    Args:
        model: from the contract's images to probabilities; its layers follow one
            another, some of which may be networks.

    Raises:
        InvalidInput: if the layers do not follow one another, or none is a
            convolution.
    """

    def __init__(self, model: keras.Model) -> None:
        # Of logits: the gradient of a probability near 1 vanishes in float32.
        network = models.build_logits_model(model)
        layers = _layers(network)
        convolved = [
            place
            for place, values in enumerate(_outputs(network))
            if isinstance(layers[place], _CONVOLUTIONS) and _is_map(values)
        ]
        if not convolved:
            raise InvalidInput(
                "`explain` needs a model with a convolution whose maps have at least "
                f"{_MIN_SIDE} values a side"
            )
        self._before = layers[: convolved[-1] + 1]
        self._after = layers[convolved[-1] + 1 :]
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
            score = tf.reduce_max(_apply(self._after, maps))
        weights = tf.reduce_mean(tape.gradient(score, maps), axis=(1, 2), keepdims=True)
        return tf.nn.relu(tf.reduce_sum(maps * weights, axis=-1))[0]


def overlay(picture: Image.Image, heat: np.ndarray) -> Image.Image:
    """Returns an RGB picture coloured where a network looks, of the same size.

    Args:
        picture: RGB, the photo upright, of any size.
        heat: of `GradCam.find_heat` for the photo.
    """
    enlarged = Image.fromarray(heat).resize(picture.size, Image.Resampling.BICUBIC)
    values = np.clip(np.asarray(enlarged), 0, 1)
    colors = (matplotlib.colormaps[_COLORS](values)[..., :3] * 255).astype(np.uint8)
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


def _is_map(values: tf.Tensor) -> bool:
    return len(values.shape) == 4 and min(values.shape[1:3]) >= _MIN_SIDE


def _apply(layers: list[keras.Layer], values: tf.Tensor) -> tf.Tensor:
    for layer in layers:
        values = layer(values)
    return values
