from pathlib import Path

import pytest

from landmarks_tf.data.audit import Finding
from landmarks_tf.data.audit import NOTES
from landmarks_tf.data.audit import PROBLEMS
from landmarks_tf.data.audit import check_data
from landmarks_tf.data.file_check import FileCheck
from landmarks_tf.data.photo_set import Photo
from landmarks_tf.data.photo_set import PhotoSet

NAMES = ("Petra", "Colosseum", "Pisa")


def good(name, **fields):
    return FileCheck(**{"sha256": name, "width": 640, "height": 480} | fields)


def check(names=("Petra", "Colosseum"), count=12, more=(), ignored=(), others=None):
    """Checks a folder of good photos and some more: (split, label, FileCheck)."""
    photos = {"train": [], "test": []}
    checks = {}
    rows = [("train", label, None) for label in range(len(names)) for _ in range(count)]
    for index, (split, label, found) in enumerate([*rows, *more]):
        path = f"{split}/{names[label]}/{index}.jpg"
        photos[split].append(Photo(path, label))
        checks[path] = found or good(path)
    photos = PhotoSet(Path("data"), tuple(names), photos, tuple(ignored))
    return check_data(photos, [], checks, others or {}, min_side=64)


def test_good_photos_have_no_findings():
    assert check() == []


def test_findings_are_problems_or_notes_with_problems_first():
    assert not PROBLEMS.keys() & NOTES.keys()
    findings = check(
        more=[("test", 0, good("x")), ("test", 1, good("x"))],
        ignored=["train/Petra/.DS_Store"],
    )
    kinds = [finding.kind for finding in findings]
    assert kinds == ["conflict", "ignored"]
    assert [finding.is_problem for finding in findings] == [True, False]


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([("train", 0), ("train", 0)], ["duplicate"]),
        ([("train", 0), ("train", 1)], ["conflict"]),
        ([("train", 0), ("test", 0)], ["leak"]),
        ([("train", 0), ("test", 1)], ["leak", "conflict"]),
    ],
)
def test_the_same_picture_is_judged_by_where_it_is(places, expected):
    findings = check(more=[(*place, good("same")) for place in places])
    assert [finding.kind for finding in findings] == expected
    assert all("the same bytes" in finding.text for finding in findings)
    assert all(len(finding.paths) == 2 for finding in findings)
    near = [bytes(31) + b"\x03", bytes(32)]
    copies = [good(h.hex(), perceptual_hash=h.hex()) for h in near]
    findings = check(more=[(*place, c) for place, c in zip(places, copies)])
    assert [finding.kind for finding in findings] == expected
    assert all("nearly the same" in finding.text for finding in findings)


def test_unreadable_files_are_no_duplicates():
    findings = check(more=[("train", 0, FileCheck("empty file", "same"))] * 2)
    assert [finding.kind for finding in findings] == ["unreadable"] * 2


def test_a_small_photo_is_a_problem():
    (finding,) = check(more=[("train", 0, good("s", height=63))])
    assert finding.kind == "small"
    assert finding.text == "640x63 pixels, less than 64 a side"


@pytest.mark.parametrize(
    ("counts", "named"),
    [
        ([12, 12, 12], []),
        ([9, 12, 12], ["0: 9 photos to train on, median 12"]),
        ([15, 100, 100], ["0: 15 photos to train on, median 100"]),
        ([20, 100, 100], []),
        ([100, 100, 500], []),
        ([100, 100, 501], ["2: 501 photos to train on, median 100"]),
    ],
)
def test_classes_far_from_the_median_are_named(counts, named):
    rows = [row for label, count in enumerate(counts) for row in lots(label, count)]
    findings = check(names=NAMES, count=0, more=rows)
    assert [f.text for f in findings if f.kind == "imbalance"] == [
        text.replace(text[0], NAMES[int(text[0])], 1) for text in named
    ]


def lots(label, count):
    return [("train", label, good(f"{label} {index}")) for index in range(count)]


@pytest.mark.parametrize(
    "name",
    [
        "New folder",
        "untitled 2",
        "Photos",
        "12.images",
        "Petra copy",
        "Petra (2)",
        "2024",
    ],
)
def test_names_that_are_no_landmarks_are_suspicious(name):
    findings = check(names=("Colosseum", name))
    assert findings == [Finding("name", f"{name!r} is no landmark's name")]


@pytest.mark.parametrize("name", [" Petra", "Petra ", "Pe\ttra", "Pe\u200btra"])
def test_blanks_and_odd_characters_are_suspicious(name):
    (finding,) = check(names=("Colosseum", name))
    assert finding.text == f"{name!r} has blanks at its ends or odd characters"


def test_names_that_differ_by_little_are_suspicious():
    for one, other in (
        ("Eiffel_Tower", "eiffel tower"),
        ("16.Eiffel_Tower", "17.Eiffel_Tower"),
        ("D\u00fcsseldorf", "Du\u0308sseldorf"),
    ):
        (finding,) = check(names=(one, other, "Petra"))
        assert finding.text == f"{other!r} differs from {one!r} by little"


@pytest.mark.parametrize(
    "name", ["16.Eiffel_Tower", "Testaccio", "Valencia", "Düsseldorf", "兵馬俑"]
)
def test_names_of_landmarks_are_not_suspicious(name):
    assert check(names=("Colosseum", name)) == []


def test_other_files_are_told_apart():
    files = {
        "train/Petra/.DS_Store": None,
        "train/Petra/notes.txt": "",
        "train/Petra/a.heic": "HEIC is not supported: convert it to JPEG",
        "train/Petra/b.jpg_large": "JPEG",
        "train/Petra/more/": None,
        "train/loose.jpg": "JPEG",
        ".hidden/": None,
    }
    others = {path: found for path, found in files.items() if found}
    findings = check(ignored=files, others=others)
    assert [(finding.kind, finding.text) for finding in findings] == [
        (
            "folder",
            "train/Petra/more/ is not read: photos lie in train/CLASS/ and "
            "test/CLASS/, or in CLASS/",
        ),
        ("folder", "train/loose.jpg is not read: it lies in no class's folder"),
        ("unreadable", "HEIC is not supported: convert it to JPEG"),
        (
            "misnamed",
            "without a photo's extension, such as .jpg: rename it",
        ),
        ("ignored", "hidden"),
        ("ignored", "not named as a photo"),
        ("ignored", "hidden"),
    ]
