import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from landmarks_tf.config import TrainConfig
from landmarks_tf.data import pipeline
from landmarks_tf.data import tf_image
from landmarks_tf.data.photo import load_images
from landmarks_tf.data.photo_set import load_photos
from landmarks_tf.data.pipeline import chain_epochs
from landmarks_tf.data.pipeline import count_steps
from landmarks_tf.data.pixels import DiskCache
from landmarks_tf.data.pixels import MemoryCache
from landmarks_tf.data.split import Share
from landmarks_tf.data.split import WHOLE

SIZE = 64
CONFIG = TrainConfig(image_size=SIZE, batch_size=8, epochs=3, seed=5)
SHARED = dataclasses.replace(CONFIG, epochs=2, augmentation="crop_flip_color")
GROWING = TrainConfig(
    image_size=128,
    batch_size=4,
    epochs=4,
    augmentation="crop_flip_color",
    training_sizes=(64, 128),
)
# Each has two devices: of 37 photos the last batch has 5, of which 4 divide by them.
TWO = [Share(2, index, 4) for index in range(2)]


@pytest.fixture
def photos(colored_dir):
    """37 training photos, 15 test photos: neither is a whole number of batches."""
    return load_photos(colored_dir)


@pytest.fixture
def validated(photos):
    """With the test photos for validation too."""
    splits = dict(photos.splits) | {"validation": photos.splits["test"]}
    return dataclasses.replace(photos, splits=splits)


def read_batches(dataset):
    return [[column.numpy() for column in batch] for batch in dataset]


def read(dataset):
    images, labels = zip(*dataset.as_numpy_iterator())
    return np.concatenate(images), np.concatenate(labels)


def test_batches_are_as_the_contract_says(photos):
    dataset = pipeline.make_dataset(photos, "test", (SIZE, 96), 8)
    assert dataset.element_spec == (
        tf.TensorSpec((None, SIZE, 96, 3), tf.float32),
        tf.TensorSpec((None,), tf.int32),
    )
    images, labels = next(dataset.as_numpy_iterator())
    assert images.shape == (8, SIZE, 96, 3)
    assert 0 <= images.min() < images.max() <= 1
    assert labels.dtype == np.int32


def test_evaluation_sees_every_image_once_and_in_order(photos):
    dataset = pipeline.make_dataset(photos, "test", SIZE, 8)
    images, labels = read(dataset)
    assert [len(batch) for _, batch in dataset] == [8, 7]
    assert labels.tolist() == photos.labels("test")
    expected = load_images(photos.absolute_paths("test"), SIZE)
    assert np.abs(images - expected).mean() * 255 < 0.5


def test_an_epoch_sees_every_image_once_in_an_order_of_its_own(photos):
    dataset = pipeline.make_training_dataset(photos, CONFIG)
    assert len(dataset) == 3 * 5
    images, labels = read(dataset)
    epochs = [images[start : start + 37] for start in (0, 37, 74)]
    sums = [epoch.sum(axis=(1, 2, 3)) for epoch in epochs]
    np.testing.assert_allclose(np.sort(sums[0]), np.sort(sums[1]))
    assert len(np.unique(sums[0])) == 37
    assert not np.array_equal(sums[0], sums[1])
    assert not np.array_equal(sums[1], sums[2])
    assert not np.array_equal(labels[:37], np.sort(labels[:37]))


def test_order_depends_on_the_seed_alone(photos):
    labels = read(pipeline.make_training_dataset(photos, CONFIG))[1]
    keras.utils.set_random_seed(0)
    again = read(pipeline.make_training_dataset(photos, CONFIG))[1]
    other = TrainConfig(image_size=SIZE, batch_size=8, epochs=3, seed=6)
    assert np.array_equal(labels, again)
    assert not np.array_equal(
        labels, read(pipeline.make_training_dataset(photos, other))[1]
    )


