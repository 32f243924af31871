"""From a trained model to a TFLite file that computes in eight bits.

Owns the remedies where eight bits are too few. Does not own whether they are.
"""

import contextlib
import csv
import functools
import io
import tempfile
import warnings
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from landmarks_tf.data.photo import load_images
from landmarks_tf.export import tflite_file

# TensorFlow's guide to post-training quantisation asks for "around 100-500".
NUM_CALIBRATION_PHOTOS = (200, 500)
# Left in float32, those that eight bits hold worst; of a small network fewer, or the
# file would be one of eight bits by name alone.
_NUM_FLOAT_LAYERS = (3, 6, 12)
_MAX_FLOAT_SHARE = 0.25
# On which the layers are compared.
_NUM_DEBUG_PHOTOS = 20


def quantize(
    model: keras.Model, photos: Sequence[Path | str]
) -> Iterator[tuple[str, bytes]]:
    """Yields TFLite files of eight bits, each with a remedy more than the one before.

    Weights int8, with a scale for each filter; values between layers int8; the input
    uint8 in 0..255, the output float32. First with 200 photos, then with 500; then with
    3, 6 and 12 layers in float32, a quarter of them at most: those with the largest
    error by TensorFlow's quantisation debugger, measured in steps of their eight bits.

    Args:
        model: from the contract's images to probabilities, in float32 throughout.
        photos: files of training photos of all classes, in whose order they are taken:
            what values there are between the layers is learnt from them.

    Yields:
        what was done, in a few words, and the contents of the file.
    """
    counts = sorted({min(count, len(photos)) for count in NUM_CALIBRATION_PHOTOS})
    for count in counts:
        debugger = _calibrate(model, photos[:count])
        what = f"{count} calibration photos"
        yield what, _eight_bits(debugger)
    worst = _rank_layers(debugger)
    for number in _NUM_FLOAT_LAYERS:
        if number > _MAX_FLOAT_SHARE * len(worst):
            return
        with _no_warnings():
            debugger.options = tf.lite.experimental.QuantizationDebugOptions(
                denylisted_nodes=worst[:number]
            )
        named = ", ".join(_short(name) for name in worst[:number])
        yield f"{what}, {number} layers in float32: {named}", _eight_bits(debugger)


def _calibrate(
    model: keras.Model, photos: Sequence[Path | str]
) -> "tf.lite.experimental.QuantizationDebugger":
    height_width = model.input_shape[1:3]
    images = keras.InputSpec(shape=(1, *height_width, 3), dtype="float32")
    with tempfile.TemporaryDirectory() as folder, _no_warnings():
        # As Keras's own exporter to LiteRT goes about it.
        archive = keras.export.ExportArchive()
        archive.track(model)
        call = functools.partial(model.__call__, training=False)
        archive.add_endpoint("serve", call, input_signature=[images])
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: _load_one_by_one(
            photos, height_width
        )
        return tf.lite.experimental.QuantizationDebugger(
            converter=converter,
            debug_dataset=lambda: _load_one_by_one(
                photos[-_NUM_DEBUG_PHOTOS:], height_width
            ),
        )


def _rank_layers(debugger: "tf.lite.experimental.QuantizationDebugger") -> list[str]:
    """Returns the layers' output tensors, those that eight bits hold worst first."""
    with _no_warnings():
        debugger.run()
    table = io.StringIO()
    debugger.layer_statistics_dump(table)
    table.seek(0)
    # In steps of the eight bits; rounding alone makes an error of 0.29 of them.
    errors = {
        row["tensor_name"]: float(row["mean_squared_error"]) / float(row["scale"]) ** 2
        for row in csv.DictReader(table)
    }
    return sorted(errors, key=lambda name: -errors[name])


def _eight_bits(debugger: "tf.lite.experimental.QuantizationDebugger") -> bytes:
    return tflite_file.take_grey_levels(debugger.get_nondebug_quantized_model())


def _short(tensor_name: str) -> str:
    """Returns the layer of a tensor that is named after all that was fused into it."""
    parts = tensor_name.split(";")[0].split("/")
    return parts[-2] if len(parts) > 1 else parts[0]


@contextlib.contextmanager
def _no_warnings() -> Iterator[None]:
    # TensorFlow's debugger asks by the interpreter that LiteRT's is to replace.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _load_one_by_one(
    photos: Sequence[Path | str], image_size: tuple[int, int]
) -> Iterator[list[np.ndarray]]:
    # Black and white first: the grey levels 0..255 are then exactly those of [0, 1].
    black_and_white = np.zeros((1, *image_size, 3), np.float32)
    black_and_white[:, 0] = 1
    yield [black_and_white]
    for photo in photos:
        yield [load_images(photo, image_size)]
