import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from landmarks_tf.data.photo_set import Photo
from landmarks_tf.data.photo_set import PhotoSet
from landmarks_tf.data.split import SPLITS
from landmarks_tf.data.split_file import find_new
from landmarks_tf.data.split_file import hash_photos
from landmarks_tf.data.split_file import is_split_of
from landmarks_tf.data.split_file import load_earlier
from landmarks_tf.data.split_file import load_split
from landmarks_tf.data.split_file import write_split
from landmarks_tf.errors import InvalidInput


@pytest.fixture
def written(tmp_path):
    """A split of real files: (split.json, its photos, their hashes)."""
    splits = {}
    for name in ("train", "validation", "test"):
        file = tmp_path / "data" / name / "a" / "1.jpg"
        file.parent.mkdir(parents=True)
        file.write_text(name)
        splits[name] = (Photo(f"{name}/a/1.jpg", 0),)
    photos = PhotoSet(tmp_path / "data", ("a",), splits)
    path = tmp_path / "split.json"
    hashed = replace(
        photos, hashes=hash_photos(photos), skipped={"train/a/2.jpg": "empty file"}
    )
    write_split(path, hashed)
    return path, hashed


def test_split_is_read_as_written(written):
    path, photos = written
    assert load_split(path, ("a",)) == photos
    # SHA-256 of the word "test".
    digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    record = json.loads(path.read_text())
    assert record["test"] == {"test/a/1.jpg": digest}
    assert record["skipped"] == {"train/a/2.jpg": "empty file"}


def test_split_refuses_a_photo_that_has_gone(written):
    path, photos = written
    (photos.data_dir / "test/a/1.jpg").unlink()
    with pytest.raises(InvalidInput, match="test/a/1.jpg is gone since the split$"):
        load_split(path, ("a",))


def test_split_refuses_a_photo_that_has_changed(written):
    path, photos = written
    (photos.data_dir / "test/a/1.jpg").write_text("other")
    with pytest.raises(InvalidInput, match="test/a/1.jpg has changed since the split$"):
        load_split(path, ("a",))
    assert load_split(path, ("a",), names=["validation"]).labels("validation") == [0]


def listed_again(photos, rename=lambda path: path):
    """The photos as they are found in a folder, renamed, with their hashes."""
    hashes = hash_photos(photos)
    splits = {"train": (), "test": ()}
    renamed = {}
    for name, members in photos.splits.items():
        for photo in members:
            path = rename(photo.path)
            renamed[path] = hashes[photo.path]
            side = "test" if path.startswith("test/") else "train"
            label = "ab".index(path.split("/")[1])
            splits[side] += (Photo(path, label),)
    return replace(photos, class_names=("a", "b"), splits=splits), renamed


def test_an_earlier_split_is_taken_by_content(written):
    path, photos = written
    again, hashes = listed_again(photos, lambda p: p.replace("1.jpg", "2.jpg"))
    earlier = load_earlier(path, again, hashes)
    assert [earlier[hashes[f"{name}/a/2.jpg"]] for name in SPLITS] == [*SPLITS]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("test/a/", "test/b/", "test/a/1.jpg is in the class b since the split of"),
        ("test/a/1", "train/a/2", "test/a/1.jpg is gone since the split of"),
        ("train/a/1", "test/a/2", "train/a/1.jpg has changed sides since the split"),
    ],
)
def test_an_earlier_split_refuses_photos_that_moved(written, old, new, message):
    path, photos = written
    again, hashes = listed_again(photos, lambda p: p.replace(old, new))
    if "gone" in message:
        moved = new + ".jpg"
        del hashes[moved]
        kept = tuple(p for p in again.splits["train"] if p.path != moved)
        again = replace(again, splits=again.splits | {"train": kept})
    with pytest.raises(InvalidInput, match=f"^{message}"):
        load_earlier(path, again, hashes)


def test_an_earlier_split_refuses_photos_that_changed(written):
    path, photos = written
    again, hashes = listed_again(photos)
    hashes["test/a/1.jpg"] = "another"
    with pytest.raises(InvalidInput, match="^test/a/1.jpg has changed since the split"):
        load_earlier(path, again, hashes)
    with pytest.raises(InvalidInput, match="^no such file: `split_file`=nowhere$"):
        load_earlier(Path("nowhere"), again, hashes)


def test_new_photos_are_those_that_the_split_does_not_name(written):
    path, photos = written
    more = tuple(Photo(f"train/a/{index}.jpg", 0) for index in (1, 2, 3))
    grown = replace(photos, splits=photos.splits | {"train": more})
    assert find_new(path, grown) == ["train/a/3.jpg"]


LISTS = '{"train": ["x"], "validation": ["x"], "test": ["x"], "skipped": {}}'


@pytest.mark.parametrize("text", ["", "{}", "[]", LISTS, '{"train": {}}', "{half"])
def test_a_damaged_split_is_refused(written, text):
    path, photos = written
    path.write_text(text)
    message = "split.json is not a split as train.py writes it$"
    with pytest.raises(InvalidInput, match=message):
        load_split(path, ("a",))
    with pytest.raises(InvalidInput, match=message):
        is_split_of(path, photos.data_dir, "test")


def test_a_split_of_other_classes_is_refused(written):
    with pytest.raises(InvalidInput, match="has a class that is no label: a$"):
        load_split(written[0], ("b",))


def test_other_photos_of_the_same_name_are_not_of_the_split(written):
    path, photos = written
    assert is_split_of(path, photos.data_dir, "test")
    (photos.data_dir / "test/a/1.jpg").write_text("other")
    assert not is_split_of(path, photos.data_dir, "test")
    assert not is_split_of(path, path.parent, "test")


@pytest.mark.parametrize(
    ("file", "digest"), [("1.jpg", "0" * 64), ("a/\0.jpg", "0" * 64), ("a/1.jpg", [])]
)
def test_a_split_that_names_no_photo_is_refused(written, file, digest):
    path, photos = written
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"train": {file: digest}}))
    message = f"split.json is damaged at {re.escape(ascii(file))}$"
    with pytest.raises(InvalidInput, match=message):
        load_split(path, ("a",))
    with pytest.raises(InvalidInput, match=message):
        load_earlier(path, photos, hash_photos(photos))
