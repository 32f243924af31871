"""The transfer network: a backbone of `keras.applications` under a new head.

Takes the contract's images, float32 RGB in [0, 1], and gives probabilities. Owns
layers, where a backbone's weights come from and what is wrong with them, not training.
"""

import re
import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from landmarks_tf import errors
from landmarks_tf.models.presets import BACKBONES
from landmarks_tf.models.surgery import probabilities_layer

_HEAD_DROPOUT = 0.2
# ImageNet statistics in [0, 1], RGB, as in keras.applications.imagenet_utils.
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STDDEV = (0.229, 0.224, 0.225)
# The "caffe" mean, in 0..255, BGR, from the same file.
_CAFFE_MEAN = (103.939, 116.779, 123.68)


def build_transfer_model(
    backbone: str,
    backbone_weights: str,
    image_size: tuple[int | None, int | None],
    num_classes: int,
) -> keras.Model:
    """Returns a frozen backbone in inference mode under a new softmax layer.

    Args:
        backbone: a name in `presets.BACKBONES`.
        backbone_weights: "imagenet" (Keras downloads them), "none" (random), or the
            path of a weights file made without the top.
        image_size: (height, width) in pixels; None for any.
        num_classes: width of the output.

    Raises:
        InvalidInput: if the weights cannot be had or are of another architecture,
            or the backbone does not take images so small.
    """
    extractor = build_feature_extractor(backbone, backbone_weights, image_size)
    return join_head(extractor, build_head(extractor.output_shape[-1], num_classes))


def build_feature_extractor(
    backbone: str, backbone_weights: str, image_size: tuple[int | None, int | None]
) -> keras.Model:
    """Returns the frozen part of a transfer model: all but its head.

    Takes the arguments of `build_transfer_model`.

    Returns:
        a model from images to features float32 `[batch, num_features]`.
    """
    body = load_backbone(backbone, backbone_weights, image_size)
    body.trainable = False
    images = keras.Input((*image_size, 3), name="images")
    features = body(convert_images(images, BACKBONES[backbone]), training=False)
    features = keras.layers.GlobalAveragePooling2D()(features)
    return keras.Model(images, features, name=f"transfer_{backbone}")


def build_head(num_features: int, num_classes: int) -> keras.Sequential:
    """Returns the part of a transfer model that is trained.

    Returns:
        a model from features float32 `[batch, num_features]` to probabilities.
    """
    layers = [
        keras.Input((num_features,), name="features"),
        keras.layers.Dropout(_HEAD_DROPOUT),
        probabilities_layer(num_classes),
    ]
    return keras.Sequential(layers, name="head")


def join_head(extractor: keras.Model, head: keras.Sequential) -> keras.Model:
    """Returns the transfer model of a feature extractor and its head."""
    outputs = extractor.output
    for layer in head.layers:
        outputs = layer(outputs)
    return keras.Model(extractor.input, outputs, name=extractor.name)


def unfreeze(model: keras.Model, first_layer: str = "") -> None:
    """Lets a transfer model's backbone be trained, but its batch normalisation.

    That stays in inference mode only if it is not trainable: Keras 3.15's `fit` calls a
    backbone with training=True whatever `build_feature_extractor` says. Nor does it
    hand `model.trainable` on to the backbone.

    Args:
        model: of `join_head`.
        first_layer: name of the backbone's first layer to be trained; default: all.

    Raises:
        InvalidInput: if the backbone has no such layer.
    """
    (body,) = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    names = [layer.name for layer in body.layers]
    wanted = f"a layer of the backbone, such as {names[len(names) // 2]}"
    is_layer = first_layer in ("", *names)
    errors.require(is_layer, "fine_tuning_from", wanted, first_layer)
    begin = names.index(first_layer) if first_layer else 0
    body.trainable = True
    for index, layer in enumerate(body.layers):
        is_normalization = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = index >= begin and not is_normalization


def load_backbone(
    backbone: str, backbone_weights: str, image_size: tuple[int | None, int | None]
) -> keras.Model:
    """Returns a `keras.applications` network without its top.

    Raises:
        InvalidInput: see `build_transfer_model`.
    """
    constructor = getattr(keras.applications, backbone)
    arguments = {"include_top": False, "input_shape": (*image_size, 3)}
    try:
        body = constructor(weights=None, **arguments)
    except ValueError as error:
        raise errors.InvalidInput(
            f"{backbone} does not take this `image_size`. Received: "
            f"image_size={image_size}. {errors.first_line(error)}"
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
        raise errors.InvalidInput(
            "cannot download the backbone's weights; fetch this file yourself and "
            "pass its path with --backbone_weights: "
            f"{url[0] if url else errors.first_line(error)}"
        ) from error


def _load_weights(body: keras.Model, backbone: str, path: Path) -> None:
    wanted = "'imagenet', 'none' or the path of a weights file"
    errors.require(path.is_file(), "backbone_weights", wanted, path)
    try:
        with warnings.catch_warnings():
            # Keras 3.15 says so of each layer of a file that Keras 3.14 wrote, though
            # all of them are loaded; a layer that is not raises.
            warnings.filterwarnings("ignore", message="Skipping nested container")
            body.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        raise errors.InvalidInput(
            f"{path} does not hold the weights of {backbone} without its top: "
            f"{errors.first_line(error)}"
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
