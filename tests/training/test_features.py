import keras
import numpy as np
import pytest

from landmarks_tf.config import TrainConfig
from landmarks_tf.models.transfer import build_feature_extractor
from landmarks_tf.training.features import digest_extractor
from landmarks_tf.training.features import extract_features
from landmarks_tf.training.features import make_feature_training_dataset

SIZE = 32
CONTENTS = [f"photo {index}" for index in range(7)]
BATCH_SIZE = 3


@pytest.fixture(scope="module")
def extractor():
    keras.utils.set_random_seed(0)
    return build_feature_extractor("MobileNetV2", "none", (SIZE, SIZE))


class Photos:
    """Invented images, a third of a batch at a time; counts those asked for."""

    def __init__(self, fails_after=None):
        self.images = np.random.default_rng(0).random((7, SIZE, SIZE, 3), np.float32)
        self.asked = []
        self.fails_after = fails_after

    def __call__(self, indices):
        for start in range(0, len(indices), BATCH_SIZE):
            if self.fails_after is not None and len(self.asked) >= self.fails_after:
                raise KeyboardInterrupt
            batch = indices[start : start + BATCH_SIZE]
            self.asked += batch
            yield self.images[batch], None


@pytest.fixture
def kept(extractor, tmp_path):
    """A memory of the seven photos."""
    database = tmp_path / "cache" / "features.sqlite"
    extract_features(extractor, CONTENTS, Photos(), database)
    return database


def test_features_are_those_of_the_network_in_order(extractor, tmp_path):
    photos = Photos()
    counts = []
    features = extract_features(
        extractor, CONTENTS, photos, tmp_path / "f.sqlite", counts.append
    )
    expected = extractor.predict(photos.images, verbose=0)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)
    assert counts == [0, 3, 3, 1]


def test_what_is_kept_is_not_computed_again(extractor, kept):
    photos = Photos()
    again = extract_features(extractor, CONTENTS[::-1], photos, kept)
    assert photos.asked == []
    fresh = extract_features(extractor, CONTENTS, Photos(), kept.with_name("other"))
    assert np.array_equal(again[::-1], fresh)


def test_a_changed_photo_alone_is_computed_again(extractor, kept):
    photos = Photos()
    changed = [*CONTENTS[:4], "another", *CONTENTS[5:]]
    extract_features(extractor, changed, photos, kept)
    assert photos.asked == [4]


def test_a_changed_weight_changes_everything(extractor, kept):
    weight = extractor.weights[40]
    before = weight.numpy()
    changed = before.copy()
    changed.flat[0] = np.nextafter(changed.flat[0], np.float32(2))
    photos = Photos()
    try:
        weight.assign(changed)
        extract_features(extractor, CONTENTS, photos, kept)
    finally:
        weight.assign(before)
    assert photos.asked == list(range(7))
    again = Photos()
    extract_features(extractor, CONTENTS, again, kept)
    assert again.asked == []


def test_another_size_or_backbone_has_another_digest(extractor):
    digests = {digest_extractor(extractor)}
    for backbone, size in (("MobileNetV2", 64), ("MobileNetV3Small", SIZE)):
        other = build_feature_extractor(backbone, "none", (size, size))
        if backbone == "MobileNetV2":
            other.set_weights(extractor.get_weights())
        digests.add(digest_extractor(other))
    assert len(digests) == 3
    same = build_feature_extractor("MobileNetV2", "none", (SIZE, SIZE))
    same.set_weights(extractor.get_weights())
    assert digest_extractor(same) in digests


def test_a_run_that_is_stopped_keeps_what_it_had(extractor, tmp_path):
    database = tmp_path / "f.sqlite"
    with pytest.raises(KeyboardInterrupt):
        extract_features(extractor, CONTENTS, Photos(fails_after=6), database)
    photos = Photos()
    extract_features(extractor, CONTENTS, photos, database)
    assert photos.asked == [6]


def test_a_damaged_memory_is_no_hindrance(extractor, kept):
    contents = bytearray(kept.read_bytes())
    contents[4096:] = bytes(len(contents) - 4096)
    kept.write_bytes(contents)
    photos = Photos()
    assert extract_features(extractor, CONTENTS, photos, kept).shape == (7, 1280)
    assert photos.asked == list(range(7))


def test_the_same_photo_twice_is_computed_and_placed_twice(extractor, tmp_path):
    contents = [*CONTENTS[:6], CONTENTS[0]]
    features = extract_features(extractor, contents, Photos(), tmp_path / "f.sqlite")
    assert len(features) == 7
    assert np.array_equal(features[0], features[6])


def test_an_epoch_shows_the_features_of_each_photo_once():
    config = TrainConfig(image_size=64, batch_size=8, epochs=3)
    features = np.arange(37, dtype=np.float32).reshape(37, 1)
    labels = list(range(37))
    dataset = make_feature_training_dataset(features, labels, config)
    shown, named = map(np.concatenate, zip(*dataset.as_numpy_iterator()))
    assert sorted(named[:37]) == labels
    assert np.array_equal(shown[:, 0], named)
