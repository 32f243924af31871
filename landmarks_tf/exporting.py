"""From a trained model to the files that servers and phones load."""

from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf

from landmarks_tf import graph_preprocessing

_TOP_K = 5


def export_model(
    model: keras.Model, class_names: Sequence[str], file_format: str, path: Path
) -> None:
    """Writes one format, "saved_model" or "float32", at `path`."""
    if file_format == "saved_model":
        export_saved_model(model, class_names, path)
    else:
        export_tflite(model, path)


def export_saved_model(
    model: keras.Model, class_names: Sequence[str], path: Path
) -> None:
    """Writes a SavedModel with two signatures.

    `serving_default` takes photo files as bytes, string `[batch]`, and gives
    `class_names`, string, and `probabilities`, float32, both `[batch, k]`, most
    probable first; k is 5, or the number of classes if that is less. `images` takes
    the contract's images and gives probabilities of all classes.
    """
    image_size = model.input_shape[1:3]
    top_k = min(_TOP_K, len(class_names))

    def classify_bytes(photos: tf.Tensor) -> dict[str, tf.Tensor]:
        pixels = tf.map_fn(
            lambda photo: graph_preprocessing.preprocess(photo, image_size),
            photos,
            fn_output_signature=tf.TensorSpec((*image_size, 3), tf.uint8),
        )
        probabilities = model(graph_preprocessing.normalize(pixels), training=False)
        top = tf.math.top_k(probabilities, k=top_k)
        names = tf.gather(tf.constant(class_names), top.indices)
        return {"class_names": names, "probabilities": top.values}

    archive = keras.export.ExportArchive()
    archive.track(model)
    photos = tf.TensorSpec([None], tf.string, name="photos")
    archive.add_endpoint("serving_default", classify_bytes, input_signature=[photos])
    images = tf.TensorSpec([None, *image_size, 3], tf.float32, name="images")
    archive.add_endpoint(
        "images",
        lambda images: {"probabilities": model(images, training=False)},
        input_signature=[images],
    )
    archive.write_out(str(path), verbose=False)


def export_tflite(model: keras.Model, path: Path) -> None:
    """Writes a float32 TFLite file of built-in operations only.

    Its input is one of the contract's images, float32 `[1, height, width, 3]`, its
    output probabilities float32 `[1, num_classes]`.
    """
    images = keras.InputSpec(shape=(1, *model.input_shape[1:]), dtype="float32")
    model.export(
        str(path),
        format="litert",
        verbose=False,
        input_signature=[images],
        # Keras allows Flex operations by default, which phones do not have.
        target_spec={"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]},
    )