def test_a_resumed_run_sees_what_an_unbroken_one_would(photos):
    whole = read(pipeline.make_training_dataset(photos, CONFIG))
    rest = read(pipeline.make_training_dataset(photos, CONFIG, initial_epoch=2))
    for unbroken, resumed in zip(whole, rest):
        assert np.array_equal(unbroken[74:], resumed)


@pytest.fixture(params=["memory", "disk"])
def cache(request, tmp_path):
    return MemoryCache() if request.param == "memory" else DiskCache(tmp_path)


@pytest.mark.parametrize("augmentation", ["none", "crop_flip_color"])
def test_keeping_images_changes_nothing(photos, cache, augmentation):
    config = dataclasses.replace(CONFIG, augmentation=augmentation)
    fresh = read(pipeline.make_training_dataset(photos, config))
    kept = read(pipeline.make_training_dataset(photos, config, cache=cache))
    for one, other in zip(kept, fresh):
        assert np.array_equal(one, other)


def test_kept_images_are_decoded_once(photos, cache, monkeypatch):
    decoded = []
    decode = tf_image.preprocess

    def count(contents, image_size):
        tf.py_function(lambda: decoded.append(1), [], [])
        return decode(contents, image_size)

    monkeypatch.setattr(tf_image, "preprocess", count)
    read(pipeline.make_training_dataset(photos, CONFIG, cache=cache))
    assert len(decoded) == 37
    evaluation = pipeline.make_dataset(photos, "test", SIZE, 8, cache)
    first, second = read(evaluation), read(evaluation)
    assert np.array_equal(first[0], second[0])
    assert len(decoded) == 37 + 15


def test_views_of_an_image_differ_in_each_epoch(photos):
    config = dataclasses.replace(CONFIG, augmentation="crop_flip_color")
    photos = dataclasses.replace(
        photos, splits=photos.splits | {"train": photos.splits["train"][:1]}
    )
    images = read(pipeline.make_training_dataset(photos, config))[0]
    assert len(images) == 3
    assert not np.array_equal(images[0], images[1])
    assert not np.array_equal(images[1], images[2])


@pytest.mark.parametrize(
    ("network_size", "augmentation"),
    [(0, "none"), (64, "none"), (64, "crop_flip_color")],
)
def test_training_shows_images_of_its_own_size(photos, network_size, augmentation):
    config = dataclasses.replace(
        CONFIG,
        image_size=256,
        network_size=network_size,
        augmentation=augmentation,
    )
    images, labels = next(iter(pipeline.make_training_dataset(photos, config)))
    size = network_size or 256
    assert images.shape == (8, size, size, 3)
    assert 0 <= images.numpy().min() < images.numpy().max() <= 1
    assert labels.dtype == tf.int32


def test_photos_are_mixed_in_all_epochs_but_the_last(photos):
    config = dataclasses.replace(CONFIG, mixing="cutmix_mixup")
    assert config.num_mixed_epochs == 3
    config = dataclasses.replace(config, epochs=5)
    assert config.num_mixed_epochs == 4
    images, targets = read(pipeline.make_training_dataset(photos, config))
    assert targets.shape == (5 * 37, 3) and targets.dtype == np.float32
    np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-5)
    is_whole = targets.max(axis=1) == 1
    assert is_whole[4 * 37 :].all() and not is_whole[: 4 * 37].all()
    rest = read(pipeline.make_training_dataset(photos, config, initial_epoch=3))
    assert np.array_equal(images[3 * 37 :], rest[0])
    assert np.array_equal(targets[3 * 37 :], rest[1])


def test_each_epoch_shows_images_of_its_size(photos):
    config = dataclasses.replace(
        CONFIG,
        image_size=128,
        training_sizes=(64, 128, 96),
        augmentation="crop_flip_color",
    )
    dataset = pipeline.make_training_dataset(photos, config)
    assert dataset.element_spec[0].shape == (None, None, None, 3)
    shapes = [images.shape[1:3] for images, _ in dataset]
    assert shapes == [(64, 64)] * 5 + [(128, 128)] * 5 + [(96, 96)] * 5


