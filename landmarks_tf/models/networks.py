"""The two networks: one from scratch, one on a backbone of `keras.applications`.

Both take the contract's images, float32 RGB in [0, 1], and give probabilities. Owns
layers, not training.
"""

import zipfile
from pathlib import Path

import keras

from landmarks_tf.errors import InvalidInput
from landmarks_tf.errors import first_line
from landmarks_tf.errors import require
from landmarks_tf.models import backbones
from landmarks_tf.models.presets import BACKBONES
from landmarks_tf.models.presets import SCRATCH_PRESETS
from landmarks_tf.models.presets import ScratchPreset

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
    backbone: str,
    backbone_weights: str,
    image_size: tuple[int | None, int | None],
    num_classes: int,
) -> keras.Model:
    """Returns a frozen backbone in inference mode under a new softmax layer.

    Args:
        backbone: a name in `architectures.BACKBONES`.
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
    body = backbones.load_backbone(backbone, backbone_weights, image_size)
    body.trainable = False
    images = keras.Input((*image_size, 3), name="images")
    features = body(
        backbones.convert_images(images, BACKBONES[backbone]), training=False
    )
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
    require(is_layer, "fine_tuning_from", wanted, first_layer)
    begin = names.index(first_layer) if first_layer else 0
    body.trainable = True
    for index, layer in enumerate(body.layers):
        is_normalization = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = index >= begin and not is_normalization


def build_logits_model(model: keras.Model) -> keras.Model:
    """Returns a network without its softmax, from images to logits.

    Its last layer is a copy, the others are shared.
    """
    last = model.layers[-1]
    linear = type(last).from_config(last.get_config() | {"activation": "linear"})
    network = keras.models.clone_model(
        model, clone_function=lambda layer: linear if layer is last else layer
    )
    linear.set_weights(last.get_weights())
    return network


def divide_logits(model: keras.Model, temperature: float) -> None:
    """Makes a model's probabilities milder, or with less than 1 bolder.

    In the weights of its last layer: every file made of the model has it too.
    """
    layer = model.layers[-1]
    layer.set_weights([weights / temperature for weights in layer.get_weights()])


def load_model(path: Path, num_classes: int) -> keras.Model:
    """Reads a `.keras` file.

    Returns:
        the model, which computes in float32 whatever it was trained in: layers of mixed
        precision export with operations that phones do not have.

    Raises:
        InvalidInput: if it is not one, has layers that are not Keras's own, or does not
            have `num_classes` outputs.
    """
    try:
        model = keras.models.load_model(path, compile=False)
    except (ValueError, OSError, TypeError, KeyError, zipfile.BadZipFile) as error:
        reason = first_line(error)
        if "safe_mode" in reason:  # which it advises to switch off
            reason = "it brings Python code of its own, as Lambda layers do"
        raise InvalidInput(
            f"{path} is not a Keras model that loads: {reason}"
        ) from error
    if model.output_shape[-1] != num_classes:
        raise InvalidInput(
            f"{path} has {model.output_shape[-1]} outputs, but there are "
            f"{num_classes} class names"
        )
    return _in_float32(model)


def _in_float32(model: keras.Model) -> keras.Model:
    def build(layer: keras.Layer) -> keras.Layer:
        return type(layer).from_config(layer.get_config() | {"dtype": "float32"})

    layers = model._flatten_layers(include_self=False)
    if all(layer.compute_dtype == "float32" for layer in layers):
        return model
    rebuilt = keras.models.clone_model(model, clone_function=build, recursive=True)
    backbones.copy_weights(model, rebuilt)
    return rebuilt


def _probabilities(num_classes: int) -> keras.Layer:
    # float32 whatever the policy: probabilities of 50 classes need its precision.
    return keras.layers.Dense(
        num_classes, activation="softmax", dtype="float32", name="probabilities"
    )
