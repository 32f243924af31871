"""Both halves of the one definition: Pillow's and TensorFlow's."""

import io
import os
import re

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies
from photo_corpus import CORPUS
from photo_corpus import draw_scene
from photo_corpus import encode
from PIL import Image
from PIL import ImageOps

import landmarks_tf
from landmarks_tf.data import tf_image
from landmarks_tf.data.photo import load_pixels
from landmarks_tf.data.photo import normalize
from landmarks_tf.data.photo import unreadable_reason
from landmarks_tf.errors import InvalidInput

SIZES = [(64, 48), (300, 400), (40, 500)]  # shrinking, enlarging, both at once
graph_decode = tf.function(
    tf_image.decode, input_signature=[tf.TensorSpec([], tf.string)]
)
graph_orientation = tf.function(
    tf_image.read_orientation,
    input_signature=[tf.TensorSpec([], tf.string)],
)


def with_orientation(orientation, endian="<"):
    exif = Image.Exif()
    exif.endian = endian
    exif[0x010F] = "a maker's name, so that orientation is not the first entry"
    exif[0x0112] = orientation
    return encode(draw_scene(), "JPEG", exif=exif, quality=90)


def difference(contents, image_size):
    """Mean difference in grey levels between the two halves."""
    pillow = load_pixels(io.BytesIO(contents), image_size)
    graph = tf_image.resize(graph_decode(contents), image_size).numpy()
    assert graph.dtype == pillow.dtype == np.uint8
    return np.abs(graph.astype(int) - pillow).mean()


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(with_orientation(1))
    return path


@pytest.mark.parametrize("image_size", [-3, 0, 2.5, (3,), (4, 5, 6), (8, -8), "800"])
def test_refuses_an_image_size(image_size, photo):
    message = re.escape(f"Received: image_size={image_size}")
    with pytest.raises(InvalidInput, match=f"^`image_size` must be .*{message}$"):
        landmarks_tf.load_images(photo, image_size)


@pytest.mark.parametrize(
    ("name", "contents", "reason"),
    [
        ("empty.jpg", b"", "empty file"),
        ("text.jpg", b"not a photo", "not a photo (of JPEG, PNG, WebP, GIF or BMP"),
        ("half.jpg", with_orientation(1)[:3000], "damaged (image file is truncated"),
    ],
)
def test_names_a_file_that_cannot_be_read(tmp_path, photo, name, contents, reason):
    path = tmp_path / name
    path.write_bytes(contents)
    with pytest.raises(InvalidInput, match=re.escape(f"{path}: {reason}")):
        landmarks_tf.load_images([photo, path])
    assert unreadable_reason(path).startswith(reason)


def test_names_a_missing_file_a_folder_and_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(InvalidInput, match="pipe.jpg: a pipe or device, not a photo$"):
        landmarks_tf.load_images(tmp_path / "pipe.jpg")
    with pytest.raises(InvalidInput, match="nowhere.jpg: no such file$"):
        landmarks_tf.load_images(tmp_path / "nowhere.jpg")
    with pytest.raises(InvalidInput, match=": a folder, not a photo$"):
        landmarks_tf.load_images([tmp_path])


def test_refuses_a_decompression_bomb(photo, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(InvalidInput, match="photo.jpg: too many pixels$"):
        landmarks_tf.load_images(photo)


def test_images_are_as_the_contract_says(photo, tmp_path):
    white = tmp_path / "white.png"
    Image.new("RGB", (9, 7), "white").save(white)
    images = landmarks_tf.load_images([photo, str(white)], (30, 50))
    assert images.dtype == np.float32
    assert images.shape == (2, 30, 50, 3)
    assert images[0].min() >= 0 and images[0].max() <= 1
    assert np.all(images[1] == 1.0)
    assert landmarks_tf.load_images(photo).shape == (1, 800, 800, 3)
    assert landmarks_tf.load_images([], 8).shape == (0, 8, 8, 3)


def test_channels_are_red_green_blue(tmp_path):
    path = tmp_path / "red.png"
    Image.new("RGB", (9, 9), (255, 128, 0)).save(path)
    image = landmarks_tf.load_images(path, 4)[0, 0, 0]
    assert image.tolist() == pytest.approx([1, 128 / 255, 0])


@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_both_halves_turn_photos_upright(orientation, endian):
    contents = with_orientation(orientation, endian)
    assert graph_orientation(contents) == orientation
    with Image.open(io.BytesIO(contents)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    upright = graph_decode(contents).numpy()
    assert upright.shape == expected.shape
    assert np.abs(upright.astype(int) - expected).mean() < 0.1
    assert difference(contents, (64, 48)) < 0.5


def reference(contents):
    """Pillow's own reading: upright, in 8 bits, on white, RGB."""
    with Image.open(io.BytesIO(contents)) as image:
        image = ImageOps.exif_transpose(image)
    if image.mode == "I;16":
        image = Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8))
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")


@pytest.mark.parametrize("kind", CORPUS)
def test_every_kind_of_photo_is_read_as_pillow_reads_it(kind):
    contents = CORPUS[kind]()
    expected = reference(contents)
    decoded = graph_decode(contents).numpy()
    assert decoded.dtype == np.uint8
    assert decoded.shape == (expected.height, expected.width, 3)
    assert np.abs(decoded.astype(int) - np.asarray(expected)).mean() < 1
    for height, width in SIZES:
        resized = np.asarray(
            expected.resize((width, height), Image.Resampling.BILINEAR)
        ).astype(int)
        ours = load_pixels(io.BytesIO(contents), (height, width))
        assert np.abs(resized - ours).mean() < 0.5
        assert difference(contents, (height, width)) < 1.5


