import collections
import hashlib
import io
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from shard_fixture import SETTINGS
from shard_fixture import divided
from shard_fixture import flip_a_bit
from shard_fixture import make_shards
from shard_fixture import rewrite

from landmarks_tf import preprocessing
from landmarks_tf import quantization
from landmarks_tf import shard_reading
from landmarks_tf import shard_records
from landmarks_tf import shard_set
from landmarks_tf import shard_writing
from landmarks_tf import split_file
from landmarks_tf.errors import InvalidInput


def read(shards, split):
    """Every record of a split, in order: (path, label, bytes)."""
    rows = []
    for path in shards.paths(split):
        for record in tf.data.TFRecordDataset(path):
            values = shard_records.parse_record(record, 3)
            rows.append(
                (
                    values["path"].numpy().decode(),
                    int(values["label"]),
                    values["photo"].numpy(),
                )
            )
    return rows


@pytest.fixture(scope="module")
def shards(colored_dir, tmp_path_factory):
    return make_shards(colored_dir, str(tmp_path_factory.mktemp("shards")))


def test_shards_hold_every_photo_once_in_the_split_files_order(shards, colored_dir):
    catalog, hashes, _ = shard_reading.load_catalog(shards)
    assert {k: len(v) for k, v in catalog.splits.items()} == {
        "train": 31,
        "validation": 6,
        "test": 15,
    }
    for split, photos in catalog.splits.items():
        rows = read(shards, split)
        assert [(path, label) for path, label, _ in rows] == [*photos]
        for path, _, contents in rows:
            # None is larger than 512 pixels.
            assert contents == (colored_dir / path).read_bytes()
            assert hashlib.sha256(contents).hexdigest() == hashes[path]


def test_a_shard_has_photos_of_several_classes(shards):
    assert [s.num_photos for s in shards.shards if s.split == "train"] == [7, 8, 8, 8]
    for path in shards.paths("train"):
        records = tf.data.TFRecordDataset(path)
        labels = {int(shard_records.parse_record(r, 3)["label"]) for r in records}
        assert len(labels) > 1


def test_training_photos_to_calibrate_on_are_drawn_from_all_classes(
    shards, colored_dir, tmp_path, monkeypatch
):
    assert shard_writing.NUM_CALIBRATION_PHOTOS == max(
        quantization.NUM_CALIBRATION_PHOTOS
    )
    assert len(read(shards, "calibration")) == 31
    monkeypatch.setattr(shard_writing, "NUM_CALIBRATION_PHOTOS", 6)
    few = make_shards(colored_dir, str(tmp_path / "few"))
    labels = [label for _, label, _ in read(few, "calibration")]
    assert collections.Counter(labels) == {0: 2, 1: 2, 2: 2}


def test_the_same_photos_make_the_same_bytes_and_another_seed_others(
    shards, colored_dir, tmp_path
):
    again = make_shards(colored_dir, str(tmp_path / "again"))
    assert again.shards == shards.shards
    other = make_shards(colored_dir, str(tmp_path / "other"), seed=1)
    assert {s.sha256 for s in other.shards} != {s.sha256 for s in shards.shards}


def test_a_larger_photo_is_shrunk_by_the_definition(tmp_path):
    gradient = np.linspace(0, 255, 600 * 300 * 3).reshape(600, 300, 3)
    noise = np.random.default_rng(0).normal(0, 5, gradient.shape)
    pixels = np.clip(gradient + noise, 0, 255).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned: 300 high, 600 wide
    path = tmp_path / "photo.jpg"
    Image.fromarray(pixels).save(path, quality=95, exif=exif)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    packed = shard_writing.pack_photo(path, sha256, 400, 95)
    with Image.open(io.BytesIO(packed)) as image:
        assert image.format == "JPEG" and image.size == (400, 300)
        assert not image.getexif()
        difference = np.asarray(image, float) - preprocessing.load_pixels(
            path, (300, 400)
        )
    assert np.abs(difference).mean() < 1.5
    for size in (600, 800):
        kept = shard_writing.pack_photo(path, sha256, size, 95)
        assert kept == path.read_bytes()


def test_a_copy_that_takes_more_bytes_is_not_taken(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (70, 70, 3), np.uint8)
    path = tmp_path / "photo.jpg"
    Image.fromarray(noise).save(path, quality=5)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert shard_writing.pack_photo(path, sha256, 64, 95) == path.read_bytes()


