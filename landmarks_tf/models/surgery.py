"""What is done to a network that exists, and the last layer that this relies on.

Reads networks, copies weights, takes the softmax off and changes its temperature. Owns
nothing that is trained.
"""

import zipfile
from pathlib import Path

import keras

from landmarks_tf import errors


def probabilities_layer(num_classes: int) -> keras.layers.Dense:
    """Returns the last layer of every network: a softmax over the classes.

    In float32 whatever the policy: probabilities of 50 classes need its precision.
    """
    return keras.layers.Dense(
        num_classes, activation="softmax", dtype="float32", name="probabilities"
    )


def build_logits_model(model: keras.Model) -> keras.Model:
    """Returns a network without its softmax, from images to logits.

    Its last layer is a copy, the others are shared. Where a network does not
    end in a dense layer, its logits are the logarithms of its probabilities.
    """
    if not _ends_in_dense(model):
        return keras.Model(model.inputs, _log_probabilities(model), name=model.name)
    last = model.layers[-1]
    linear = type(last).from_config(last.get_config() | {"activation": "linear"})
    network = keras.models.clone_model(
        model, clone_function=lambda layer: linear if layer is last else layer
    )
    linear.set_weights(last.get_weights())
    return network


def divide_logits(model: keras.Model, temperature: float) -> keras.Model:
    """Returns a model of milder probabilities, or with less than 1 of bolder ones.

    Every file made of it has them too: the temperature is in the weights of its last
    layer, which are changed in place, or else in a softmax behind it.
    """
    if not _ends_in_dense(model):
        logits = _log_probabilities(model) / temperature
        outputs = keras.layers.Softmax(dtype="float32", name="calibrated")(logits)
        return keras.Model(model.inputs, outputs, name=model.name)
    layer = model.layers[-1]
    layer.set_weights([weights / temperature for weights in layer.get_weights()])
    return model


def _ends_in_dense(model: keras.Model) -> bool:
    last = model.layers[-1]
    is_dense = isinstance(last, keras.layers.Dense)
    return is_dense and last.get_config()["activation"] in ("softmax", "linear")


def _log_probabilities(model: keras.Model) -> keras.KerasTensor:
    (probabilities,) = model.outputs
    return keras.ops.log(keras.ops.clip(probabilities, keras.config.epsilon(), 1.0))


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Gives a network of the same layers the weights of another.

    `set_weights` alone leaves what a Normalization layer has derived from its own
    (EfficientNet's first layer) as it was.
    """
    target.set_weights(source.get_weights())
    for layer in target._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


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
        reason = errors.first_line(error)
        if "safe_mode" in reason:  # which it advises to switch off
            reason = "it brings Python code of its own, as Lambda layers do"
        raise errors.InvalidInput(
            f"{path} is not a Keras model that loads: {reason}"
        ) from error
    if model.output_shape[-1] != num_classes:
        raise errors.InvalidInput(
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
    copy_weights(model, rebuilt)
    return rebuilt
