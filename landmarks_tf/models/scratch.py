"""The network from scratch: 6 convolutions, 6 max-poolings and 3 dense layers.

Takes the contract's images, float32 RGB in [0, 1], and gives probabilities. Owns
layers, not training.
"""

import keras

from landmarks_tf.models.presets import SCRATCH_PRESETS
from landmarks_tf.models.presets import ScratchPreset
from landmarks_tf.models.surgery import probabilities_layer

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
        preset: a name in `presets.SCRATCH_PRESETS`.
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
    layers.append(probabilities_layer(num_classes))
    return keras.Sequential(layers, name=f"scratch_{preset}")


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
