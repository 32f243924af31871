import dataclasses
import os
import shutil

import pytest
import tensorflow as tf
from shard_fixture import copy_set
from shard_fixture import flip_a_bit
from shard_fixture import make_shards
from shard_fixture import rewrite

from landmarks_tf import pipeline
from landmarks_tf import shard_reading
from landmarks_tf import shard_records
from landmarks_tf import shard_set
from landmarks_tf import split_file
from landmarks_tf.errors import InvalidInput
from landmarks_tf.options import TrainingOptions


@pytest.fixture(scope="module")
def shards(colored_dir, tmp_path_factory):
    return make_shards(colored_dir, str(tmp_path_factory.mktemp("shards")))


@pytest.fixture(params=["disk", "ram"])
def copy(request, shards, tmp_path):
    """A copy to be damaged, on disk and where only `tf.io.gfile` reads."""
    is_in_memory = request.param == "ram"
    folder = f"ram://{tmp_path.name}" if is_in_memory else str(tmp_path / "copy")
    return copy_set(shards, folder)


def check(shards):
    """Reads a set as train.py does before training."""
    shard_reading.require_sizes(shards)
    catalog, hashes, _ = shard_reading.load_catalog(shards)
    return catalog, hashes, list(shard_reading.verify(shards))


def unpack(shards, folder):
    catalog, hashes, _ = shard_reading.load_catalog(shards)
    return list(shard_reading.unpack(shards, catalog, hashes, folder))


def drain(shards):
    files = tf.data.Dataset.from_tensor_slices(shards.paths("train"))
    with shard_reading.naming_faults(shards):
        return list(shard_records.stream_records(files).as_numpy_iterator())


def test_a_whole_set_is_read_wherever_it_lies(copy, shards):
    catalog, hashes, checked = check(copy)
    assert dataclasses.replace(copy, folder=shards.folder) == shards
    assert len(catalog.splits["train"]) == 31 and len(hashes) == 52
    assert checked == ([] if copy.folder.startswith("ram:") else list(copy.shards))
    assert drain(copy) == drain(shards)
    assert len(set(drain(copy))) == 31


def test_what_is_no_stream_is_unpacked_as_it_came(copy, colored_dir, tmp_path):
    folder = tmp_path / "photos"
    names = unpack(copy, folder)
    assert len(names) == len(set(names)) == 6 + 15 + 31
    for name in names:
        assert (folder / name).read_bytes() == (colored_dir / name).read_bytes()


def test_a_missing_shard_is_named(copy):
    path = copy.path(copy.shards[1])
    tf.io.gfile.remove(path)
    message = "^shard .*train-00001-of-00004.tfrecord is missing$"
    with pytest.raises(InvalidInput, match=message):
        check(copy)
    with pytest.raises(InvalidInput, match=message):
        drain(copy)


def test_a_shard_cut_short_is_named(copy):
    rewrite(copy.path(copy.shards[1]), lambda contents: contents[:-50])
    message = r"^shard .*train-00001\S* must have \d+ bytes. Received: \d+$"
    with pytest.raises(InvalidInput, match=message):
        check(copy)
    with pytest.raises(InvalidInput, match=message):
        drain(copy)


def test_a_bit_that_has_flipped_is_found(copy, tmp_path):
    rewrite(copy.path(copy.shards[2]), flip_a_bit)
    message = "^shard .*train-00002-of-00004.tfrecord is damaged: its checksum"
    if copy.folder.startswith("ram:"):
        check(copy)  # read, and found, by the training alone
    else:
        with pytest.raises(InvalidInput, match=message):
            check(copy)
    with pytest.raises(InvalidInput, match=message):
        drain(copy)
    held_out = next(s for s in copy.shards if s.split == "validation")
    rewrite(copy.path(held_out), flip_a_bit)
    with pytest.raises(InvalidInput, match="^shard .*validation-00000.* is damaged"):
        unpack(copy, tmp_path / "photos")


def test_a_shard_that_is_whole_but_another_is_found(copy, tmp_path):
    one, other = (s for s in copy.shards if s.split == "test")
    tf.io.gfile.copy(copy.path(other), copy.path(one), overwrite=True)
    with pytest.raises(InvalidInput, match="^shard .*test-00000"):
        shard_reading.require_sizes(copy)
    with pytest.raises(InvalidInput, match="^shard .*test-00001.* of no place: test/"):
        unpack(copy, tmp_path / "photos")


def test_a_damaged_manifest_or_split_is_named(copy):
    rewrite(shard_set.join(copy.folder, "split.json"), lambda text: text[:-9])
    with pytest.raises(InvalidInput, match="split.json is damaged: its checksum"):
        shard_reading.load_catalog(copy)
    rewrite(shard_set.join(copy.folder, "manifest.json"), lambda text: text[:-9])
    with pytest.raises(InvalidInput, match="manifest.json is not a manifest"):
        shard_reading.load_shard_set(copy.folder)
    tf.io.gfile.remove(shard_set.join(copy.folder, "manifest.json"))
    with pytest.raises(InvalidInput, match="manifest.json is missing$"):
        shard_reading.load_shard_set(copy.folder)


