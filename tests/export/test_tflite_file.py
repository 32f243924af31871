import io
import zipfile

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils

from landmarks_tf.export import tflite_file

SIZE = 8


@pytest.fixture(scope="module", params=[True, False])
def converted(request, tmp_path_factory):
    """(model, float32 file) with large and small weights, shared ones among them."""
    keras.utils.set_random_seed(0)
    images = keras.Input((SIZE, SIZE, 3))
    values = keras.layers.Conv2D(16, 3, padding="same")(images)
    if request.param:
        values = keras.layers.Conv2D(128, 3, padding="same", activation="relu")(values)
    values = keras.layers.Flatten()(values)
    shared = keras.layers.Dense(SIZE * SIZE * 16 if not request.param else 200)
    values = keras.layers.Dense(4, activation="softmax")(shared(values))
    model = keras.Model(images, values)
    path = tmp_path_factory.mktemp("tflite") / "model.tflite"
    spec = keras.InputSpec(shape=(1, SIZE, SIZE, 3), dtype="float32")
    model.export(str(path), format="litert", verbose=False, input_signature=[spec])
    return model, path.read_bytes()


def draw(count=5):
    grey_levels = np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3))
    return grey_levels.astype(np.uint8)


def load(contents):
    interpreter = Interpreter(model_content=contents)
    interpreter.allocate_tensors()
    return interpreter


def ask(contents, images):
    interpreter = load(contents)
    (given,), (got,) = interpreter.get_input_details(), interpreter.get_output_details()
    rows = []
    for image in images:
        interpreter.set_tensor(given["index"], image[np.newaxis])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(got["index"])[0].copy())
    return np.array(rows)


def test_large_weights_are_halved_and_answers_stay(converted):
    model, contents = converted
    halved = tflite_file.halve_weights(contents)
    num_large = sum(w.size for w in model.get_weights() if w.size >= 10_000)
    saved_bytes = len(contents) - len(halved)
    assert 0.98 * 2 * num_large < saved_bytes <= 2 * num_large
    images = draw() / np.float32(255)
    expected = model.predict(images, verbose=0)
    answers = ask(halved, images)
    np.testing.assert_allclose(answers, expected, atol=3e-3)
    assert np.abs(answers - expected).max() > 0
    details = load(halved).get_tensor_details()
    kinds = {detail["dtype"] for detail in details if np.prod(detail["shape"]) > 9_999}
    assert np.float16 in kinds


def test_grey_levels_are_taken_in_place_of_their_share_of_one(converted):
    _, contents = converted
    taking = tflite_file.take_grey_levels(contents)
    (given,) = load(taking).get_input_details()
    assert (given["dtype"], given["shape"].tolist()) == (np.uint8, [1, SIZE, SIZE, 3])
    assert given["quantization"] == (pytest.approx(1 / 255), 0)
    answers = ask(taking, draw())
    expected = ask(contents, draw() / np.float32(255))
    np.testing.assert_allclose(answers, expected, atol=1e-6)
    # By name too, as LiteRT's newer interfaces ask.
    runner = load(taking).get_signature_runner()
    ((name, _),) = runner.get_input_details().items()
    (answer,) = runner(**{name: draw(1)}).values()
    np.testing.assert_allclose(answer, expected[:1], atol=1e-6)


def test_metadata_and_files_are_in_the_file_and_answers_stay(converted):
    _, contents = converted
    described = tflite_file.add_metadata(contents, b"about it", {"labels.txt": b"a\nb"})
    with zipfile.ZipFile(io.BytesIO(described)) as archive:
        assert archive.namelist() == ["labels.txt"]
        assert archive.read("labels.txt") == b"a\nb"
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(described))
    buffers = {x.name: bytes(model.buffers[x.buffer].data) for x in model.metadata}
    assert buffers[b"TFLITE_METADATA"] == b"about it"
    images = draw() / np.float32(255)
    assert np.array_equal(ask(described, images), ask(contents, images))
    # The same model gives the same file.
    assert described == tflite_file.add_metadata(
        contents, b"about it", {"labels.txt": b"a\nb"}
    )
