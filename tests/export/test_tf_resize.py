import io

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies
from photo_corpus import CORPUS
from PIL import Image

from landmarks_tf.data import tf_image
from landmarks_tf.data.photo import resize
from landmarks_tf.export import tf_resize

SIZES = strategies.integers(1, 200)


@settings(max_examples=150, deadline=None)
@given(SIZES, SIZES, SIZES, SIZES, strategies.integers(0, 2**32 - 1))
def test_no_pixel_differs_from_the_definition(height, width, tall, wide, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    ours = tf_resize.resize_exactly(tf.constant(pixels), (tall, wide)).numpy()
    expected = resize(Image.fromarray(pixels), (tall, wide))
    assert ours.dtype == np.uint8
    assert np.array_equal(ours, np.asarray(expected))


@pytest.mark.parametrize("shape", [(3000, 4000), (37, 5000), (5000, 1)])
def test_a_large_photo_is_resized_exactly_too(shape):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    ours = tf_resize.resize_exactly(tf.constant(pixels), (224, 288)).numpy()
    expected = resize(Image.fromarray(pixels), (224, 288))
    assert np.array_equal(ours, np.asarray(expected))


def test_white_stays_white():
    white = tf.fill((300, 77, 3), np.uint8(255))
    assert tf_resize.resize_exactly(white, (64, 64)).numpy().min() == 255


def test_the_definition_is_what_pillow_does_within_a_grey_level():
    for make in CORPUS.values():
        with Image.open(io.BytesIO(make())) as image:
            photo = image.convert("RGB")
        ours = np.asarray(resize(photo, (50, 70)), int)
        pillows = photo.resize((70, 50), Image.Resampling.BILINEAR)
        assert np.abs(ours - np.asarray(pillows, int)).max() <= 1


def test_the_quick_resize_is_within_a_grey_level():
    pixels = np.random.default_rng(0).integers(0, 256, (300, 200, 3), np.uint8)
    for size in ((64, 64), (400, 500)):
        exact = tf_resize.resize_exactly(tf.constant(pixels), size).numpy()
        quick = tf_image.resize(tf.constant(pixels), size).numpy()
        assert np.abs(exact.astype(int) - quick).max() <= 1
