"""2,000 damaged photos at every door: each is answered or named; none does worse."""

import random
import resource
import time

import numpy as np
import pytest
import tensorflow as tf
from photo_corpus import CORPUS
from page_parts import cleared_away  # noqa: F401
from page_parts import pytestmark  # noqa: F401

from landmarks_tf.data import file_check
from landmarks_tf.data import pipeline
from landmarks_tf.data import tf_image
from landmarks_tf.data.photo_set import load_photos
from landmarks_tf.data.tf_image import find_unreadable
from landmarks_tf.errors import InvalidInput
from landmarks_tf.inference.classifier import Classifier

NUM_PHOTOS = 2000
SIZE = (32, 32)
MAX_SECONDS = 1.0
MAX_MEGABYTES = 1024


def flip_bits(contents, others, rng):
    damaged = bytearray(contents)
    for _ in range(rng.randint(1, 4)):
        # Half of them in the headers, where most of the structure is.
        place = rng.randrange(rng.choice((min(100, len(damaged)), len(damaged))))
        damaged[place] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def cut_short(contents, others, rng):
    return contents[: rng.randrange(len(contents))]


def splice_headers(contents, others, rng):
    """The beginning of another photo, of any kind, before the rest of this one."""
    place = rng.randrange(min(300, len(contents)))
    return rng.choice(others)[:place] + contents[place:]


def repeat_part(contents, others, rng):
    begin = rng.randrange(len(contents))
    part = contents[begin : begin + rng.randrange(1, 2000)]
    return contents[:begin] + part * rng.randint(2, 20) + contents[begin:]


def enlarge_numbers(contents, others, rng):
    """Sizes, lengths and offsets become as large as they can."""
    damaged = bytearray(contents)
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(min(200, len(damaged)))
        damaged[place : place + rng.choice((1, 2, 4))] = b"\xff" * rng.choice((2, 4))
    return bytes(damaged)


MUTATIONS = (flip_bits, cut_short, splice_headers, repeat_part, enlarge_numbers)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A data folder of damaged photos of every kind, half of them in each class."""
    rng = random.Random(0)
    data_dir = tmp_path_factory.mktemp("hostile")
    whole = [make() for make in CORPUS.values()]
    for name in ("a", "b"):
        (data_dir / name).mkdir()
    for index in range(NUM_PHOTOS):
        contents = whole[index % len(whole)]
        damaged = rng.choice(MUTATIONS)(contents, whole, rng)
        (data_dir / "ab"[index % 2] / f"{index:04}.jpg").write_bytes(damaged)
    return load_photos(data_dir)


@pytest.fixture(scope="module")
def problems(hostile):
    """What is wrong with each, by its path, as check_data.py says it."""
    found = {}
    for photo in hostile.all_photos():
        path = str(hostile.data_dir / photo.path)
        found[photo.path] = watched(file_check.check_file, path).problem
    return found


def watched(call, *arguments):
    """Returns what a call does, which must take neither long nor much memory."""
    begin, memory = time.process_time(), peak_megabytes()
    try:
        return call(*arguments)
    finally:
        assert time.process_time() - begin < MAX_SECONDS
        assert peak_megabytes() - memory < MAX_MEGABYTES


def peak_megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_a_check_names_the_damaged_ones(problems):
    assert len(problems) == NUM_PHOTOS
    # Neither is the damage too mild to be seen, nor so strong that nothing is read.
    assert 0.2 < np.mean([bool(problem) for problem in problems.values()]) < 0.85
    assert "too many pixels" in problems.values()
    assert all(problem.isprintable() for problem in problems.values())


def test_what_is_left_can_be_trained_on(hostile, problems):
    readable = hostile.without({path for path in problems if problems[path]})
    unreadable = find_unreadable(readable)
    left = readable.without(unreadable)
    count = 0
    for images, _ in pipeline.make_dataset(left, "train", SIZE, 32):
        assert tf.reduce_all((images >= 0) & (images <= 1))
        count += len(images)
    assert count == len(left.all_photos()) > NUM_PHOTOS / 10


def test_the_bytes_signature_raises_and_nothing_worse(hostile):
    read = tf.function(
        lambda contents: tf_image.preprocess(contents, SIZE),
        input_signature=[tf.TensorSpec([], tf.string)],
    )
    for path in hostile.absolute_paths("train"):
        with open(path, "rb") as file:
            contents = file.read()
        try:
            assert watched(read, contents).shape == (*SIZE, 3)
        except tf.errors.InvalidArgumentError:
            pass


def brightness(images):
    means = images.mean(axis=(1, 2, 3))
    return np.stack([means, 1 - means], axis=1)


def test_they_are_answered_or_named(hostile, problems):
    classifier = Classifier(("bright", "dark"), SIZE, brightness)
    for photo in hostile.all_photos():
        path = hostile.data_dir / photo.path
        try:
            prediction = watched(classifier.predict_landmarks, path)
        except InvalidInput as error:
            assert str(error) == f"{path}: {problems[photo.path]}"
        else:
            assert not problems[photo.path] and prediction.is_known


def test_the_server_answers_or_names_them(hostile, problems):
    server = pytest.importorskip(
        "landmarks_tf.inference.web", reason='needs pip install -e ".[app]"'
    )
    testclient = pytest.importorskip("fastapi.testclient")
    classifier = Classifier(("bright", "dark"), SIZE, brightness)
    app = server.build_app(classifier, server.web_page.About("hostile"))
    with testclient.TestClient(app, base_url="http://127.0.0.1") as client:
        for photo in hostile.all_photos():
            contents = (hostile.data_dir / photo.path).read_bytes()
            response = watched(lambda: client.post("/predict", content=contents))
            refused = bool(problems[photo.path])
            assert response.status_code == (400 if refused else 200)
            assert ("error" in response.json()) == refused
