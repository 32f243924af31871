import numpy as np
import pytest
from PIL import Image

from landmarks_tf.contact_sheet import ContactSheet
from landmarks_tf.errors import InvalidInput


def draw(tmp_path, count, line="Eiffel Tower"):
    sheet = ContactSheet(count, 2)
    for index in range(count):
        sheet.add(Image.new("RGB", (300, 200), (250, index % 9, 0)), [line, "a.jpg"])
    sheet.save(tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as image:
        return np.asarray(image).astype(int)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_every_photo_is_shown_with_its_text(tmp_path, count):
    pixels = draw(tmp_path, count)
    red = (pixels[..., 0] > 200) & (pixels[..., 2] < 50)
    assert red.sum() == count * 200 * 133
    assert (pixels.max(axis=-1) < 50).sum() > 100 * count


def test_long_names_stay_below_their_photo(tmp_path):
    pixels = draw(tmp_path, 1, "A name of a landmark \n that is much too long " * 3)
    assert pixels.shape[1] == 216
    assert (pixels[:, 208:] == 255).all()


def test_many_photos_are_smaller_and_too_many_are_refused():
    assert ContactSheet(5000, 2)._side < 100
    with pytest.raises(InvalidInput, match="^100000 photos are too many for one "):
        ContactSheet(100_000, 2)
