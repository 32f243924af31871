import io
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

import landmarks_tf
from landmarks_tf.errors import InvalidInput
from landmarks_tf.inference.classifier import Classifier

NAMES = ("0.Eiffel_Tower", "1.Petra", "2.Stonehenge")


def redness(images):
    """Answers by how red, green and blue photos are."""
    sums = images.sum(axis=(1, 2))
    return sums / sums.sum(axis=1, keepdims=True)


@pytest.fixture
def classifier():
    return Classifier(NAMES, (8, 8), redness, threshold=0.6)


def test_landmarks_are_sorted_and_no_more_than_there_are(classifier):
    landmarks = classifier.top_landmarks(np.array([0.2, 0.5, 0.3]), 9)
    assert landmarks == [("Petra", 0.5), ("Stonehenge", 0.3), ("Eiffel Tower", 0.2)]
    assert landmarks.class_names == ("1.Petra", "2.Stonehenge", "0.Eiffel_Tower")
    with pytest.raises(
        InvalidInput, match="^`k` must be an integer of at least 1. Received: k=0$"
    ):
        classifier.top_landmarks(np.array([0.2, 0.5, 0.3]), 0)


@pytest.mark.parametrize(
    "color, is_known, answer",
    [((0, 200, 0), True, "Petra"), ((90, 100, 80), False, "no known landmark")],
)
def test_below_the_threshold_no_landmark_is_known(classifier, color, is_known, answer):
    landmarks = classifier.predict_landmarks(Image.new("RGB", (30, 20), color), k=2)
    assert (landmarks.is_known, landmarks.answer) == (is_known, answer)
    assert landmarks[0][0] == "Petra" and len(landmarks) == 2
    record = landmarks.to_record("a.jpg")
    assert (record["photo"], record["is_known"]) == ("a.jpg", is_known)
    assert record["landmarks"][0] == {
        "name": "Petra",
        "class_name": "1.Petra",
        "probability": landmarks[0][1],
    }


def test_generators_stream(classifier):
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield np.full((9, 9, 3), (0, 0, 255), np.uint8) if len(taken) % 5 else b"?"

    answers = classifier.stream_landmarks(endless(), k=1)
    for number in range(1, 100):
        _, answer = next(answers)
        if number % 5:
            assert answer == [("Stonehenge", 1.0)]
        else:
            assert isinstance(answer, InvalidInput)
        assert len(taken) <= number + 64
    answers.close()


@pytest.mark.parametrize("photo", [b"?", np.zeros((9, 9, 3)), Image.new("RGB", (9, 9))])
def test_one_photo_is_no_stream(classifier, photo):
    with pytest.raises(InvalidInput, match="^`photos` must be a list of photos. Rec"):
        next(classifier.stream_landmarks(photo))


def test_a_picture_may_be_streamed_more_than_once(classifier, tmp_path):
    Image.new("RGB", (900, 900), (0, 0, 255)).save(tmp_path / "a.png")
    for _ in range(5):
        with Image.open(tmp_path / "a.png") as picture:
            for _, answer in classifier.stream_landmarks([picture] * 8, k=1):
                assert answer == [("Stonehenge", 1.0)]


def test_a_folder_and_a_list_stream(run_dir, colored_dir):
    classifier = landmarks_tf.load_classifier(run_dir / "model_float32.tflite")
    folder = colored_dir / "test"
    answers = dict(classifier.stream_landmarks(folder))
    assert len(answers) == 15
    listed = dict(classifier.stream_landmarks([str(photo) for photo in answers]))
    for photo, landmarks in answers.items():
        assert landmarks.class_names[0] == photo.parent.name
        assert landmarks == listed[str(photo)]
        assert landmarks == classifier.predict_landmarks(photo)


@pytest.mark.parametrize("name", ["", "model_float32.tflite"])
def test_threads_share_a_classifier(run_dir, colored_dir, name):
    classifier = landmarks_tf.load_classifier(run_dir / name)
    photos = sorted((colored_dir / "test").rglob("*.jpg"))
    expected = [classifier.predict_landmarks(photo) for photo in photos]
    start = threading.Barrier(4)

    def ask(_):
        start.wait(60)
        return [classifier.predict_landmarks(photo) for photo in photos]

    with ThreadPoolExecutor(4) as pool:
        for answers in pool.map(ask, range(4)):
            for answer, alone in zip(answers, expected):
                assert answer.class_names == alone.class_names
                assert dict(answer) == pytest.approx(dict(alone), abs=1e-5)


def test_the_sentence_stands_over_the_picture(classifier):
    figure = classifier.suggest_locations(Image.new("RGB", (90, 60), (255, 0, 0)), k=2)
    (axes,) = figure.axes
    assert axes.get_title() == "Is this a picture of Eiffel Tower or Petra?"
    assert axes.images[0].get_array().shape == (60, 90, 3)
    unknown = classifier.suggest_locations(np.full((6, 9, 3), 0.5), k=1)
    assert unknown.axes[0].get_title().startswith("This is no landmark that I know. ")
    file = io.BytesIO()
    unknown.savefig(file)
    assert file.tell() > 1000


def test_a_model_explains_itself_and_a_tflite_file_cannot(run_dir, colored_dir):
    photo = colored_dir / "test/1.green/00.jpg"
    classifier = landmarks_tf.load_classifier(run_dir)
    with Image.open(photo) as image:
        explained = classifier.explain(photo)
        assert (explained.mode, explained.size) == ("RGB", image.size)
        changed = abs(np.asarray(explained).astype(int) - np.asarray(image))
    assert changed.max() > 50
    assert np.array_equal(explained, classifier.explain(photo.read_bytes()))
    large = Image.new("RGB", (3000, 1500), (30, 180, 40))
    assert classifier.explain(large).size == (1024, 512)
    other = landmarks_tf.load_classifier(run_dir / "model_float32.tflite")
    with pytest.raises(InvalidInput, match="^`explain` needs the .keras file of a run"):
        other.explain(photo)
