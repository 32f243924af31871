import re
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from landmarks_tf.data.photo import load_images
from landmarks_tf.errors import InvalidInput
from landmarks_tf.inference import loading
from landmarks_tf.inference import photo_input


@pytest.fixture
def photo(colored_dir):
    return colored_dir / "test" / "1.green" / "00.jpg"


@pytest.mark.parametrize("name", ["", "model.keras", "model_float32.tflite"])
def test_every_file_of_a_run_gives_the_same_answer(run_dir, photo, name):
    classifier = loading.load_classifier(run_dir / name)
    assert classifier.class_names == ("0.red", "1.green", "2.blue")
    assert classifier.image_size == (64, 64)
    expected = loading.load_classifier(run_dir).predict(load_images(photo, 64))
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
    photos = photo_input.find_photos([colored_dir / "test"])
    assert len(photos) == 15
    paths = [bad, *photos, bad]
    classifier = loading.load_classifier(run_dir / name)
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
    classifier = loading.load_classifier(run_dir / "model_float32.tflite")
    assert list(classifier.predict_photos([])) == []


def test_answers_can_be_left_half_way(run_dir, colored_dir):
    photos = photo_input.find_photos([colored_dir / "test"])
    classifier = loading.load_classifier(run_dir / "model_float32.tflite")
    answers = classifier.predict_photos(photos)
    assert next(answers)[0] == photos[0]
    before = threading.active_count()
    answers.close()
    assert threading.active_count() < before


def test_threads_share_a_tflite_file(run_dir, colored_dir):
    classifier = loading.load_classifier(run_dir / "model_float32.tflite")
    photos = photo_input.find_photos([colored_dir / "test"]) * 20
    images = [load_images(photo, 64) for photo in photos]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(classifier.predict, images))
    for photo, answer in zip(photos, answers):
        best = classifier.top_landmarks(answer[0], 1)
        assert best.class_names == (photo.parent.name,)


def test_nothing_but_bad_photos_is_no_failure(run_dir, tmp_path):
    bad = tmp_path / "nowhere.jpg"
    classifier = loading.load_classifier(run_dir)
    ((_, answer),) = classifier.predict_photos([bad])
    assert str(answer) == f"{bad}: no such file"


@pytest.mark.parametrize("name", ["nowhere", "nowhere.keras", "labels.txt"])
def test_refuses_what_is_no_model(tmp_path, name):
    (tmp_path / "labels.txt").write_text("a\nb\n")
    with pytest.raises(InvalidInput, match="^`model` must be a run folder, a .keras"):
        loading.load_classifier(tmp_path / name)


def test_refuses_a_run_folder_with_a_file_missing(run_dir, tmp_path):
    (tmp_path / "labels.txt").write_text("a\nb\n")
    message = re.escape(f"{tmp_path} is not a whole run folder: no model.keras")
    with pytest.raises(InvalidInput, match=message):
        loading.load_classifier(tmp_path)
    path = tmp_path / "elsewhere" / "model.tflite"
    path.parent.mkdir()
    path.write_bytes((run_dir / "model_float32.tflite").read_bytes())
    with pytest.raises(InvalidInput, match="^no class names: .*labels.txt is missing"):
        loading.load_classifier(path)


@pytest.mark.parametrize("contents", [b"", b"not a model", b"\x1c\0\0\0TFL3" * 9])
def test_refuses_a_damaged_tflite_file(tmp_path, contents):
    (tmp_path / "labels.txt").write_text("a\nb\n")
    (tmp_path / "model.tflite").write_bytes(contents)
    with pytest.raises(InvalidInput, match="is not a TFLite model that loads$"):
        loading.load_classifier(tmp_path / "model.tflite")


@pytest.mark.parametrize("name", ["model.keras", "model_float32.tflite"])
def test_refuses_labels_that_do_not_fit(run_dir, tmp_path, name):
    (tmp_path / name).write_bytes((run_dir / name).read_bytes())
    (tmp_path / "labels.txt").write_text("a\nb\n")
    with pytest.raises(
        InvalidInput, match="has 3 outputs, but there are 2 class names"
    ):
        loading.load_classifier(tmp_path / name)
