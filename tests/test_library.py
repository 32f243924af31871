"""The library's photos and model, local ones and those of a store with a scheme."""

import shutil

import numpy as np
import pytest

from landmarks_tf import photo_input
from landmarks_tf import prediction
from landmarks_tf.errors import InvalidInput

pytest.importorskip("apache_beam", reason='needs pip install -e ".[beam]"')
pytestmark = pytest.mark.long

import other_store  # noqa: E402
from other_store import other  # noqa: E402

from landmarks_tf import library  # noqa: E402


def test_local_photos_are_those_of_predict_py(colored_dir):
    listed = library.list_photos(str(colored_dir))
    assert listed == [str(path) for path in photo_input.find_photos([colored_dir])]
    pattern = f"{colored_dir}/test/*/00.jpg"
    assert len(library.list_photos(pattern)) == 3


def test_a_store_is_listed_as_a_folder_is(colored_dir):
    listed = library.list_photos(other(colored_dir))
    assert sorted(listed) == sorted(map(other, library.list_photos(str(colored_dir))))
    assert len(library.list_photos(other(f"{colored_dir}/test/*/00.jpg"))) == 3


@pytest.mark.parametrize(
    "named, message",
    [
        ("nowhere", "no such file or folder: photos=nowhere"),
        ("nowhere/*.jpg", "no file or folder fits nowhere/\\*.jpg"),
        ("other:///nowhere", "no photos fit photos=other:///nowhere"),
        ("unheard-of://photos", "`photos`: Unable to get filesystem"),
    ],
)
def test_no_photos_are_refused(named, message):
    with pytest.raises(InvalidInput, match=message):
        library.list_photos(named)


def test_a_photo_of_a_store_is_the_same_picture(colored_dir):
    path = str(colored_dir / "test" / "1.green" / "00.jpg")
    assert str(library.open_photo(path)) == path
    here, there = (
        np.asarray(photo_input.open_photo(library.open_photo(name)))
        for name in (path, other(path))
    )
    np.testing.assert_array_equal(here, there)


def test_a_photo_that_is_gone_is_bad_but_not_one_whose_store_fails(
    colored_dir, monkeypatch
):
    gone = other(colored_dir / "gone.jpg")
    with pytest.raises(InvalidInput, match=f"{gone}: no such file"):
        photo_input.open_photo(library.open_photo(gone))
    monkeypatch.setattr(
        other_store.OtherStore, "open", lambda *_: 1 / 0  # any failure of a store
    )
    path = other(colored_dir / "test" / "1.green" / "00.jpg")
    with pytest.raises(ZeroDivisionError):
        photo_input.open_photo(library.open_photo(path))


def test_the_largest_tflite_file_of_a_run_is_taken(run_dir, tmp_path):
    name = "model_float32.tflite"
    assert library.find_model(str(run_dir)) == str(run_dir / name)
    assert library.find_model(other(run_dir)) == other(run_dir / name)
    small = tmp_path / "model_int8.tflite"
    shutil.copy(run_dir / name, small)
    assert library.find_model(str(tmp_path)) == str(small)
    assert library.find_model(str(small)) == str(small)


@pytest.mark.parametrize("scheme", ["", "other://"])
def test_a_run_without_a_tflite_file_is_refused(tmp_path, scheme):
    with pytest.raises(InvalidInput, match="`model` must be a .tflite file or a run"):
        library.find_model(f"{scheme}{tmp_path}")


@pytest.mark.parametrize(
    "model, message",
    [
        ("nowhere", "no such file or folder: model=nowhere"),
        ("unheard-of://model.tflite", "`model`: Unable to get filesystem"),
    ],
)
def test_a_model_out_of_reach_is_refused(model, message):
    with pytest.raises(InvalidInput, match=message):
        library.find_model(model)


def test_a_model_of_a_store_comes_with_its_labels_and_threshold(run_dir):
    near = library.LocalModel(str(run_dir / "model_float32.tflite"))
    far = library.LocalModel(other(near.path))
    assert near.path != far.path
    classifiers = [prediction.load_classifier(model.path) for model in (near, far)]
    assert classifiers[0].class_names == classifiers[1].class_names
    assert classifiers[0].threshold == classifiers[1].threshold > 0
    same = near.fingerprint(classifiers[0])
    assert same == far.fingerprint(classifiers[1])
    (far.path.parent / "metrics.json").unlink()
    assert same != far.fingerprint(prediction.load_classifier(far.path))
