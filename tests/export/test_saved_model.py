import zipfile

import filelock
import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from landmarks_tf.data.photo import load_images
from landmarks_tf.errors import InvalidInput
from landmarks_tf.export import metadata
from landmarks_tf.export import saved_model
from landmarks_tf.inference.classifier import load_classifier
from landmarks_tf.models.scratch import build_scratch_model
from landmarks_tf.models.surgery import load_model
from landmarks_tf.models.transfer import build_transfer_model

NAMES = ("a", "b", "c", "d", "e", "f", "g")
SIZE = 64
TFLITE_FORMATS = ("float32", "float16", "int8")


def write(model, name, path, photos=()):
    next(saved_model.write_attempts(model, NAMES, name, path, photos))


def build(kind):
    keras.utils.set_random_seed(0)
    if kind == "scratch":
        model = build_scratch_model("small", (SIZE, SIZE), 7)
    else:
        model = build_transfer_model("VGG16", "none", (SIZE, SIZE), 7)
    kernel, bias = model.layers[-1].get_weights()
    scale = {"scratch": 200, "transfer": 30}[kind]
    model.layers[-1].set_weights([kernel * scale, bias])
    return model


@pytest.fixture(
    scope="module",
    params=["scratch", pytest.param("transfer", marks=pytest.mark.long)],
)
def exported(request, colored_dir, shared_dir):
    """(model, folder of its exports) of an untrained network that has opinions."""
    folder = shared_dir / f"exports of {request.param}"
    path = folder / "model.keras"
    # Workers share it: the files of a transfer network take 20 seconds.
    with filelock.FileLock(f"{folder}.lock"):
        if not path.exists():
            model = build(request.param)
            write(model, "saved_model", folder / "saved_model")
            photos = sorted((colored_dir / "train").glob("*/*.jpg"))
            for name in TFLITE_FORMATS:
                write(model, name, folder / f"{name}.tflite", photos)
            (folder / "labels.txt").write_text("".join(f"{n}\n" for n in NAMES))
            model.save(path)
    return load_model(path, len(NAMES)), folder


@pytest.fixture
def paths(colored_dir):
    return sorted((colored_dir / "train" / "0.red").glob("*.[jp][pn]g"))


def test_saved_model_answers_photo_bytes_as_the_model_does(exported, paths):
    model, folder = exported
    serve = tf.saved_model.load(folder / "saved_model").signatures["serving_default"]
    answer = serve(photos=tf.constant([path.read_bytes() for path in paths]))
    probabilities = model.predict(load_images(paths, SIZE), verbose=0)
    order = np.argsort(-probabilities, axis=1)[:, :5]
    expected = np.take_along_axis(probabilities, order, axis=1)
    assert answer["probabilities"].shape == (len(paths), 5)
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-4)
    # The comparison means something: it would see channels in the wrong order.
    wrong = model.predict(load_images(paths, SIZE)[..., ::-1], verbose=0)
    assert np.abs(wrong - probabilities).max() > 0.05
    names = answer["class_names"].numpy().astype(str)
    first = np.array(NAMES)[order[:, 0]]
    is_clear = expected[:, 0] - expected[:, 1] > 1e-3
    assert np.any(is_clear)
    assert np.array_equal(names[is_clear, 0], first[is_clear])


def test_saved_model_of_a_trained_run_names_every_color(run_dir, colored_dir):
    serve = tf.saved_model.load(run_dir / "saved_model").signatures["serving_default"]
    paths = sorted((colored_dir / "test").glob("*/*.jpg"))
    answer = serve(photos=tf.constant([path.read_bytes() for path in paths]))
    assert answer["class_names"].shape == (15, 3)
    names = answer["class_names"].numpy()[:, 0].astype(str)
    assert names.tolist() == [path.parent.name for path in paths]
    classifier = load_classifier(run_dir)
    probabilities = classifier.predict(load_images(paths, classifier.image_size))
    expected = -np.sort(-probabilities, axis=1)
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-4)


