import dataclasses
import json

import pytest
from absl.testing import flagsaver
from shard_fixture import flip_a_bit
from shard_fixture import make_shards
from shard_fixture import rewrite

from landmarks_tf import run_folder
from landmarks_tf import split_file
from landmarks_tf.errors import InvalidInput
from landmarks_tf.options import TrainingOptions

OPTIONS = TrainingOptions(image_size=64)


@pytest.fixture
def unpacking(import_script):
    return import_script("unpacking")


@pytest.fixture
def shards_dir(colored_dir, tmp_path):
    folder = tmp_path / "shards"
    make_shards(colored_dir, str(folder), image_size=80)
    return folder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"test_fraction": 0.5},
            "^`test_fraction` is for make_shards.py: .* 0.2. Received: .*=0.5$",
        ),
        ({"image_size": 96}, "^`data_dir` must have photos of 96 .* Received: .* 80$"),
        (
            {"model": "transfer", "image_size": 96, "training_sizes": (64,)},
            "must have photos of 96 pixels",
        ),
        (
            {"training_sizes": (64, 81), "preset": "small"},
            "must have photos of 81 pixels",
        ),
    ],
)
def test_what_shards_do_not_have_is_refused(unpacking, shards_dir, changes, message):
    changes = {"augmentation": "crop_flip", "fine_tuning_epochs": 0} | changes
    if changes.get("model") == "transfer":
        changes["fine_tuning_epochs"] = 1
    options = dataclasses.replace(OPTIONS, **changes)
    with pytest.raises(InvalidInput, match=message):
        unpacking.list_shards(str(shards_dir), options)


def test_a_split_file_is_for_the_making_of_shards(unpacking, shards_dir):
    with flagsaver.flagsaver(split_file="split.json"):
        with pytest.raises(InvalidInput, match="^`split_file` is for make_shards.py"):
            unpacking.list_shards(str(shards_dir), OPTIONS)


def test_parts_of_photos_that_are_less_sharp_are_told(unpacking, shards_dir, capsys):
    unpacking.list_shards(str(shards_dir), OPTIONS)
    assert not capsys.readouterr().err
    options = dataclasses.replace(OPTIONS, augmentation="crop_flip")
    unpacking.list_shards(str(shards_dir), options)
    assert "less sharp than from a folder: 80 pixels of 128" in capsys.readouterr().err


def test_a_damaged_shard_is_named_before_any_work(unpacking, shards_dir):
    rewrite(str(shards_dir / "train-00001-of-00004.tfrecord"), flip_a_bit)
    with pytest.raises(InvalidInput, match="^shard .*train-00001.* is damaged"):
        unpacking.list_shards(str(shards_dir), OPTIONS)
    (shards_dir / "manifest.json").unlink()
    with pytest.raises(InvalidInput, match="manifest.json is missing$"):
        unpacking.list_shards(str(shards_dir), OPTIONS)


def test_photos_are_unpacked_once_and_a_changed_set_is_not_resumed(
    unpacking, shards_dir, tmp_path
):
    output_dir, run_dir = tmp_path / "run", tmp_path / "run.unfinished"
    run_dir.mkdir()

    def unpack():
        listing = unpacking.list_shards(str(shards_dir), OPTIONS)
        return unpacking.unpack(listing, listing.shards, run_dir, output_dir)

    photos = unpack()
    assert photos.data_dir == run_dir / "photos"
    path = run_dir / "split.json"
    record = json.loads(path.read_text())
    assert record["data_dir"] == str(output_dir / "photos")
    times = {p: p.stat().st_mtime_ns for p in photos.data_dir.rglob("*")}
    assert unpack() == photos
    assert times == {p: p.stat().st_mtime_ns for p in photos.data_dir.rglob("*")}
    # Where the run is whole, it is found again; training photos as far as unpacked.
    (photos.data_dir / photos.splits["train"][0].path).unlink()
    run_dir.rename(output_dir)
    class_names = run_folder.load_class_names(output_dir / "labels.txt")
    again = split_file.load_split(output_dir / "split.json", class_names)
    assert again.splits["test"] == photos.splits["test"]
    assert again.splits["train"] == photos.splits["train"][1:]
    assert again.shards is None
    # Wherever that is.
    moved = output_dir.rename(tmp_path / "renamed")
    again = split_file.load_split(moved / "split.json", class_names)
    assert again.data_dir == moved / "photos"
    moved.rename(run_dir)
    manifest = shards_dir / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"quality": 95', '"quality": 90'))
    with pytest.raises(InvalidInput, match="shards has changed since the run began$"):
        unpack()