def test_the_bytes_signature_reads_every_kind_of_photo():
    # What the SavedModel does with a photo's bytes: a batch of different kinds.
    photos = [make() for make in CORPUS.values()]
    preprocess = tf.function(
        lambda batch: tf.map_fn(
            lambda contents: tf_image.preprocess(contents, (64, 48)),
            batch,
            fn_output_signature=tf.uint8,
        )
    )
    for contents, pixels in zip(photos, preprocess(tf.constant(photos)).numpy()):
        ours = load_pixels(io.BytesIO(contents), (64, 48))
        assert np.abs(pixels.astype(int) - ours).mean() < 1.5


def test_transparent_parts_of_a_gif_are_black_in_both_halves():
    contents = encode(draw_scene().quantize(64), "GIF", transparency=3)
    assert difference(contents, (120, 160)) == 0


@pytest.mark.parametrize("mode", ["1", "P"])
def test_refuses_a_bmp_that_tensorflow_reads_otherwise(mode):
    contents = encode(draw_scene(mode), "BMP")
    with pytest.raises(InvalidInput, match="^photo: a BMP with a palette or few bits"):
        load_pixels(io.BytesIO(contents), (8, 8))


@pytest.mark.parametrize(
    ("contents", "name"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0", "HEIC"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF"),
        (b"II*\0\x08\0\0\0", "TIFF or a camera's raw format"),
        (b"%PDF-1.7", "PDF"),
    ],
)
def test_names_what_is_not_supported(tmp_path, contents, name):
    path = tmp_path / "photo.jpg"
    path.write_bytes(contents)
    expected = f"{name} is not supported: convert it to JPEG"
    assert unreadable_reason(path) == expected
    with pytest.raises(InvalidInput, match=f"^photo: {name} is not supported"):
        load_pixels(io.BytesIO(contents), (8, 8))


@settings(max_examples=200, deadline=None)
@given(strategies.data())
def test_a_damaged_webp_raises_and_nothing_worse(data):
    contents = bytearray(CORPUS["animated WebP"]())
    for _ in range(3):
        place = data.draw(strategies.integers(12, 80))
        contents[place] = data.draw(strategies.integers(0, 255))
    damaged = bytes(contents[: data.draw(strategies.integers(16, len(contents)))])
    try:
        assert graph_decode(damaged).shape[-1] == 3
    except tf.errors.InvalidArgumentError:
        pass


def test_transparent_is_white():
    contents = encode(Image.new("RGBA", (8, 8), (255, 0, 0, 0)), "PNG")
    assert load_pixels(io.BytesIO(contents), (8, 8)).min() == 255
    assert graph_decode(contents).numpy().min() == 255


def test_shrinking_is_antialiased():
    stripes = np.zeros((100, 100, 3), np.uint8)
    stripes[:, ::2] = 255
    contents = encode(Image.fromarray(stripes), "PNG")
    small = tf_image.resize(graph_decode(contents), (10, 10)).numpy()
    assert np.all(np.abs(small.astype(int) - 128) < 10)


def test_both_halves_normalize_to_the_same_bits():
    pixels = np.arange(256, dtype=np.uint8)
    graph = tf_image.normalize(tf.constant(pixels)).numpy()
    assert np.array_equal(graph, normalize(pixels))
    assert graph.dtype == np.float32
    assert (graph[0], graph[255]) == (0, 1)


@settings(max_examples=300, deadline=None)
@given(
    strategies.sampled_from([b"", b"II*\0", b"MM\0*"]),
    strategies.binary(max_size=80),
)
def test_a_broken_exif_header_never_raises(magic, junk):
    contents = b"\xff\xd8\xff\xe1\x00\x10Exif\0\0" + magic + junk
    assert 1 <= graph_orientation(contents) <= 8


@settings(max_examples=200, deadline=None)
@given(
    strategies.sampled_from([b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"]),
    strategies.binary(max_size=80),
)
def test_a_photo_with_broken_exif_is_read_all_the_same(magic, junk):
    contents = encode(draw_scene(), "JPEG", exif=b"Exif\0\0" + magic + junk)
    pixels = load_pixels(io.BytesIO(contents), (24, 32))
    assert pixels.shape == (24, 32, 3)


def test_a_mistyped_field_does_not_hide_the_orientation():
    # Make as a FLOAT, then orientation 6: Pillow cannot write the former again.
    make = b"\x0f\x01\x0b\0\x01\0\0\0\0\0\0\0"
    orientation = b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"
    tiff = b"II*\0\x08\0\0\0" + b"\x02\0" + make + orientation + b"\0\0\0\0"
    contents = encode(draw_scene(), "JPEG", exif=b"Exif\0\0" + tiff)
    assert graph_orientation(contents) == 6
    assert difference(contents, (64, 48)) < 0.5


def test_no_exif_is_upright():
    assert graph_orientation(encode(draw_scene(), "JPEG")) == 1
    assert graph_orientation(b"") == 1
