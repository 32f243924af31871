"""make_shards.py and train.py on what it writes, as a user runs them."""

import json
import re
import shutil

import pytest
from conftest import run_script
from conftest import TOY_FLAGS
from test_scripts import assert_refused

SIZES = ("--image_size=80", "--photos_per_shard=12")


@pytest.fixture(scope="module")
def shards_dir(colored_dir, tmp_path_factory):
    """Shards of the coloured photos with one that is damaged."""
    photos_dir = tmp_path_factory.mktemp("made") / "photos"
    shutil.copytree(colored_dir, photos_dir)
    (photos_dir / "train/1.green/half.jpg").write_bytes(b"\xff\xd8\xff")
    shards_dir = photos_dir.parent / "shards"
    result = make(photos_dir, shards_dir)
    assert result.returncode == 0, result.stderr
    assert re.search(r"skipped .*half.jpg: ", result.stderr)
    assert "left out 1 photos: 1 cannot be read" in result.stderr
    assert "photos: 34 train, 3 validation, 15 test" in result.stdout
    assert re.search(rf"{shards_dir}: 9 shards, 0.\d MB\n", result.stdout)
    return shards_dir


def make(photos_dir, shards_dir, *flags):
    return run_script(
        "make_shards",
        f"--data_dir={photos_dir}",
        f"--output_dir={shards_dir}",
        *(SIZES + flags),
    )


def test_a_run_on_shards_is_as_one_on_files(shards_dir, tmp_path):
    output_dir = tmp_path / "run"
    result = run_script(
        "train",
        *TOY_FLAGS,
        "--epochs=4",
        "--formats=float32,int8",
        "--min_accuracy=0.8",
        f"--data_dir={shards_dir}",
        f"--output_dir={output_dir}",
    )
    assert result.returncode == 0, result.stderr
    assert "TFRecordDataset" not in result.stderr
    assert "(34 calibration photos)" in result.stdout
    # Photos as they came, by the same split as from the folder.
    record = json.loads((output_dir / "split.json").read_text())
    assert [len(record[n]) for n in ("train", "validation", "test")] == [34, 3, 15]
    assert record["data_dir"] == str(output_dir / "photos")
    assert list(record["skipped"]) == ["train/1.green/half.jpg"]
    assert "--split_file" not in (output_dir / "run.flags").read_text()
    before = json.loads((output_dir / "metrics.json").read_text())
    # They are the run's own wherever they lie.
    photos_dir = shards_dir.parent / "photos"
    again = run_script(
        "evaluate",
        f"--model_dir={output_dir}",
        f"--data_dir={photos_dir}",
    )
    assert again.returncode == 0, again.stderr
    after = json.loads((output_dir / "metrics.json").read_text())
    assert after["test"]["num_images"] == 15
    assert after["test"]["loss"] == pytest.approx(before["test"]["loss"], rel=1e-3)


def test_a_set_that_is_finished_is_left_alone(shards_dir):
    result = make(shards_dir.parent / "photos", shards_dir)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{shards_dir} is finished: nothing to do\n"


def test_shards_do_not_lie_among_photos(shards_dir):
    photos_dir = shards_dir.parent / "photos"
    assert_refused(make(photos_dir, photos_dir / "x"), "must lie apart from the photos")
