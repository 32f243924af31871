import io
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies
from PIL import Image
from PIL import ImageEnhance

from landmarks_tf.data import duplicates
from landmarks_tf.data.duplicates import MAX_DISTANCE
from landmarks_tf.data.duplicates import find_near
from landmarks_tf.data.duplicates import group_duplicates
from landmarks_tf.data.duplicates import perceptual_hash
from landmarks_tf.samples.picture import draw_photo

HASH_BYTES = 32


def saved_again(image, quality):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


def scaled(image, factor):
    return image.resize((int(image.width * factor), int(image.height * factor)))


COPIES = {
    "worse": lambda image: saved_again(image, 30),
    "smaller": lambda image: saved_again(scaled(image, 0.4), 85),
    "larger": lambda image: saved_again(scaled(image, 2), 85),
    "square": lambda image: saved_again(image.resize((256, 256)), 85),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "grey": lambda image: image.convert("L"),
}


@pytest.fixture(scope="module")
def photos():
    return [draw_photo(index, random.Random(index)) for index in range(50)]


def flipped(photo_hash, places):
    bits = np.unpackbits(np.frombuffer(photo_hash, np.uint8))
    bits[list(places)] ^= 1
    return np.packbits(bits).tobytes()


@pytest.mark.parametrize("kind", COPIES)
def test_copies_are_found_and_other_photos_are_not(photos, kind):
    hashes = [perceptual_hash(photo) for photo in photos]
    copies = [perceptual_hash(COPIES[kind](photo)) for photo in photos]
    pairs = {tuple(sorted(pair)) for pair in find_near(hashes + copies)}
    assert pairs == {(index, index + 50) for index in range(50)}


def test_flat_pictures_have_no_hash_and_are_no_duplicates():
    flat = [perceptual_hash(Image.new("RGB", (90, 60), c)) for c in ("red", "navy")]
    assert flat == [b"", b""]
    assert find_near(flat) == []
    assert group_duplicates(["a", "b"], flat) == []


def test_few_hashes_have_no_pairs():
    assert find_near([]) == []
    assert find_near([b"\x5a" * HASH_BYTES]) == []


def test_groups_join_same_contents_and_copies_of_copies():
    rng = random.Random(0)
    one, other = rng.randbytes(HASH_BYTES), rng.randbytes(HASH_BYTES)
    middle = flipped(one, range(100, 100 + MAX_DISTANCE))
    end = flipped(middle, range(200, 240))
    contents = ["a", "b", "c", "d", "b", "e"]
    hashes = [one, other, middle, end, b"", b""]
    assert group_duplicates(contents, hashes) == [[0, 2, 3], [1, 4]]


@settings(max_examples=100, deadline=None)
@given(
    strategies.sets(strategies.integers(0, 62), max_size=5),
    strategies.sets(strategies.integers(63, 254), max_size=MAX_DISTANCE - 5),
)
def test_no_pair_within_the_promised_distance_is_missed(corner, rest):
    rng = random.Random(1)
    hashes = [rng.randbytes(HASH_BYTES) for _ in range(200)]
    hashes.insert(100, flipped(hashes[7], corner | rest))
    assert {tuple(sorted(pair)) for pair in find_near(hashes)} == {(7, 100)}


@given(strategies.permutations(range(12)))
def test_groups_do_not_depend_on_the_order(order):
    rng = random.Random(2)
    base = [rng.randbytes(HASH_BYTES) for _ in range(4)]
    hashes = [
        flipped(photo_hash, {place}) for photo_hash in base for place in (1, 2, 3)
    ]
    contents = [str(index) for index in range(12)]
    groups = group_duplicates(
        [contents[index] for index in order], [hashes[index] for index in order]
    )
    found = {frozenset(order[place] for place in group) for group in groups}
    assert found == {frozenset(range(start, start + 3)) for start in (0, 3, 6, 9)}


@pytest.mark.parametrize("num_distinct", [1, 100, 4000])
def test_comparisons_grow_with_the_photos_not_their_square(num_distinct, monkeypatch):
    # However many of them are alike. How long it takes: benchmarks/duplicates.py.
    compared = []
    count = np.bitwise_count
    monkeypatch.setattr(
        np, "bitwise_count", lambda rows: compared.append(len(rows)) or count(rows)
    )
    rng = random.Random(3)
    start = rng.randbytes(HASH_BYTES)
    distinct = [
        flipped(start, {index % 255, index // 255}) for index in range(num_distinct)
    ]
    hashes = [distinct[index % num_distinct] for index in range(4000)]
    groups = group_duplicates([str(index) for index in range(4000)], hashes)
    assert groups == [list(range(4000))]
    assert sum(compared) < 4000 * 100


def test_the_limit_leaves_room_between_copies_and_others(photos):
    hashes = [np.frombuffer(perceptual_hash(photo), np.uint8) for photo in photos]
    distances = [
        int(np.bitwise_count(one ^ other).sum())
        for index, one in enumerate(hashes)
        for other in hashes[:index]
    ]
    assert duplicates.MAX_DISTANCE < min(distances)
