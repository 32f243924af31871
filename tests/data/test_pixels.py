import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from landmarks_tf.data.pixels import DiskCache
from landmarks_tf.data.pixels import MemoryCache
from landmarks_tf.data.pixels import RESERVE_BYTES
from landmarks_tf.data.pixels import choose_cache
from landmarks_tf.data.pixels import load_or_keep
from landmarks_tf.data.pixels import name_keys
from landmarks_tf.errors import InvalidInput

PIXELS = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


class Decoder:
    def __init__(self):
        self.num_calls = 0

    def __call__(self):
        return tf.ensure_shape(tf.numpy_function(self.decode, [], tf.uint8), (4, 6, 3))

    def decode(self):
        self.num_calls += 1
        return PIXELS


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"a photo")
    return str(path)


@pytest.fixture
def disk(tmp_path):
    return DiskCache(tmp_path / "pixels")


def key_of(photo, image_size=(4, 6)):
    (key,) = name_keys([photo], image_size)
    return key


def load(cache, key, decode):
    dataset = tf.data.Dataset.from_tensors(key)
    dataset = dataset.map(lambda key: load_or_keep(cache, key, decode, (4, 6)))
    (pixels,) = dataset.as_numpy_iterator()
    assert np.array_equal(pixels, PIXELS)


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_pixels_are_decoded_once_for_each_key(place, disk):
    decode, cache = Decoder(), disk if place == "disk" else MemoryCache()
    load(cache, "one", decode)
    load(cache, "one", decode)
    assert decode.num_calls == 1
    load(cache, "other", decode)
    assert decode.num_calls == 2
    cache.clear()
    assert cache.fetch("one") is None


def test_another_run_finds_what_one_kept_on_disk(disk):
    decode = Decoder()
    load(disk, "key", decode)
    load(DiskCache(disk.folder), "key", decode)
    assert decode.num_calls == 1
    assert os.listdir(disk.folder) == ["key"]


def touch(photo):
    os.utime(photo, (1, 1))


def rewrite_with_the_old_time(photo):
    times = os.stat(photo)
    with open(photo, "wb") as file:
        file.write(b"b photo")
    os.utime(photo, ns=(times.st_atime_ns, times.st_mtime_ns))


def lengthen(photo):
    with open(photo, "ab") as file:
        file.write(b".")


@pytest.mark.parametrize("change", [touch, rewrite_with_the_old_time, lengthen])
def test_a_changed_photo_has_another_key(photo, change):
    before = key_of(photo)
    assert key_of(photo) == before
    change(photo)
    assert key_of(photo) != before


def test_another_size_photo_or_preprocessing_has_another_key(
    photo, tmp_path, monkeypatch
):
    before = key_of(photo)
    copy = shutil.copy2(photo, tmp_path / "copy.jpg")
    others = {key_of(photo, (6, 4)), key_of(str(copy))}
    monkeypatch.setattr("landmarks_tf.data.pixels.tf_image", shutil)
    others.add(key_of(photo))
    assert len(others | {before}) == 4


def test_a_file_cut_short_is_decoded_anew(disk):
    decode = Decoder()
    load(disk, "key", decode)
    with open(disk.folder / "key", "r+b") as file:
        file.truncate(10)
    load(disk, "key", decode)
    load(disk, "key", decode)
    assert decode.num_calls == 2


def test_a_disk_that_becomes_full_costs_time_alone(disk, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    decode = Decoder()
    monkeypatch.setattr(os, "replace", full)
    load(disk, "key", decode)
    load(disk, "key", decode)
    assert decode.num_calls == 2
    assert not os.listdir(disk.folder)


def set_free(monkeypatch, num_bytes):
    usage = SimpleNamespace(free=num_bytes)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)


def test_a_disk_that_is_too_small_is_refused(disk, monkeypatch):
    set_free(monkeypatch, 3 * 2**30 + RESERVE_BYTES)
    disk.require_space(3 * 2**30)
    with pytest.raises(InvalidInput, match=r"4.1 GiB and .* has 4.0 GiB free"):
        disk.require_space(int(4.1 * 2**30))


def test_the_disk_is_not_filled_to_its_last_byte(disk, monkeypatch):
    decode = Decoder()
    set_free(monkeypatch, RESERVE_BYTES - 1)
    load(disk, "key", decode)
    load(disk, "key", decode)
    assert decode.num_calls == 2
    assert not os.listdir(disk.folder)


def test_what_is_kept_already_needs_no_space(disk, monkeypatch):
    load(disk, "key", Decoder())
    set_free(monkeypatch, RESERVE_BYTES)
    disk.require_space(PIXELS.nbytes)
    with pytest.raises(InvalidInput):
        disk.require_space(PIXELS.nbytes + 1)


def test_photos_are_kept_in_memory_while_they_fit_its_budget(tmp_path, monkeypatch):
    def choose(budget, folder):
        monkeypatch.setattr("landmarks_tf.data.pixels.MEMORY_BUDGET_BYTES", budget)
        return choose_cache(10, (4, 6), folder)

    num_bytes = 10 * PIXELS.nbytes
    assert isinstance(choose(num_bytes, tmp_path), MemoryCache)
    assert choose(num_bytes - 1, tmp_path).folder == tmp_path
    assert choose(num_bytes - 1, None) is None
