import dataclasses
import json

import pytest

from landmarks_tf import shard_set
from landmarks_tf.errors import InvalidInput
from landmarks_tf.shard_set import Shard
from landmarks_tf.shard_set import ShardSet

SETTINGS = {
    "image_size": 64,
    "quality": 95,
    "photos_per_shard": 8,
    "validation_fraction": 0.1,
    "test_fraction": 0.2,
    "seed": 0,
}
SHARDS = ShardSet(
    ("0.red", "1.green"),
    SETTINGS,
    "a" * 64,
    (
        Shard("train-00000-of-00002.tfrecord", "train", 8, 900, "b" * 64),
        Shard("train-00001-of-00002.tfrecord", "train", 7, 800, "c" * 64),
        Shard("test-00000-of-00001.tfrecord", "test", 3, 300, "d" * 64),
    ),
)


def test_a_manifest_is_read_as_it_was_written():
    text = shard_set.format_manifest(dataclasses.replace(SHARDS, folder="x"))
    assert shard_set.parse_manifest(text.encode(), "manifest.json") == SHARDS


def change_file(record):
    record["shards"][0]["file"] = "../train-00000-of-00002.tfrecord"


def change_split(record):
    record["shards"][0]["split"] = "test"


def change_count(record):
    record["shards"][0]["num_photos"] = "8"


def repeat_shard(record):
    record["shards"].append(record["shards"][0])


def forget_shards(record):
    del record["shards"]


def forget_setting(record):
    del record["settings"]["seed"]


def forget_version(record):
    del record["version"]


def add_a_word(record):
    record["more"] = 1


def keep_one_class(record):
    record["class_names"] = ["0.red"]


def break_a_line(record):
    record["class_names"][0] = "0.\nred"


@pytest.mark.parametrize(
    "damage",
    [
        change_file,
        change_split,
        change_count,
        repeat_shard,
        forget_shards,
        forget_setting,
        forget_version,
        add_a_word,
        keep_one_class,
        break_a_line,
    ],
)
def test_a_manifest_that_cannot_be_true_is_refused(damage):
    record = json.loads(shard_set.format_manifest(SHARDS))
    damage(record)
    text = json.dumps(record).encode()
    message = "^s/manifest.json is not a manifest as make_shards.py writes it$"
    with pytest.raises(InvalidInput, match=message):
        shard_set.parse_manifest(text, "s/manifest.json")


@pytest.mark.parametrize("text", [b"", b"[]", b"\xff\xfe", b'{"version": 1}', b"7"])
def test_what_is_no_manifest_at_all_is_refused(text):
    with pytest.raises(InvalidInput, match="is not a manifest"):
        shard_set.parse_manifest(text, "manifest.json")


def test_a_manifest_of_another_version_is_refused():
    text = json.dumps({"version": 2, "all": "else"}).encode()
    message = "^m must be of version 1. Received: version 2$"
    with pytest.raises(InvalidInput, match=message):
        shard_set.parse_manifest(text, "m")


def test_files_are_found_by_split_in_order():
    shards = dataclasses.replace(SHARDS, folder="gs://bucket/s/")
    assert shards.paths("train") == [
        "gs://bucket/s/train-00000-of-00002.tfrecord",
        "gs://bucket/s/train-00001-of-00002.tfrecord",
    ]
    assert shards.num_photos("train") == 15
    assert shards.num_photos("train", "test") == 18


def test_a_set_of_shards_is_told_from_a_folder_of_photos(tmp_path):
    assert shard_set.is_shard_set("gs://bucket/shards")
    assert not shard_set.is_shard_set(str(tmp_path))
    assert not shard_set.is_shard_set("nowhere")
    (tmp_path / ".lock").touch()  # of a program that was killed
    assert not shard_set.is_shard_set(str(tmp_path))
    for name in ("manifest.json", "test-00000-of-00001.tfrecord"):
        (tmp_path / name).touch()
        assert shard_set.is_shard_set(str(tmp_path))
        (tmp_path / name).unlink()
    (tmp_path / "manifest.json").touch()
    (tmp_path / "Eiffel_Tower").mkdir()  # somebody else's manifest
    assert not shard_set.is_shard_set(str(tmp_path))


def test_a_stray_folder_among_shards_is_no_class(tmp_path):
    for name in ("manifest.json", "test-00000-of-00001.tfrecord"):
        (tmp_path / name).touch()
    (tmp_path / "lost+found").mkdir()
    assert shard_set.is_shard_set(str(tmp_path))
