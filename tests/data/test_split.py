from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import reject
from hypothesis import settings
from hypothesis import strategies

from landmarks_tf.config import TrainConfig
from landmarks_tf.data.photo_set import Photo
from landmarks_tf.data.photo_set import PhotoSet
from landmarks_tf.data.split import split_photos
from landmarks_tf.errors import InvalidInput

# By default 0.1 of the photos are for validation and 0.2 for testing.
EVEN = TrainConfig(validation_fraction=0.2, test_fraction=0.2)


def make_photos(counts, test=()):
    """Photos of files that need not exist; their hashes are their paths."""
    photos = tuple(
        Photo(f"train/{label}/{index}.jpg", label)
        for label, count in enumerate(counts)
        for index in range(count)
    )
    names = tuple(map(str, range(len(counts))))
    given = PhotoSet(Path("data"), names, {"train": photos, "test": tuple(test)})
    return given, {photo.path: photo.path for photo in given.all_photos()}


def split_in(given, hashes, config):
    """The splits alone, where nothing is left out."""
    photos, left_out = split_photos(given, hashes, config)
    assert not left_out
    return photos.splits


def count_labels(photos):
    return Counter(photo.label for photo in photos)


def test_reference_set_gives_4497_and_499():
    # 50 classes of unequal size, 4,996 photos, and 1,250 test photos.
    counts = [100 + (label % 7) * 3 - 9 for label in range(49)]
    counts.append(4996 - sum(counts))
    test = [Photo(f"test/{index}.jpg", index % 50) for index in range(1250)]
    given, hashes = make_photos(counts, test)
    splits = split_in(given, hashes, TrainConfig())
    assert {name: len(photos) for name, photos in splits.items()} == {
        "train": 4497,
        "validation": 499,
        "test": 1250,
    }
    for label, count in count_labels(splits["validation"]).items():
        assert abs(count - counts[label] * 0.1) < 1


def test_a_folder_without_test_photos_is_split_in_three():
    given, hashes = make_photos([20, 30])
    splits = split_in(given, hashes, TrainConfig())
    assert count_labels(splits["test"]) == {0: 4, 1: 6}
    assert count_labels(splits["validation"]) == {0: 2, 1: 2}
    assert count_labels(splits["train"]) == {0: 14, 1: 22}


def test_another_seed_gives_another_split_and_the_same_one_the_same():
    given, hashes = make_photos([30, 30])
    first, again, other = (
        split_in(given, hashes, TrainConfig(seed=seed)) for seed in (0, 0, 1)
    )
    assert first == again
    assert first["test"] != other["test"]


def test_content_decides_not_names_or_order():
    given, hashes = make_photos([40])
    renamed = {path: hashes[f"train/0/{39 - i}.jpg"] for i, path in enumerate(hashes)}

    def held_out(own_hashes):
        splits = split_in(given, own_hashes, TrainConfig(seed=3))
        return {own_hashes[photo.path] for photo in splits["test"]}

    assert held_out(hashes) == held_out(renamed)


def test_refuses_too_few_photos():
    given, hashes = make_photos([1, 1])
    with pytest.raises(InvalidInput, match="^too few different photos to hold any"):
        split_photos(given, hashes, TrainConfig())


@given(
    strategies.lists(strategies.integers(1, 40), min_size=2, max_size=12),
    strategies.floats(0.01, 0.6),
    strategies.integers(0, 5),
)
def test_every_photo_is_in_one_split_and_every_class_is_trained(counts, fraction, seed):
    given, hashes = make_photos(counts, [Photo("test/0.jpg", 0)])
    if max(counts) == 1:
        return
    config = TrainConfig(validation_fraction=fraction, test_fraction=0.5, seed=seed)
    splits = split_in(given, hashes, config)
    assert sorted(splits["train"] + splits["validation"]) == sorted(
        given.splits["train"]
    )
    assert set(count_labels(splits["train"])) == set(range(len(counts)))
    is_cramped = any(count * (1 - fraction) < 1 for count in counts)
    if not is_cramped:
        wanted = max(1, int(sum(counts) * fraction + 1e-9))
        assert len(splits["validation"]) == wanted


def divide(given, hashes, seed, groups):
    """Divides photos, unless a class of them is too much alike to be divided."""
    try:
        return split_photos(given, hashes, TrainConfig(seed=seed), groups)
    except InvalidInput:
        reject()


@strategies.composite
def grouped_photos(draw):
    """Photos of some classes, some of which show the same picture."""
    counts = draw(strategies.lists(strategies.integers(5, 25), min_size=2, max_size=5))
    test = [
        Photo(f"test/{index}.jpg", 0)
        for index in range(draw(strategies.integers(0, 3)))
    ]
    given, hashes = make_photos(counts, test)
    paths = draw(strategies.permutations(sorted(hashes)))
    groups = []
    while paths and len(groups) < 6:
        size = draw(strategies.integers(2, 4))
        groups.append(paths[:size])
        paths = paths[size:]
    return given, hashes, groups


