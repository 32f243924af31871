"""On real photos, where they are at hand: beside the project, in ../shared."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from landmarks_tf.config import TrainConfig
from landmarks_tf.data import split
from landmarks_tf.data import tf_image
from landmarks_tf.data.file_check import check_files
from landmarks_tf.data.file_check import group_duplicates
from landmarks_tf.data.photo import load_pixels
from landmarks_tf.data.photo_set import load_photos
from landmarks_tf.export import tf_resize

SHARED = Path(__file__).parents[2] / "shared"
pytestmark = pytest.mark.skipif(
    not (SHARED / "landmarks50").is_dir(),
    reason="needs the real photos of ../shared/landmarks50, which are not here",
)


@pytest.fixture(scope="module")
def photos():
    return load_photos(SHARED / "landmarks50")


def test_a_picture_in_train_and_test_is_found_and_not_trained_on(photos):
    paths = [photo.path for photo in photos.all_photos()]
    checks = dict(zip(paths, check_files(photos.data_dir, paths)))
    wall = "train/19.Great_Wall_of_China/4b547698f1bd3580.jpg"
    same_wall = "test/19.Great_Wall_of_China/c599f5ffd9f1069c.jpg"
    groups = group_duplicates(checks)
    # Both seen to be the same pictures; there are crops, too, that are not found.
    assert sorted(sorted(group) for group in groups) == [
        [same_wall, wall],
        [
            "test/20.Ha_Long_Bay/24eac01b274af569.jpg",
            "test/20.Ha_Long_Bay/a94526b813c04c51.jpg",
        ],
    ]
    hashes = {path: found.sha256 for path, found in checks.items()}
    divided, left_out = split.split_photos(photos, hashes, TrainConfig(), groups)
    assert left_out == {wall: f"the same picture as {same_wall}"}
    counts = {name: len(own) for name, own in divided.splits.items()}
    assert counts == {"train": 2068, "validation": 229, "test": 496}
    for name in split.SPLITS:
        assert divided.classes_without(name) == []


@pytest.mark.parametrize("image_size", [(224, 224), (288, 288), (800, 800)])
def test_a_server_sees_real_photos_as_the_definition_does(photos, image_size):
    preprocess = tf.function(
        lambda contents: tf_resize.resize_exactly(
            tf_image.decode(contents), image_size
        ),
        input_signature=[tf.TensorSpec([], tf.string)],
    )
    for path in photos.absolute_paths("test")[::12]:
        graph = preprocess(Path(path).read_bytes()).numpy()
        assert np.array_equal(graph, load_pixels(path, image_size)), path


@pytest.mark.parametrize("image_size", [(224, 224), (800, 800)])
def test_both_halves_of_preprocessing_agree_on_real_photos(photos, image_size):
    preprocess = tf.function(
        lambda contents: tf_image.preprocess(contents, image_size),
        input_signature=[tf.TensorSpec([], tf.string)],
    )
    for path in photos.absolute_paths("test")[::25]:
        graph = preprocess(Path(path).read_bytes()).numpy().astype(int)
        pillow = load_pixels(path, image_size).astype(int)
        assert np.abs(graph - pillow).mean() < 0.3
        assert np.abs(graph - pillow).max() <= 2
