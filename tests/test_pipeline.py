import keras
import numpy as np
import pytest
import tensorflow as tf

from landmarks_tf import pipeline
from landmarks_tf.catalog import load_catalog
from landmarks_tf.options import TrainingOptions
from landmarks_tf.preprocessing import load_images

SIZE = 64
OPTIONS = TrainingOptions(image_size=SIZE, batch_size=8, epochs=3, seed=5)


@pytest.fixture
def photos(colored_dir):
    """37 training photos, 15 test photos: neither is a whole number of batches."""
    return load_catalog(colored_dir)


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
    dataset = pipeline.make_training_dataset(photos, OPTIONS)
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
    labels = read(pipeline.make_training_dataset(photos, OPTIONS))[1]
    keras.utils.set_random_seed(0)
    again = read(pipeline.make_training_dataset(photos, OPTIONS))[1]
    other = TrainingOptions(image_size=SIZE, batch_size=8, epochs=3, seed=6)
    assert np.array_equal(labels, again)
    assert not np.array_equal(
        labels, read(pipeline.make_training_dataset(photos, other))[1]
    )


def test_a_resumed_run_sees_what_an_unbroken_one_would(photos):
    whole = read(pipeline.make_training_dataset(photos, OPTIONS))
    rest = read(pipeline.make_training_dataset(photos, OPTIONS, initial_epoch=2))
    for unbroken, resumed in zip(whole, rest):
        assert np.array_equal(unbroken[74:], resumed)


def test_keeping_images_in_memory_changes_nothing(photos, monkeypatch):
    kept = read(pipeline.make_training_dataset(photos, OPTIONS))
    monkeypatch.setattr(pipeline, "MAX_CACHED_BYTES", 0)
    fresh = read(pipeline.make_training_dataset(photos, OPTIONS))
    for one, other in zip(kept, fresh):
        assert np.array_equal(one, other)


def test_kept_images_are_read_once(photos, tmp_path):
    copies = load_catalog(copy_photos(photos, tmp_path))
    dataset = pipeline.make_dataset(copies, "test", SIZE, 8)
    first = read(dataset)
    for path in copies.absolute_paths("test"):
        open(path, "w").close()
    assert np.array_equal(read(dataset)[0], first[0])


def copy_photos(photos, folder):
    for photo in photos.all_photos():
        target = folder / photo.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((photos.data_dir / photo.path).read_bytes())
    return folder


def test_unreadable_photos_are_found_and_their_reasons_told(photos, tmp_path):
    folder = copy_photos(photos, tmp_path)
    good = (folder / "train/0.red/00.jpg").read_bytes()
    (folder / "train/0.red/empty.jpg").write_bytes(b"")
    (folder / "train/1.green/half.jpg").write_bytes(good[: len(good) // 2])
    (folder / "test/2.blue/text.jpg").write_text("not a photo")
    (folder / "test/2.blue/wrong_name.jpg").write_bytes(
        (folder / "train/0.red/extra.png").read_bytes()
    )
    reasons = pipeline.find_unreadable(load_catalog(folder))
    assert list(reasons) == [
        "train/0.red/empty.jpg",
        "train/1.green/half.jpg",
        "test/2.blue/text.jpg",
    ]
    assert reasons["train/0.red/empty.jpg"] == "empty file"
    assert reasons["train/1.green/half.jpg"].startswith("damaged (")
    assert reasons["test/2.blue/text.jpg"].startswith("not a photo")