def test_counts_that_do_not_agree_are_refused(shards):
    first, *rest = shards.shards
    more = dataclasses.replace(first, num_photos=first.num_photos + 1)
    changed = dataclasses.replace(shards, shards=(more, *rest))
    with pytest.raises(InvalidInput, match="must have 31 train .* Received: 32 by"):
        shard_reading.load_catalog(changed)


def test_a_path_that_leads_out_of_the_folder_is_refused(shards, monkeypatch):
    parse = split_file.parse_split

    def lead_out(text, path, class_names):
        text = text.replace(b'"test/0.red/00.jpg"', b'"test/../0.red/00.jpg"')
        return parse(text, path, class_names)

    monkeypatch.setattr(split_file, "parse_split", lead_out)
    with pytest.raises(InvalidInput, match="names a photo outside its folder: test/.."):
        shard_reading.load_catalog(shards)


def test_a_url_that_tensorflow_does_not_know_is_refused():
    with pytest.raises(InvalidInput, match="^s9://bucket/shards: .*'s9' not implem"):
        shard_reading.load_shard_set("s9://bucket/shards")


def test_what_was_checked_is_remembered_until_it_changes(shards, tmp_path, monkeypatch):
    copy = copy_set(shards, str(tmp_path / "copy"))
    check(copy)
    read = []
    hash_file = shard_reading.hash_file
    monkeypatch.setattr(
        shard_reading, "hash_file", lambda path: read.append(path) or hash_file(path)
    )
    check(copy)
    assert not read
    path = copy.path(copy.shards[0])
    shutil.copy(path, path + ".new")
    os.replace(path + ".new", path)
    check(copy)
    assert read == [path]


def replace_records(shards, split, change):
    """A set whose first shard of a split has other records, and fits its manifest."""
    shard = next(s for s in shards.shards if s.split == split)
    path = shards.path(shard)
    records = [r.numpy() for r in tf.data.TFRecordDataset(path)]
    tf.io.gfile.remove(path)
    with tf.io.TFRecordWriter(path) as writer:
        for record in change(records):
            writer.write(record)
    changed = dataclasses.replace(
        shard,
        num_bytes=tf.io.gfile.stat(path).length,
        sha256=shard_reading.hash_file(path),
    )
    own = tuple(changed if s == shard else s for s in shards.shards)
    return dataclasses.replace(shards, shards=own)


def relabel(label):
    """Changes the first record's label."""

    def change(records):
        path, _, photo = shard_records.read_record(records[0], 3)
        return [shard_records.make_record(photo, label, path), *records[1:]]

    return change


RECORDS = {
    "no message": lambda records: [b"\xff\xff no message", *records[1:]],
    "another message": lambda records: [b"", *records[1:]],
    "label 3": relabel(3),
    "label -1": relabel(-1),
    "label 2**32": relabel(2**32),
    "one less": lambda records: records[1:],
    "one more": lambda records: [*records, records[0]],
}


@pytest.mark.parametrize("change", RECORDS.values(), ids=RECORDS)
def test_records_of_another_shape_are_named_though_checksums_fit(
    copy, tmp_path, change
):
    bad = replace_records(copy, "train", change)
    catalog, _, _ = shard_reading.load_catalog(bad)
    options = TrainingOptions(image_size=64, epochs=1, batch_size=4)
    message = "^shard .*train-00000.* is damaged: its records are not the photos"
    with pytest.raises(InvalidInput, match=message):
        with shard_reading.naming_faults(bad):
            list(pipeline.make_training_dataset(catalog, options))
    bad = replace_records(copy, "validation", change)
    with pytest.raises(InvalidInput, match="validation"):
        unpack(bad, tmp_path / "photos")


def test_a_label_that_is_not_its_folders_is_refused(copy, tmp_path):
    def change(records):
        path, label, photo = shard_records.read_record(records[0], 3)
        return [shard_records.make_record(photo, (label + 1) % 3, path), *records[1:]]

    bad = replace_records(copy, "test", change)
    with pytest.raises(InvalidInput, match="^shard .*test-00000.* of no place: test/"):
        unpack(bad, tmp_path / "photos")


def test_sizes_are_compared_before_anything_is_read(copy, monkeypatch):
    rewrite(copy.path(copy.shards[-1]), lambda contents: contents[:-50])
    monkeypatch.setattr(shard_reading, "hash_file", None)
    with pytest.raises(InvalidInput, match=r"must have \d+ bytes"):
        with shard_reading.naming_faults(copy):
            raise tf.errors.DataLossError(None, None, "truncated record")


def test_an_error_that_no_shard_is_to_blame_for_stays_as_it_is(shards, monkeypatch):
    with pytest.raises(tf.errors.InvalidArgumentError):
        with shard_reading.naming_faults(shards):
            raise tf.errors.InvalidArgumentError(None, None, "shapes")
    monkeypatch.setattr(shard_reading, "hash_file", None)  # nothing is read
    for of in (shards, None):
        with pytest.raises(tf.errors.ResourceExhaustedError):
            with shard_reading.naming_faults(of):
                raise tf.errors.ResourceExhaustedError(None, None, "no memory")
