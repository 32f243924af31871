"""From a trained model to the files that servers and phones load."""

from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf

from landmarks_tf.data import tf_image
from landmarks_tf.errors import InvalidInput
from landmarks_tf.export import int8
from landmarks_tf.export import tf_resize
from landmarks_tf.export import tflite_file
from landmarks_tf.export.metadata import Description
from landmarks_tf.export.metadata import LABELS_FILE
from landmarks_tf.export.metadata import build_metadata

_TOP_K = 5


def write_attempts(
    model: keras.Model,
    class_names: Sequence[str],
    file_format: str,
    path: Path,
    calibration_photos: Sequence[Path | str] = (),
    description: Description = Description(),
) -> Iterator[str]:
    """Writes one format, a name in `run.EXPORTS`, at `path`.

    Args:
        model: from the contract's images to probabilities, in float32 throughout.
        class_names: `[num_classes]`.
        file_format: the format.
        path: the file or folder.
        calibration_photos: for int8, see `int8.quantize`.
        description: what a TFLite file says of its model.

    Yields:
        how it was made, in a few words or none. int8 is then made again at the same
        place, with one remedy more for answers that are not the model's.

    Raises:
        InvalidInput: if int8 has no photo, or one cannot be read.
    """
    if file_format == "saved_model":
        export_saved_model(model, class_names, path)
        yield ""
    elif file_format == "int8":
        if not calibration_photos:
            raise InvalidInput("int8 needs photos that the model was trained on")
        for how, contents in int8.quantize(model, calibration_photos):
            metadata = build_metadata(description, white=255.0)
            path.write_bytes(_with_metadata(contents, metadata, class_names))
            yield how
    else:
        export_tflite(model, path, file_format)
        metadata = build_metadata(description, white=1.0)
        path.write_bytes(_with_metadata(path.read_bytes(), metadata, class_names))
        yield ""


def _with_metadata(
    contents: bytes, metadata: bytes, class_names: Sequence[str]
) -> bytes:
    labels = "".join(f"{name}\n" for name in class_names).encode()
    return tflite_file.add_metadata(contents, metadata, {LABELS_FILE: labels})


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
            lambda photo: tf_resize.resize_exactly(tf_image.decode(photo), image_size),
            photos,
            fn_output_signature=tf.TensorSpec((*image_size, 3), tf.uint8),
        )
        probabilities = model(tf_image.normalize(pixels), training=False)
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


def export_tflite(model: keras.Model, path: Path, file_format: str = "float32") -> None:
    """Writes a TFLite file of built-in operations only.

    It takes one of the contract's images, float32 `[1, height, width, 3]`, and gives
    probabilities float32 `[1, num_classes]`.

    Args:
        model: from images to probabilities, in float32 throughout.
        path: the file.
        file_format: "float32", or "float16", of half the size, whose large weights are
            rounded.
    """
    height, width, _ = model.input_shape[1:]
    model.export(
        str(path),
        format="litert",
        verbose=False,
        input_signature=[keras.InputSpec(shape=(1, height, width, 3), dtype="float32")],
        # Keras allows Flex operations by default, which phones do not have.
        target_spec={"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]},
    )
    if file_format == "float16":
        path.write_bytes(tflite_file.halve_weights(path.read_bytes()))
