import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies

from landmarks_tf.catalog import Catalog
from landmarks_tf.catalog import Photo
from landmarks_tf.errors import InvalidInput
from landmarks_tf.split import hash_photos
from landmarks_tf.split import is_split_of
from landmarks_tf.split import load_split
from landmarks_tf.split import split_catalog
from landmarks_tf.split import write_split


def make_catalog(counts, test=()):
    """A catalogue of files that need not exist; its hashes are its paths."""
    photos = tuple(
        Photo(f"train/{label}/{index}.jpg", label)
        for label, count in enumerate(counts)
        for index in range(count)
    )
    names = tuple(map(str, range(len(counts))))
    catalog = Catalog(Path("data"), names, {"train": photos, "test": tuple(test)})
    return catalog, {photo.path: photo.path for photo in catalog.all_photos()}


def count_labels(photos):
    return Counter(photo.label for photo in photos)


def test_reference_set_gives_4497_and_499():
    # 50 classes of unequal size, 4,996 photos, and 1,250 test photos.
    counts = [100 + (label % 7) * 3 - 9 for label in range(49)]
    counts.append(4996 - sum(counts))
    test = [Photo(f"test/{index}.jpg", index % 50) for index in range(1250)]
    catalog, hashes = make_catalog(counts, test)
    splits = split_catalog(catalog, hashes, 0.1, 0.2, seed=0).splits
    assert {name: len(photos) for name, photos in splits.items()} == {
        "train": 4497,
        "validation": 499,
        "test": 1250,
    }
    for label, count in count_labels(splits["validation"]).items():
        assert abs(count - counts[label] * 0.1) < 1


def test_a_folder_without_test_photos_is_split_in_three():
    catalog, hashes = make_catalog([20, 30])
    splits = split_catalog(catalog, hashes, 0.1, 0.2, seed=0).splits
    assert count_labels(splits["test"]) == {0: 4, 1: 6}
    assert count_labels(splits["validation"]) == {0: 2, 1: 2}
    assert count_labels(splits["train"]) == {0: 14, 1: 22}


def test_another_seed_gives_another_split_and_the_same_one_the_same():
    catalog, hashes = make_catalog([30, 30])
    first, again, other = (
        split_catalog(catalog, hashes, 0.1, 0.2, seed).splits for seed in (0, 0, 1)
    )
    assert first == again
    assert first["test"] != other["test"]


def test_content_decides_not_names_or_order():
    catalog, hashes = make_catalog([40])
    renamed = {path: hashes[f"train/0/{39 - i}.jpg"] for i, path in enumerate(hashes)}

    def held_out(own_hashes):
        splits = split_catalog(catalog, own_hashes, 0.1, 0.2, seed=3).splits
        return {own_hashes[photo.path] for photo in splits["test"]}

    assert held_out(hashes) == held_out(renamed)


def test_refuses_too_few_photos():
    catalog, hashes = make_catalog([1, 1])
    with pytest.raises(InvalidInput, match="^too few photos to hold any out"):
        split_catalog(catalog, hashes, 0.1, 0.2, seed=0)


@given(
    strategies.lists(strategies.integers(1, 40), min_size=2, max_size=12),
    strategies.floats(0.01, 0.6),
    strategies.integers(0, 5),
)
def test_every_photo_is_in_one_split_and_every_class_is_trained(counts, fraction, seed):
    catalog, hashes = make_catalog(counts, [Photo("test/0.jpg", 0)])
    if max(counts) == 1:
        return
    splits = split_catalog(catalog, hashes, fraction, 0.5, seed).splits
    assert sorted(splits["train"] + splits["validation"]) == sorted(
        catalog.splits["train"]
    )
    assert set(count_labels(splits["train"])) == set(range(len(counts)))
    is_cramped = any(count * (1 - fraction) < 1 for count in counts)
    if not is_cramped:
        wanted = max(1, int(sum(counts) * fraction + 1e-9))
        assert len(splits["validation"]) == wanted


@pytest.fixture
def written(tmp_path):
    """A split of real files: (split.json, its catalogue, its hashes)."""
    splits = {}
    for name in ("train", "validation", "test"):
        file = tmp_path / "data" / name / "a" / "1.jpg"
        file.parent.mkdir(parents=True)
        file.write_text(name)
        splits[name] = (Photo(f"{name}/a/1.jpg", 0),)
    catalog = Catalog(tmp_path / "data", ("a",), splits)
    path = tmp_path / "split.json"
    write_split(path, catalog, hash_photos(catalog), {"train/a/2.jpg": "empty file"})
    return path, catalog


def test_split_is_read_as_written(written):
    path, catalog = written
    assert load_split(path, ("a",)) == catalog
    # SHA-256 of the word "test".
    digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    record = json.loads(path.read_text())
    assert record["test"] == {"test/a/1.jpg": digest}
    assert record["skipped"] == {"train/a/2.jpg": "empty file"}


def test_split_refuses_a_photo_that_has_gone(written):
    path, catalog = written
    (catalog.data_dir / "test/a/1.jpg").unlink()
    with pytest.raises(InvalidInput, match="test/a/1.jpg is gone since the split$"):
        load_split(path, ("a",))


def test_split_refuses_a_photo_that_has_changed(written):
    path, catalog = written
    (catalog.data_dir / "test/a/1.jpg").write_text("other")
    with pytest.raises(InvalidInput, match="test/a/1.jpg has changed since the split$"):
        load_split(path, ("a",))
    assert load_split(path, ("a",), names=["validation"]).labels("validation") == [0]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"train": {}}', "{half"])
def test_a_damaged_split_is_refused(written, text):
    path, catalog = written
    path.write_text(text)
    message = "split.json is not a split as train.py writes it$"
    with pytest.raises(InvalidInput, match=message):
        load_split(path, ("a",))
    with pytest.raises(InvalidInput, match=message):
        is_split_of(path, catalog.data_dir, "test")


def test_a_split_of_other_classes_is_refused(written):
    with pytest.raises(InvalidInput, match="has a class that is no label: a$"):
        load_split(written[0], ("b",))


def test_other_photos_of_the_same_name_are_not_of_the_split(written):
    path, catalog = written
    assert is_split_of(path, catalog.data_dir, "test")
    (catalog.data_dir / "test/a/1.jpg").write_text("other")
    assert not is_split_of(path, catalog.data_dir, "test")
    assert not is_split_of(path, path.parent, "test")
