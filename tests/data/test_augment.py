import numpy as np
import tensorflow as tf

from landmarks_tf.data.augment import build_mixers
from landmarks_tf.data.augment import crop_and_flip
from landmarks_tf.data.augment import jitter_colors
from landmarks_tf.data.augment import mix_photos
from landmarks_tf.data.augment import random_view

# Red is the column, green the row: a view tells where it is from.
COLUMN, ROW = np.meshgrid(np.arange(200), np.arange(200))
PIXELS = tf.constant(np.stack([COLUMN, ROW, 0 * ROW], -1).astype(np.uint8))


def seed(number):
    return tf.constant([5, number], tf.int64)


def views(numbers, size=(200, 200)):
    return [crop_and_flip(PIXELS, seed(number), size).numpy() for number in numbers]


def test_a_view_is_decided_by_its_seed():
    one, again, other = views([1, 1, 2])
    assert one.shape == (200, 200, 3)
    assert one.dtype == np.uint8
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_a_view_is_a_quarter_of_the_photo_at_least_and_no_more_than_it():
    shares = []
    for view in views(range(200)):
        columns, rows = (np.ptp(view[..., axis].astype(int)) + 1 for axis in (0, 1))
        assert 3 / 4 - 0.03 < columns / rows < 4 / 3 + 0.03
        shares.append(columns * rows / 200**2)
    assert 0.24 < min(shares) < 0.35
    assert 0.9 < max(shares) <= 1


def test_a_view_is_the_same_at_any_size_of_the_photo():
    large = tf.image.resize(PIXELS, (800, 800))
    for number in range(20):
        view = views([number], (100, 100))[0].astype(int)
        other = crop_and_flip(tf.cast(large, tf.uint8), seed(number), (300, 300))
        small = tf.image.resize(other, (100, 100)).numpy()
        assert np.abs(view - small).max() < 2


def test_half_of_the_views_are_mirrored_and_none_is_upside_down():
    seen = views(range(200))
    mirrored = sum(view[0, 0, 0] > view[0, -1, 0] for view in seen)
    assert 75 < mirrored < 125
    assert all(view[0, 0, 1] < view[-1, 0, 1] for view in seen)


def test_a_view_has_the_size_that_was_asked_for():
    assert views([1], (100, 80))[0].shape == (100, 80, 3)


def test_colors_are_decided_by_their_seed_and_stay_in_place():
    photo = tf.fill((64, 64, 3), tf.constant(100, tf.uint8)) + [[0, 20, 40]]
    photo = tf.cast(photo, tf.uint8)
    seen = [jitter_colors(photo, seed(number)).numpy() for number in range(50)]
    assert np.array_equal(seen[3], jitter_colors(photo, seed(3)))
    # Brightness: the mean of each photo is that of its factor.
    factors = [view.mean() / 120 for view in seen]
    assert 0.68 < min(factors) < 0.8
    assert 1.2 < max(factors) < 1.32
    # Saturation: colours come nearer to grey and go farther from it.
    spans = [
        np.ptp(view[0, 0].astype(int)) / factor for view, factor in zip(seen, factors)
    ]
    assert min(spans) < 35 and max(spans) > 45
    # A photo of one colour stays one.
    assert all(np.ptp(view, axis=(0, 1)).max() == 0 for view in seen)


def test_contrast_changes_around_the_mean():
    photo = tf.concat([tf.fill((64, 32, 3), 100), tf.fill((64, 32, 3), 140)], 1)
    views = [
        jitter_colors(tf.cast(photo, tf.uint8), seed(n)).numpy() for n in range(50)
    ]
    spans = [np.ptp(v[..., 0].astype(int)) / v.mean() for v in views]
    assert min(spans) < 0.28 < 40 / 120 < 0.39 < max(spans)


def test_photos_are_mixed_as_their_targets_are():
    # Photo number i is all i, so that its mean tells its share.
    images = tf.ones((8, 64, 64, 3)) * tf.reshape(tf.range(8.0), (8, 1, 1, 1))
    targets = tf.eye(8)
    mixers, kinds = build_mixers(), set()
    for number in range(20):
        mixed, shares = mix_photos(mixers, images, targets, seed(number))
        again, same = mix_photos(mixers, images, targets, seed(number))
        assert np.array_equal(mixed, again) and np.array_equal(shares, same)
        np.testing.assert_allclose(np.sum(shares, 1), 1, atol=1e-5)
        means = np.mean(mixed, axis=(1, 2, 3))
        np.testing.assert_allclose(means, np.dot(shares, np.arange(8)), atol=0.25)
        values = [len(np.unique(np.round(photo, 4))) for photo in mixed]
        kinds.add("whole" if np.array_equal(mixed, images) else max(values))
    # MixUp leaves one value, CutMix two.
    assert kinds == {"whole", 1, 2}


def test_a_view_is_a_part_in_other_colors():
    plain = views([1], (90, 90))[0]
    view = random_view(PIXELS, seed(1), (90, 90)).numpy()
    assert view.shape == (90, 90, 3) and not np.array_equal(view, plain)
    assert np.abs(view.astype(float) - plain).mean() < 80
