import io
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

import landmarks_tf
from landmarks_tf.data.photo import load_images
from landmarks_tf.data.photo_set import find_photos
from landmarks_tf.errors import InvalidInput
from landmarks_tf.inference.classifier import Classifier
from landmarks_tf.inference.classifier import load_classifier

NAMES = ("0.Eiffel_Tower", "1.Petra", "2.Stonehenge")


def redness(images):
    """Answers by how red, green and blue photos are."""
    sums = images.sum(axis=(1, 2))
    return sums / sums.sum(axis=1, keepdims=True)


@pytest.fixture
def classifier():
    return Classifier(NAMES, (8, 8), redness, threshold=0.6)


def test_landmarks_are_sorted_and_no_more_than_there_are(classifier):
    prediction = classifier.top_landmarks(np.array([0.2, 0.5, 0.3]), 9)
    assert prediction == [("Petra", 0.5), ("Stonehenge", 0.3), ("Eiffel Tower", 0.2)]
    assert prediction.class_names == ("1.Petra", "2.Stonehenge", "0.Eiffel_Tower")
    with pytest.raises(
        InvalidInput, match="^`k` must be an integer of at least 1. Received: k=0$"
    ):
        classifier.top_landmarks(np.array([0.2, 0.5, 0.3]), 0)


@pytest.mark.parametrize(
    "color, is_known, answer",
    [((0, 200, 0), True, "Petra"), ((90, 100, 80), False, "no known landmark")],
)
def test_below_the_threshold_no_landmark_is_known(classifier, color, is_known, answer):
    prediction = classifier.predict_landmarks(Image.new("RGB", (30, 20), color), k=2)
    assert (prediction.is_known, prediction.answer) == (is_known, answer)
    assert prediction[0][0] == "Petra" and len(prediction) == 2
    record = prediction.to_record("a.jpg")
    assert (record["photo"], record["is_known"]) == ("a.jpg", is_known)
    assert record["landmarks"][0] == {
        "name": "Petra",
        "class_name": "1.Petra",
        "probability": prediction[0][1],
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
    for photo, prediction in answers.items():
        assert prediction.class_names[0] == photo.parent.name
        assert prediction == listed[str(photo)]
        assert prediction == classifier.predict_landmarks(photo)


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


@pytest.fixture
def photo(colored_dir):
    return colored_dir / "test" / "1.green" / "00.jpg"


@pytest.mark.parametrize("name", ["", "model.keras", "model_float32.tflite"])
def test_every_file_of_a_run_gives_the_same_answer(run_dir, photo, name):
    classifier = load_classifier(run_dir / name)
    assert classifier.class_names == ("0.red", "1.green", "2.blue")
    assert classifier.image_size == (64, 64)
    expected = load_classifier(run_dir).predict(load_images(photo, 64))
    ((path, probabilities),) = classifier.predict_photos([photo])
    assert path == photo
    np.testing.assert_allclose(probabilities, expected[0], atol=1e-5)
    ((best, probability),) = classifier.top_landmarks(probabilities, 1)
    assert best == "green"
    assert probability == pytest.approx(probabilities.max())


@pytest.mark.parametrize("name", ["model.keras", "model_float32.tflite"])
def test_photos_in_order_with_the_unreadable_ones_named(
    run_dir, colored_dir, tmp_path, name
):
    bad = tmp_path / "bad.jpg"
    bad.write_text("not a photo")
    photos = find_photos([colored_dir / "test"])
    assert len(photos) == 15
    paths = [bad, *photos, bad]
    classifier = load_classifier(run_dir / name)
    answers = list(classifier.predict_photos(paths))
    assert [path for path, _ in answers] == paths
    assert [isinstance(answer, InvalidInput) for _, answer in answers] == (
        [True] + [False] * 15 + [True]
    )
    for path, answer in answers[1:-1]:
        assert classifier.top_landmarks(answer, 1).class_names == (path.parent.name,)
        alone = classifier.predict(load_images(path, 64))
        np.testing.assert_allclose(answer, alone[0], atol=1e-6)


def test_no_photos_have_no_answers(run_dir):
    classifier = load_classifier(run_dir / "model_float32.tflite")
    assert list(classifier.predict_photos([])) == []


def test_answers_can_be_left_half_way(run_dir, colored_dir):
    photos = find_photos([colored_dir / "test"])
    classifier = load_classifier(run_dir / "model_float32.tflite")
    answers = classifier.predict_photos(photos)
    assert next(answers)[0] == photos[0]
    before = threading.active_count()
    answers.close()
    assert threading.active_count() < before


def test_threads_share_a_tflite_file(run_dir, colored_dir):
    classifier = load_classifier(run_dir / "model_float32.tflite")
    photos = find_photos([colored_dir / "test"]) * 20
    images = [load_images(photo, 64) for photo in photos]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(classifier.predict, images))
    for photo, answer in zip(photos, answers):
        best = classifier.top_landmarks(answer[0], 1)
        assert best.class_names == (photo.parent.name,)


def test_nothing_but_bad_photos_is_no_failure(run_dir, tmp_path):
    bad = tmp_path / "nowhere.jpg"
    classifier = load_classifier(run_dir)
    ((_, answer),) = classifier.predict_photos([bad])
    assert str(answer) == f"{bad}: no such file"


@pytest.mark.parametrize("name", ["nowhere", "nowhere.keras", "labels.txt"])
def test_refuses_what_is_no_model(tmp_path, name):
    (tmp_path / "labels.txt").write_text("a\nb\n")
    with pytest.raises(InvalidInput, match="^`model` must be a run folder, a .keras"):
        load_classifier(tmp_path / name)


def test_refuses_a_run_folder_with_a_file_missing(run_dir, tmp_path):
    (tmp_path / "labels.txt").write_text("a\nb\n")
    message = re.escape(f"{tmp_path} is not a whole run folder: no model.keras")
    with pytest.raises(InvalidInput, match=message):
        load_classifier(tmp_path)
    path = tmp_path / "elsewhere" / "model.tflite"
    path.parent.mkdir()
    path.write_bytes((run_dir / "model_float32.tflite").read_bytes())
    with pytest.raises(InvalidInput, match="^no class names: .*labels.txt is missing"):
        load_classifier(path)


@pytest.mark.parametrize("contents", [b"", b"not a model", b"\x1c\0\0\0TFL3" * 9])
def test_refuses_a_damaged_tflite_file(tmp_path, contents):
    (tmp_path / "labels.txt").write_text("a\nb\n")
    (tmp_path / "model.tflite").write_bytes(contents)
    with pytest.raises(InvalidInput, match="is not a TFLite model that loads$"):
        load_classifier(tmp_path / "model.tflite")


@pytest.mark.parametrize("name", ["model.keras", "model_float32.tflite"])
def test_refuses_labels_that_do_not_fit(run_dir, tmp_path, name):
    (tmp_path / name).write_bytes((run_dir / name).read_bytes())
    (tmp_path / "labels.txt").write_text("a\nb\n")
    with pytest.raises(
        InvalidInput, match="has 3 outputs, but there are 2 class names"
    ):
        load_classifier(tmp_path / name)
