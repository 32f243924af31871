"""The networks of `keras.applications` with their weights and the input they want.

Owns where weights come from and what is wrong with them. Does not own what is built on
a backbone (`models`).
"""

import re
import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from landmarks_tf.errors import InvalidInput
from landmarks_tf.errors import first_line
from landmarks_tf.errors import require

# ImageNet statistics in [0, 1], RGB, as in keras.applications.imagenet_utils.
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STDDEV = (0.229, 0.224, 0.225)
# The "caffe" mean, in 0..255, BGR, from the same file.
_CAFFE_MEAN = (103.939, 116.779, 123.68)


def load_backbone(
    backbone: str, backbone_weights: str, image_size: tuple[int | None, int | None]
) -> keras.Model:
    """Returns a `keras.applications` network without its top.

    Raises:
        InvalidInput: see `models.build_transfer_model`.
    """
    constructor = getattr(keras.applications, backbone)
    arguments = {"include_top": False, "input_shape": (*image_size, 3)}
    try:
        body = constructor(weights=None, **arguments)
    except ValueError as error:
        raise InvalidInput(
            f"{backbone} does not take this `image_size`. Received: "
            f"image_size={image_size}. {first_line(error)}"
        ) from error
    if backbone_weights == "imagenet":
        # Not kept itself: for these weights Keras adds layers to EfficientNet that a
        # model built from a file, or rebuilt after training, would not have.
        body.set_weights(_download(constructor, arguments).get_weights())
    elif backbone_weights != "none":
        _load_weights(body, backbone, Path(backbone_weights))
    _mend_normalization(body)
    return body


def _download(constructor: Callable, arguments: dict) -> keras.Model:
    try:
        with warnings.catch_warnings():
            # That weights for images of another size are taken, as they may be.
            warnings.simplefilter("ignore", UserWarning)
            return constructor(weights="imagenet", **arguments)
    except Exception as error:  # keras.utils.get_file raises the bare Exception
        url = re.search(r"https?://[^\s:]+", str(error))
        raise InvalidInput(
            "cannot download the backbone's weights; fetch this file yourself and "
            "pass its path with --backbone_weights: "
            f"{url[0] if url else first_line(error)}"
        ) from error


def _load_weights(body: keras.Model, backbone: str, path: Path) -> None:
    wanted = "'imagenet', 'none' or the path of a weights file"
    require(path.is_file(), "backbone_weights", wanted, path)
    try:
        with warnings.catch_warnings():
            # Keras 3.15 says so of each layer of a file that Keras 3.14 wrote, though
            # all of them are loaded; a layer that is not raises.
            warnings.filterwarnings("ignore", message="Skipping nested container")
            body.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        raise InvalidInput(
            f"{path} does not hold the weights of {backbone} without its top: "
            f"{first_line(error)}"
        ) from error


def _mend_normalization(body: keras.Model) -> None:
    """Gives EfficientNet's published weights the input scale they were trained at.

    Their file holds the deviation where the layer wants its square. For
    `weights="imagenet"` Keras mends that with a further Rescaling layer
    (keras/src/applications/efficientnet.py), for a path it does not.
    """
    for layer in body.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            variance = layer.weights[1]
            if np.allclose(variance, _IMAGENET_STDDEV):
                variance.assign(np.square(_IMAGENET_STDDEV))
            layer.finalize_state()


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Gives a network of the same layers the weights of another.

    `set_weights` alone leaves what a Normalization layer has derived from its own
    (EfficientNet's first layer) as it was.
    """
    target.set_weights(source.get_weights())
    for layer in target._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def convert_images(images: keras.KerasTensor, mode: str) -> keras.KerasTensor:
    """Converts [0, 1] to what the backbone's own `preprocess_input` would give."""
    if mode == "tf":
        return keras.layers.Rescaling(2.0, offset=-1.0)(images)
    if mode == "caffe":
        offset = [-mean for mean in _CAFFE_MEAN]
        return keras.layers.Rescaling(255.0, offset=offset)(images[..., ::-1])
    if mode == "torch":
        scale = [1 / stddev for stddev in _IMAGENET_STDDEV]
        offset = [-m / s for m, s in zip(_IMAGENET_MEAN, _IMAGENET_STDDEV)]
        return keras.layers.Rescaling(scale, offset=offset)(images)
    return keras.layers.Rescaling(255.0)(images)