@settings(deadline=None)
@given(grouped_photos(), strategies.integers(0, 3))
def test_no_group_straddles_two_splits(grouped, seed):
    given, hashes, groups = grouped
    photos, left_out = divide(given, hashes, seed, groups)
    split_of = {p.path: name for name, ps in photos.splits.items() for p in ps}
    assert split_of.keys() | left_out.keys() == hashes.keys()
    assert not split_of.keys() & left_out.keys()
    for group in groups:
        assert len({split_of[path] for path in group if path in split_of}) <= 1
    # Left out is just what shows a given test photo.
    tested = {photo.path for photo in given.splits["test"]}
    leaked = {path for group in groups if tested & set(group) for path in group}
    assert left_out.keys() == leaked - tested


@settings(deadline=None)
@given(grouped_photos(), strategies.integers(0, 3), strategies.randoms())
def test_content_alone_decides(grouped, seed, random):
    given, hashes, groups = grouped
    photos, _ = divide(given, hashes, seed, groups)
    names = list(hashes)
    random.shuffle(names)
    renamed = dict(zip(hashes, names))  # within train/ and test/ alike
    moved = {
        split: tuple(
            sorted(Photo(f"{split}/{renamed[p.path]}", p.label) for p in photos)
        )
        for split, photos in given.splits.items()
    }
    again, _ = split_photos(
        replace(given, splits=moved),
        {
            f"{split}/{renamed[p.path]}": hashes[p.path]
            for split, photos in given.splits.items()
            for p in photos
        },
        TrainConfig(seed=seed),
        [
            [f"{path.split('/')[0]}/{renamed[path]}" for path in group]
            for group in reversed(groups)
        ],
    )
    back = {new: old for old, new in renamed.items()}
    for name, expected in photos.splits.items():
        got = {back[p.path.split("/", 1)[1]] for p in again.splits[name]}
        assert got == {p.path for p in expected}


@settings(deadline=None)
@given(grouped_photos(), strategies.integers(0, 3), strategies.data())
def test_adding_photos_moves_no_other_photo(grouped, seed, data):
    given, hashes, groups = grouped
    photos, left_out = divide(given, hashes, seed, groups)
    split_of = {p.path: name for name, ps in photos.splits.items() for p in ps}
    earlier = {hashes[path]: name for path, name in split_of.items()}
    count = data.draw(strategies.integers(1, 30))
    new = tuple(Photo(f"train/0/new {index}.jpg", 0) for index in range(count))
    # Some of them show what others show, of whichever splits.
    alike = data.draw(strategies.lists(strategies.sampled_from(sorted(hashes))))
    more = [*groups, [new[0].path, *set(alike)]] if alike else groups
    merged = merge(more)
    grown = replace(given, splits=given.splits | {"train": given.splits["train"] + new})
    hashes = hashes | {photo.path: photo.path for photo in new}
    tested = {photo.path for photo in given.splits["test"]}
    leaked = {path for group in merged if tested & set(group) for path in group}
    try:
        again, left_out_again = split_photos(
            grown, hashes, TrainConfig(seed=seed), merged, earlier
        )
    except InvalidInput:
        # Rightly: all of validation shows test photos now, and none may take its place.
        assert {p.path for p in photos.splits["validation"]} <= leaked
        return
    now = {p.path: name for name, ps in again.splits.items() for p in ps}
    for path, name in split_of.items():
        # Unless the new photo shows that it shows a given test photo.
        if path in tested or path not in leaked:
            assert now[path] == name
    assert left_out_again.keys() & split_of.keys() <= leaked


def merge(groups):
    """Groups that share a member are one."""
    merged = []
    for group in map(set, groups):
        for other in [other for other in merged if other & group]:
            merged.remove(other)
            group |= other
        merged.append(group)
    return merged


def test_a_photo_like_photos_of_two_splits_is_left_out():
    given, hashes = make_photos([10, 10])
    photos = split_in(given, hashes, EVEN)
    train, test = photos["train"][0], photos["test"][0]
    earlier = {p.path: name for name, ps in photos.items() for p in ps}
    del earlier[photos["train"][1].path]
    group = [train.path, test.path, photos["train"][1].path]
    again, left_out = split_photos(given, hashes, EVEN, [group], earlier)
    assert left_out == {group[2]: "the same picture as photos of test and train"}
    assert again.splits["test"] == photos["test"]


def test_a_training_photo_that_is_a_test_photo_is_left_out():
    given, hashes = make_photos([10, 10], [Photo("test/0/x.jpg", 0)])
    hashes["train/0/3.jpg"] = hashes["test/0/x.jpg"]
    photos, left_out = split_photos(given, hashes, EVEN)
    assert left_out == {"train/0/3.jpg": "the same picture as test/0/x.jpg"}
    assert len(photos.all_photos()) == 20


def test_refuses_a_class_of_one_picture():
    given, hashes = make_photos([8, 8])
    groups = [[p for p in hashes if f"train/{label}/" in p] for label in (0, 1)]
    with pytest.raises(InvalidInput, match="^too few different photos .* for test$"):
        split_photos(given, hashes, TrainConfig(), groups)