def test_a_photo_that_has_changed_meanwhile_is_named(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"no photo")
    with pytest.raises(InvalidInput, match="photo.jpg has changed while shards"):
        shard_writing.pack_photo(path, "0" * 64, 64, 95)
    sha256 = hashlib.sha256(b"no photo").hexdigest()
    with pytest.raises(InvalidInput, match="photo.jpg: not a photo"):
        shard_writing.pack_photo(path, sha256, 64, 95)


class Killed(BaseException):
    """As a signal would, passes every `except Exception`."""


def test_a_killed_run_goes_on_and_repeats_no_whole_shard(
    shards, colored_dir, tmp_path, monkeypatch
):
    photos = divided(colored_dir)
    hashes = split_file.hash_photos(photos)
    folder = str(tmp_path / "shards")

    def write(seed=0, limit=None):
        done = []

        def count(num_photos):
            done.append(num_photos)
            if limit and sum(done) >= limit:
                raise Killed

        settings = SETTINGS | {"seed": seed}
        shard_writing.write_set(folder, photos, hashes, {}, settings, count)
        return done

    with pytest.raises(Killed):
        write(limit=20)
    names = {name for name in os.listdir(folder) if name.startswith("train")}
    assert names == {f"train-0000{i}-of-00004.tfrecord" for i in (0, 1)}
    with pytest.raises(InvalidInput, match="is not finished: go on with the same"):
        shard_reading.load_shard_set(folder)
    assert shard_set.is_shard_set(folder)
    with pytest.raises(InvalidInput, match="was begun with other flags or photos"):
        write(seed=1)
    # What a machine that lost its power leaves is not taken for whole.
    rewrite(os.path.join(folder, "train-00001-of-00004.tfrecord"), flip_a_bit)
    # A shard that is taken as it is, is done at once.
    assert write()[:9] == [7] + [1] * 8
    assert shard_reading.load_shard_set(folder).shards == shards.shards
    expected = {"manifest.json", "split.json", *(s.file for s in shards.shards)}
    assert set(os.listdir(folder)) == expected


def test_a_set_is_finished_if_its_settings_and_photos_are_these(
    shards, colored_dir, tmp_path
):
    photos = divided(colored_dir)
    assert shard_writing.is_finished(shards.folder, SETTINGS, photos)
    assert not shard_writing.is_finished(str(tmp_path / "new"), SETTINGS, photos)
    assert not shard_writing.is_finished(str(tmp_path), SETTINGS, photos)
    message = "was made with quality=95: choose another .* Received: quality=90$"
    with pytest.raises(InvalidInput, match=message):
        shard_writing.is_finished(shards.folder, SETTINGS | {"quality": 90}, photos)
    fewer = photos.without(["train/0.red/07.jpg", "train/0.red/08.jpg"])
    with pytest.raises(InvalidInput, match="in 2, the first: train/0.red/07.jpg$"):
        shard_writing.is_finished(shards.folder, SETTINGS, fewer)
    for name in (".lock", "unfinished-unfinished.json"):  # of one killed at once
        (tmp_path / name).touch()
    assert not shard_writing.is_finished(str(tmp_path), SETTINGS, photos)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InvalidInput, match="is something else: choose another name$"):
        shard_writing.is_finished(str(tmp_path), SETTINGS, photos)


HOLD = """
import sys
from pathlib import Path
from landmarks_tf import folder_lock
folder_lock.hold(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_two_programs_do_not_write_in_one_folder(colored_dir, tmp_path):
    folder = tmp_path / "shards"
    folder.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout.readline() == b"held\n"
        message = f"^another program is writing in {folder}$"
        with pytest.raises(InvalidInput, match=message):
            make_shards(colored_dir, str(folder))
        assert os.listdir(folder) == [".lock"]
        other.stdin.close()
    made = make_shards(colored_dir, str(folder))
    expected = {"manifest.json", "split.json", *(s.file for s in made.shards)}
    assert set(os.listdir(folder)) == expected
    # The other was done while this one was still reading its photos.
    with pytest.raises(InvalidInput, match="is finished: another program has written"):
        make_shards(colored_dir, str(folder), seed=1)
    assert set(os.listdir(folder)) == expected