def test_saved_model_answers_images_as_the_model_does(exported, paths):
    model, folder = exported
    images = load_images(paths, SIZE)
    serve = tf.saved_model.load(folder / "saved_model").signatures["images"]
    answer = serve(images=tf.constant(images))["probabilities"]
    expected = model.predict(images, verbose=0)
    np.testing.assert_allclose(answer, expected, atol=1e-5)


def test_tflite_answers_as_the_model_does(exported, paths):
    model, folder = exported
    images = load_images(paths, SIZE)
    interpreter = Interpreter(str(folder / "float32.tflite"))
    interpreter.allocate_tensors()
    (given,), (got,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (given["dtype"], got["dtype"]) == (np.float32, np.float32)
    assert given["shape"].tolist() == [1, SIZE, SIZE, 3]
    expected = model.predict(images, verbose=0)
    for image, probabilities in zip(images, expected):
        interpreter.set_tensor(given["index"], image[np.newaxis])
        interpreter.invoke()
        answer = interpreter.get_tensor(got["index"])[0]
        np.testing.assert_allclose(answer, probabilities, atol=1e-5)


@pytest.mark.parametrize("name", TFLITE_FORMATS)
def test_tflite_has_built_in_operations_only(exported, name):
    interpreter = Interpreter(str(exported[1] / f"{name}.tflite"))
    operations = {operation["op_name"] for operation in interpreter._get_ops_details()}
    assert operations
    assert not {n for n in operations if n.startswith("Flex") or n == "CUSTOM"}


@pytest.mark.parametrize("name", TFLITE_FORMATS)
def test_a_tflite_file_holds_the_labels_in_the_order_of_its_outputs(exported, name):
    with zipfile.ZipFile(exported[1] / f"{name}.tflite") as inside:
        assert inside.read("labels.txt").decode().split() == list(NAMES)


@pytest.mark.parametrize("name", TFLITE_FORMATS)
def test_a_tflite_file_says_what_its_input_takes_for_white(exported, name):
    white = 255.0 if name == "int8" else 1.0
    said = metadata.build_metadata(metadata.Description(), white)
    assert said in (exported[1] / f"{name}.tflite").read_bytes()


@pytest.mark.parametrize(
    "name, share, tolerance",
    [("float16", 0.5, 0.02), ("int8", 0.25, 0.2)],
)
def test_smaller_files_answer_nearly_as_the_model_does(
    exported, paths, name, share, tolerance
):
    model, folder = exported
    size = (folder / f"{name}.tflite").stat().st_size
    assert size < 1.3 * share * (folder / "float32.tflite").stat().st_size
    images = load_images(paths, SIZE)
    answers = load_classifier(folder / f"{name}.tflite").predict(images)
    expected = model.predict(images, verbose=0)
    np.testing.assert_allclose(answers, expected, atol=tolerance)
    # The comparison means something.
    wrong = model.predict(images[..., ::-1], verbose=0)
    assert np.abs(wrong - expected).max() > 2 * np.abs(answers - expected).max()


def test_int8_takes_grey_levels_and_gives_probabilities(exported, paths):
    interpreter = Interpreter(str(exported[1] / "int8.tflite"))
    (given,), (got,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (given["dtype"], got["dtype"]) == (np.uint8, np.float32)
    scale, zero_point = given["quantization"]
    assert (scale, zero_point) == (pytest.approx(1 / 255), 0)
    # Each filter has a scale of its own.
    scales = [
        len(tensor["quantization_parameters"]["scales"])
        for tensor in interpreter.get_tensor_details()
    ]
    assert max(scales) >= 8


def test_int8_needs_photos(tmp_path):
    model = build_scratch_model("small", (SIZE, SIZE), 7)
    with pytest.raises(InvalidInput, match="int8 needs photos"):
        write(model, "int8", tmp_path / "int8.tflite")