def test_a_resumed_run_sees_the_views_an_unbroken_one_would(photos):
    config = dataclasses.replace(CONFIG, augmentation="crop_flip_color")
    whole = read(pipeline.make_training_dataset(photos, config))
    rest = read(pipeline.make_training_dataset(photos, config, initial_epoch=2))
    for unbroken, resumed in zip(whole, rest):
        assert np.array_equal(unbroken[74:], resumed)


def test_two_hosts_see_together_what_one_sees(photos):
    one, *shares = (
        read_batches(pipeline.make_training_dataset(photos, SHARED, share=share))
        for share in (WHOLE, *TWO)
    )
    assert [len(labels) for _, labels in shares[0]] == [4, 4, 4, 4, 2] * 2
    for whole, first, second in zip(one, *shares, strict=True):
        for column, *parts in zip(whole, first, second, strict=True):
            together = np.concatenate(parts)
            np.testing.assert_array_equal(together, column[: len(together)])


def test_a_last_batch_of_fewer_photos_than_devices_is_left_out():
    assert count_steps(37, 8) == 5
    assert count_steps(37, 8, Share(2, 0, 4)) == 5
    assert count_steps(35, 8, Share(2, 0, 4)) == 4
    config = TrainConfig(image_size=64, batch_size=18, epochs=3)
    many = Share(3, 0, 6)
    assert count_steps(37, config.batch_size, many) == 2


def test_hosts_mix_photos_each_in_its_own_way(photos):
    config = TrainConfig(image_size=64, batch_size=8, epochs=2, mixing="cutmix_mixup")
    shares = [
        read_batches(pipeline.make_training_dataset(photos, config, share=share))
        for share in TWO
    ]
    is_mixed = [
        [bool((targets.max(axis=1) < 1).any()) for _, targets in share]
        for share in shares
    ]
    assert is_mixed[0] != is_mixed[1]


def test_validation_counts_every_photo_once(validated):
    one, *shares = (
        read_batches(pipeline.make_validation_dataset(validated, 64, 8, share=share))
        for share in (WHOLE, *TWO)
    )
    # 15 photos are filled up to 16.
    assert [len(weights) for *_, weights in shares[0]] == [4, 4]
    weights = np.concatenate([batch[2] for share in shares for batch in share])
    assert sorted(weights) == [0] + [pytest.approx(16 / 15)] * 15
    for whole, *parts in zip(one, *shares, strict=True):
        images, labels, weights = map(np.concatenate, zip(*parts))
        np.testing.assert_array_equal(images[weights > 0], whole[0])
        np.testing.assert_array_equal(labels[weights > 0], whole[1])


def chained(initial_epoch=0, sizes=None):
    def load(shuffled, epoch, size):
        (sizes if sizes is not None else []).append(size)
        labelled = shuffled.map(lambda place, example: (example, epoch, size))
        return labelled.batch(GROWING.batch_size)

    examples = tf.data.Dataset.range(10)
    batches = chain_epochs(examples, load, GROWING, initial_epoch)
    assert len(batches) == 3 * (4 - initial_epoch)
    return [tuple(map(int, row)) for row in batches.unbatch().as_numpy_iterator()]


def test_each_epoch_holds_every_example_once_in_an_order_of_its_own():
    rows = chained()
    epochs = [[e for e, epoch, _ in rows if epoch == number] for number in range(4)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_each_size_is_traced_once_and_has_its_epochs():
    sizes = []
    rows = chained(sizes=sizes)
    assert sizes == [64, 128]
    assert [size for *_, size in rows] == [64] * 20 + [128] * 20


def test_the_epochs_to_come_are_those_of_the_whole_run():
    assert chained(3) == chained()[30:]
    assert chained(1) == chained()[10:]
    assert chained(4) == []
