import io
import os

import numpy as np
import pytest
from PIL import Image

from landmarks_tf.errors import InvalidInput
from landmarks_tf.inference import photo_input


@pytest.fixture
def photo(tmp_path):
    """A photo that stands on its head, red at the top when it is upright."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[20:, :, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = 3
    path = tmp_path / "photo.jpg"
    Image.fromarray(pixels).save(path, quality=95, exif=exif)
    return path


def test_every_form_is_the_same_photo(photo):
    expected = np.asarray(photo_input.open_photo(photo))
    assert expected[5, 30, 0] > 200 and expected[35, 30, 0] < 50
    with Image.open(photo) as picture, open(photo, "rb") as file:
        forms = [
            str(photo),
            photo.read_bytes(),
            file,
            io.BytesIO(photo.read_bytes()),
            picture,
            bytearray(photo.read_bytes()),
            expected,
            (expected / np.float32(255)) * np.float32(1.0000003),
            expected.astype(np.float32) / 255,
            expected / np.float64(255),
        ]
        for form in forms:
            found = photo_input.open_photo(form)
            assert (found.mode, found.size) == ("RGB", (60, 40))
            assert np.array_equal(np.asarray(found), expected), type(form)
            # What is upright stays so.
            again = photo_input.open_photo(found)
            assert np.array_equal(np.asarray(again), expected), type(form)


@pytest.mark.parametrize(
    "pixels, received",
    [
        (np.zeros((4, 4), np.uint8), r"uint8 \[4, 4\]$"),
        (np.zeros((4, 4, 4), np.uint8), r"uint8 \[4, 4, 4\]$"),
        (np.zeros((0, 4, 3), np.uint8), r"uint8 \[0, 4, 3\]$"),
        (np.zeros((4, 4, 3), np.int32), r"int32 \[4, 4, 3\]$"),
        (np.full((4, 4, 3), 128.0), r"in \[0, 1\]. Received: 128 to 128$"),
        (np.full((4, 4, 3), np.nan), r"in \[0, 1\]. Received: nan to nan$"),
        (np.full((4, 4, 3), -0.5), r"in \[0, 1\]. Received: -0.5 to -0.5$"),
    ],
)
def test_refuses_arrays_that_are_no_photo(pixels, received):
    with pytest.raises(InvalidInput, match=f"^photo: an array .*{received}"):
        photo_input.open_photo(pixels)


def test_bad_photos_are_named(photo, tmp_path):
    half = photo.read_bytes()[:700]
    with pytest.raises(InvalidInput, match="^photo: damaged"):
        photo_input.open_photo(half)
    path = tmp_path / "half.jpg"
    path.write_bytes(half)
    for form in (path, open(path, "rb"), Image.open(path)):
        with form if hasattr(form, "close") else open(path):
            with pytest.raises(InvalidInput, match="half.jpg: damaged"):
                photo_input.open_photo(form)
    with pytest.raises(InvalidInput, match="^nowhere.jpg: no such file$"):
        photo_input.open_photo("nowhere.jpg")


def test_what_is_no_photo_is_refused_by_its_kind(tmp_path):
    (tmp_path / "notes.txt").write_text("notes")
    with open(tmp_path / "notes.txt", encoding="utf-8") as text:
        for photo in (None, 7, [b"?"], text):
            with pytest.raises(InvalidInput, match="a photo must be a path, bytes, "):
                photo_input.open_photo(photo)
    ours, theirs = os.pipe()
    os.write(theirs, b"not a photo")
    os.close(theirs)
    with open(ours, "rb") as pipe:
        with pytest.raises(InvalidInput, match=": not a photo "):
            photo_input.open_photo(pipe)
