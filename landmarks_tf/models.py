"""The two networks: one from scratch, one on a backbone of `keras.applications`.

Both take the contract's images, float32 RGB in [0, 1], and give probabilities. Owns
layers, not training.
"""

import re
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from landmarks_tf.architectures import BACKBONES
from landmarks_tf.architectures import SCRATCH_PRESETS
from landmarks_tf.architectures import ScratchPreset
from landmarks_tf.errors import InvalidInput

# ImageNet statistics in [0, 1], RGB, as in keras.applications.imagenet_utils.
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STDDEV = (0.229, 0.224, 0.225)
# The "caffe" mean, in 0..255, BGR, from the same file.
_CAFFE_MEAN = (103.939, 116.779, 123.68)
_HEAD_DROPOUT = 0.2
# Keras's 0.99 remembers five hundred steps, more than a run on few photos has.
_NORMALIZATION_MOMENTUM = 0.9


def build_scratch_model(
    preset: str,
    image_size: tuple[int | None, int | None],
    num_classes: int,
    shrinking: int = 1,
) -> keras.Sequential:
    """Returns the network of 6 convolutions, 6 max-poolings and 3 dense layers.

    Args:
        preset: a name in `architectures.SCRATCH_PRESETS`.
        image_size: (height, width) in pixels, each at least 64 times `shrinking`; None
            for any, where the preset has global pooling.
        num_classes: width of the output.
        shrinking: by which images are made smaller before the first convolution. It
            changes no weight: a network trained on small images takes large ones.
    """
    numbers = SCRATCH_PRESETS[preset]
    layers: list[keras.Layer] = [keras.Input((*image_size, 3), name="images")]
    if shrinking > 1:
        layers.append(keras.layers.AveragePooling2D(shrinking))
    for filters in numbers.filters:
        layers += _convolution(filters, numbers)
    if numbers.global_pooling:
        layers.append(keras.layers.GlobalAveragePooling2D())
    else:
        layers.append(keras.layers.Flatten())
    for units in numbers.dense_units:
        layers += _dense(units, numbers)
        layers.append(keras.layers.Dropout(numbers.dropout))
    layers.append(_probabilities(num_classes))
    return keras.Sequential(layers, name=f"scratch_{preset}")


def without_shrinking(
    model: keras.Sequential, image_size: tuple[int, int]
) -> keras.Sequential:
    """Returns a scratch network as it was trained: for images that it does not shrink.

    Shares the weights.
    """
    layers = [
        x for x in model.layers if not isinstance(x, keras.layers.AveragePooling2D)
    ]
    images = keras.Input((*image_size, 3), name="images")
    return keras.Sequential([images, *layers], name=model.name)


def _convolution(filters: int, numbers: ScratchPreset) -> list[keras.Layer]:
    """Returns a convolution with its ReLU and max-pooling."""
    # Overlapping ones reach over the edge, as the convolutions do.
    padding = "same" if numbers.pool_size > 2 else "valid"
    pooling = keras.layers.MaxPooling2D(numbers.pool_size, 2, padding=padding)
    if not numbers.batch_normalization:
        return [
            keras.layers.Conv2D(filters, 3, padding="same", activation="relu"),
            pooling,
        ]
    # Pooled first: a quarter of the values to normalise.
    convolution = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)
    return [convolution, pooling, *_normalized_relu()]


def _dense(units: int, numbers: ScratchPreset) -> list[keras.Layer]:
    """Returns a hidden dense layer with its ReLU."""
    if not numbers.batch_normalization:
        return [keras.layers.Dense(units, activation="relu")]
    return [keras.layers.Dense(units, use_bias=False), *_normalized_relu()]


def _normalized_relu() -> list[keras.Layer]:
    normalization = keras.layers.BatchNormalization(momentum=_NORMALIZATION_MOMENTUM)
    return [normalization, keras.layers.ReLU()]


