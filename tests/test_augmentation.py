import numpy as np
import tensorflow as tf

from landmarks_tf.augmentation import crop_and_flip

# Red is the column, green the row: a view tells where it is from.
COLUMN, ROW = np.meshgrid(np.arange(200), np.arange(200))
PIXELS = tf.constant(np.stack([COLUMN, ROW, 0 * ROW], -1).astype(np.uint8))


def views(seeds):
    return [crop_and_flip(PIXELS, tf.constant([5, n], tf.int64)).numpy() for n in seeds]


def test_a_view_is_decided_by_its_seed():
    one, again, other = views([1, 1, 2])
    assert one.shape == (200, 200, 3)
    assert one.dtype == np.uint8
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_a_view_is_a_third_of_the_photo_at_least_and_no_more_than_it():
    shares = []
    for view in views(range(200)):
        columns, rows = (np.ptp(view[..., axis].astype(int)) + 1 for axis in (0, 1))
        assert 3 / 4 - 0.03 < columns / rows < 4 / 3 + 0.03
        shares.append(columns * rows / 200**2)
    assert 0.33 < min(shares) < 0.45
    assert 0.9 < max(shares) <= 1


def test_half_of_the_views_are_mirrored_and_none_is_upside_down():
    seen = views(range(200))
    mirrored = sum(view[0, 0, 0] > view[0, -1, 0] for view in seen)
    assert 75 < mirrored < 125
    assert all(view[0, 0, 1] < view[-1, 0, 1] for view in seen)
