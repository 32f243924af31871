"""On real photos, where they are at hand: beside the project, in ../shared."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from landmarks_tf import graph_preprocessing
from landmarks_tf import split
from landmarks_tf.catalog import load_catalog
from landmarks_tf.preprocessing import load_pixels

SHARED = Path(__file__).parents[2] / "shared"
pytestmark = pytest.mark.skipif(
    not (SHARED / "landmarks50").is_dir(),
    reason="needs the real photos of ../shared/landmarks50, which are not here",
)


@pytest.fixture(scope="module")
def photos():
    return load_catalog(SHARED / "landmarks50")


def test_split_of_real_photos(photos):
    hashes = split.hash_photos(photos)
    divided = split.split_catalog(photos, hashes, 0.1, 0.2, seed=0)
    counts = {name: len(own) for name, own in divided.splits.items()}
    assert counts == {"train": 2069, "validation": 229, "test": 496}
    for name in split.SPLITS:
        assert divided.classes_without(name) == []


@pytest.mark.parametrize("image_size", [(224, 224), (800, 800)])
def test_both_halves_of_preprocessing_agree_on_real_photos(photos, image_size):
    preprocess = tf.function(
        lambda contents: graph_preprocessing.preprocess(contents, image_size),
        input_signature=[tf.TensorSpec([], tf.string)],
    )
    for path in photos.absolute_paths("test")[::25]:
        graph = preprocess(Path(path).read_bytes()).numpy().astype(int)
        pillow = load_pixels(path, image_size).astype(int)
        assert np.abs(graph - pillow).mean() < 0.3
        assert np.abs(graph - pillow).max() <= 2