def build_transfer_model(
    backbone: str, backbone_weights: str, image_size: tuple[int, int], num_classes: int
) -> keras.Model:
    """Returns a frozen backbone in inference mode under a new softmax layer.

    Args:
        backbone: a name in `architectures.BACKBONES`.
        backbone_weights: "imagenet" (Keras downloads them), "none" (random), or the
            path of a weights file made without the top.
        image_size: (height, width) in pixels.
        num_classes: width of the output.

    Raises:
        InvalidInput: if the weights cannot be had or are of another architecture,
            or the backbone does not take images so small.
    """
    extractor = build_feature_extractor(backbone, backbone_weights, image_size)
    return join_head(extractor, build_head(extractor.output_shape[-1], num_classes))


def build_feature_extractor(
    backbone: str, backbone_weights: str, image_size: tuple[int, int]
) -> keras.Model:
    """Returns the frozen part of a transfer model: all but its head.

    Takes the arguments of `build_transfer_model`.

    Returns:
        a model from images to features float32 `[batch, num_features]`.
    """
    body = load_backbone(backbone, backbone_weights, image_size)
    body.trainable = False
    images = keras.Input((*image_size, 3), name="images")
    features = body(_backbone_input(images, BACKBONES[backbone]), training=False)
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
        _probabilities(num_classes),
    ]
    return keras.Sequential(layers, name="head")


def join_head(extractor: keras.Model, head: keras.Sequential) -> keras.Model:
    """Returns the transfer model of a feature extractor and its head."""
    outputs = extractor.output
    for layer in head.layers:
        outputs = layer(outputs)
    return keras.Model(extractor.input, outputs, name=extractor.name)


def unfreeze(model: keras.Model) -> None:
    """Lets all of a transfer model be trained but its batch normalisation.

    That stays in inference mode only if it is not trainable: Keras 3.15's `fit` calls a
    backbone with training=True whatever `build_feature_extractor` says. Nor does it
    hand `model.trainable` on to the backbone.
    """
    for layer in model.layers:
        layer.trainable = True
        for inner in getattr(layer, "layers", ()):
            is_normalization = isinstance(inner, keras.layers.BatchNormalization)
            inner.trainable = not is_normalization


def load_model(path: Path, num_classes: int) -> keras.Model:
    """Reads a `.keras` file.

    Raises:
        InvalidInput: if it is not one, or does not have `num_classes` outputs.
    """
    try:
        model = keras.models.load_model(path, compile=False)
    except (ValueError, OSError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise InvalidInput(
            f"{path} is not a Keras model that loads: {_first_line(error)}"
        ) from error
    if model.output_shape[-1] != num_classes:
        raise InvalidInput(
            f"{path} has {model.output_shape[-1]} outputs, but there are "
            f"{num_classes} class names"
        )
    return model


def load_backbone(
    backbone: str, backbone_weights: str, image_size: tuple[int, int]
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
        raise InvalidInput(
            f"{backbone} does not take this `image_size`. Received: "
            f"image_size={image_size}. {_first_line(error)}"
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
        return constructor(weights="imagenet", **arguments)
    except Exception as error:  # keras.utils.get_file raises the bare Exception
        url = re.search(r"https?://[^\s:]+", str(error))
        raise InvalidInput(
            "cannot download the backbone's weights; fetch this file yourself and "
            "pass its path with --backbone_weights: "
            f"{url[0] if url else _first_line(error)}"
        ) from error


def _load_weights(body: keras.Model, backbone: str, path: Path) -> None:
    if not path.is_file():
        raise InvalidInput(
            "`backbone_weights` must be 'imagenet', 'none' or the path of a weights "
            f"file. Received: backbone_weights={path}"
        )
    try:
        with warnings.catch_warnings():
            # Keras 3.15 says so of each layer of a file that Keras 3.14 wrote, though
            # all of them are loaded; a layer that is not raises.
            warnings.filterwarnings("ignore", message="Skipping nested container")
            body.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        raise InvalidInput(
            f"{path} does not hold the weights of {backbone} without its top: "
            f"{_first_line(error)}"
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


def _backbone_input(images: keras.KerasTensor, mode: str) -> keras.KerasTensor:
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


def _probabilities(num_classes: int) -> keras.Layer:
    # float32 whatever the policy: probabilities of 50 classes need its precision.
    return keras.layers.Dense(
        num_classes, activation="softmax", dtype="float32", name="probabilities"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
