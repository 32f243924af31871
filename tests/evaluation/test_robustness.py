import numpy as np
import pytest
from PIL import Image

from landmarks_tf import load_images
from landmarks_tf.errors import InvalidInput
from landmarks_tf.evaluation import robustness
from landmarks_tf.evaluation.robustness import CONDITIONS


@pytest.fixture
def photo():
    """Noise on a ramp, 120 wide and 80 high."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 200, 120)[np.newaxis, :, np.newaxis]
    pixels = ramp + rng.integers(0, 55, (80, 120, 3))
    return Image.fromarray(pixels.astype(np.uint8))


def as_array(picture):
    return np.asarray(picture).astype(int)


@pytest.mark.parametrize("change", CONDITIONS.values(), ids=CONDITIONS)
def test_a_condition_gives_the_same_rgb_photo_each_time(photo, change):
    before = as_array(photo)
    once, again = change(photo), change(photo)
    assert once.mode == "RGB"
    assert np.array_equal(once, again)
    assert np.array_equal(before, photo)
    tiny = change(Image.new("RGB", (1, 1), "red"))
    assert min(tiny.size) >= 1


def test_all_but_the_first_change_the_photo(photo):
    (first, unchanged), *others = CONDITIONS.items()
    assert first == robustness.AS_IT_IS
    assert np.array_equal(unchanged(photo), photo)
    for name, change in others:
        assert not np.array_equal(change(photo), photo), name


def test_sizes(photo):
    assert robustness.shrink(photo, 2).size == (60, 40)
    assert robustness.shrink(photo, 4).size == (30, 20)
    assert robustness.crop(photo).size == (84, 56)
    assert CONDITIONS["turned by 90 degrees"](photo).size == (80, 120)


def test_the_crop_is_the_middle(photo):
    assert np.array_equal(
        as_array(robustness.crop(photo)), as_array(photo)[12:68, 18:102]
    )


def test_a_worse_jpeg_is_further_from_the_photo(photo):
    def distance(quality):
        difference = as_array(robustness.compress(photo, quality)) - as_array(photo)
        return abs(difference).mean()

    assert 0 < distance(95) < distance(30) < distance(10)


@pytest.mark.parametrize("size", [(120, 80), (80, 120), (90, 90)])
def test_a_tilted_photo_has_no_empty_corners(size):
    tilted = robustness.tilt(Image.new("RGB", size, "white"), 10)
    assert as_array(tilted).min() == 255
    # And no more is cut off than that needs.
    assert tilted.width > 0.75 * size[0]
    assert tilted.width / tilted.height == pytest.approx(size[0] / size[1], rel=0.03)


def test_a_blur_is_wider_on_a_larger_photo():
    widths = []
    for side in (100, 400):
        pixels = np.zeros((side, side, 3), np.uint8)
        pixels[:, side // 2 :] = 255
        row = as_array(robustness.blur(Image.fromarray(pixels)))[side // 2, :, 0]
        widths.append(np.sum((row > 5) & (row < 250)))
    assert widths[1] >= 3 * widths[0] > 0


def test_night_is_dark_and_noisy():
    grey = Image.new("RGB", (60, 60), (150, 150, 150))
    night = as_array(robustness.darken(grey))
    # 150 ** 2.2 * 0.09, back to grey levels.
    assert night.mean() == pytest.approx(150 * 0.09 ** (1 / 2.2), abs=2)
    assert night.std() > 3
    assert not np.array_equal(night[..., 0], night[..., 1])


@pytest.fixture
def paths(colored_dir):
    return sorted((colored_dir / "test").rglob("*.jpg"))[:5]


def test_answers_are_of_each_photo_under_each_condition_in_order(paths):
    given = []

    def predict(images):
        given.append(images)
        return images.mean(axis=(1, 2))

    answers = list(robustness.answer_photos(paths, (16, 24), predict))
    assert [images.shape for images in given] == [(len(CONDITIONS), 16, 24, 3)] * 5
    assert all(images.dtype == np.float32 for images in given)
    assert min(map(np.min, given)) >= 0 and max(map(np.max, given)) <= 1
    firsts = np.stack([images[0] for images in given])
    np.testing.assert_array_equal(firsts, load_images(paths, (16, 24)))
    np.testing.assert_array_equal(answers, [x.mean(axis=(1, 2)) for x in given])


def test_right_answers_are_counted_by_condition(paths):
    wrong_at_last = np.eye(3)[[0] * (len(CONDITIONS) - 1) + [1]]
    answers = [wrong_at_last, wrong_at_last, np.eye(3)[[2] * len(CONDITIONS)]]
    results = robustness.count_right(iter(answers), [0, 0, 0], paths[0])
    assert [result.name for result in results] == list(CONDITIONS)
    assert [result.num_right for result in results] == [2] * (len(CONDITIONS) - 1) + [0]
    assert {result.num_images for result in results} == {3}
    with Image.open(paths[0]) as photo:
        assert results[0].example.size == photo.size


def test_a_photo_that_cannot_be_read_is_named(tmp_path):
    path = tmp_path / "bad.jpg"
    path.write_text("not a photo")
    with pytest.raises(InvalidInput, match="bad.jpg: not a photo"):
        list(robustness.answer_photos([path], (8, 8), lambda images: images))
