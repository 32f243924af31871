import base64
import io
import json
from pathlib import Path

import pytest
from PIL import Image
from conftest import Page

from landmarks_tf.data.audit import Finding
from landmarks_tf.data.audit import NOTES
from landmarks_tf.data.audit import PROBLEMS
from landmarks_tf.data.audit import check_data
from landmarks_tf.data.audit import load_thumbnails
from landmarks_tf.data.audit import write_html
from landmarks_tf.data.audit import write_json
from landmarks_tf.data.file_check import FileCheck
from landmarks_tf.data.file_check import check_files
from landmarks_tf.data.photo_set import Photo
from landmarks_tf.data.photo_set import PhotoSet
from landmarks_tf.data.photo_set import load_photos

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
    given = PhotoSet(Path("data"), tuple(names), photos, tuple(ignored))
    return check_data(given, [], checks, others or {}, min_side=64)


def test_good_photos_have_no_findings():
    assert check() == []


def test_findings_are_problems_or_notes_with_problems_first():
    assert not PROBLEMS.keys() & NOTES.keys()
    findings = check(
        more=[("test", 0, good("x", conversions=("CMYK",))), ("test", 1, good("x"))],
        ignored=["train/Petra/.DS_Store"],
    )
    kinds = [finding.kind for finding in findings]
    assert kinds == ["conflict", "converted", "ignored"]
    assert [finding.is_problem for finding in findings] == [True, False, False]


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


@pytest.fixture
def photos(colored_dir):
    return load_photos(colored_dir)


@pytest.fixture
def checks(photos):
    paths = [photo.path for photo in photos.all_photos()]
    return dict(zip(paths, check_files(photos.data_dir, paths)))


def test_the_page_stands_alone_and_shows_classes_and_findings(photos, checks, tmp_path):
    findings = [
        Finding("leak", "nearly the same", ("train/0.red/00.jpg", "test/0.red/00.jpg")),
        Finding("unreadable", "empty <file>", ("train/0.red/<script>\udcff.jpg",)),
        Finding("converted", "CMYK", ("train/1.green/00.jpg",)),
    ]
    write_html(tmp_path / "r.html", photos, checks, findings)
    page = Page((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert set(page.open) <= {"html"}
    assert "script" not in page.tags and "link" not in page.tags
    assert page.references
    assert all(r.startswith("data:image/jpeg;base64,") for r in page.references)
    for word in (
        "3 classes, 52 photos",
        "2 problems",
        "empty <file>",
        "CMYK",
        "<script>?.jpg",
    ):
        assert word in page.text
    # Four samples a class, and the pictures of the findings that can be read.
    assert len(page.references) == 3 * 4 + 3
    # A point for each photo.
    points = [
        v for k, v in page.attributes if k == "style" and "fill-opacity: 0.4" in v
    ]
    assert len(points) == 52


def test_a_clean_folder_is_called_clean(photos, checks, tmp_path):
    write_html(tmp_path / "r.html", photos, checks, [])
    assert "no problems" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_very_many_findings_are_cut_with_their_number(photos, checks, tmp_path):
    findings = [Finding("ignored", "hidden", (f"a/.{i}",)) for i in range(1234)]
    write_html(tmp_path / "r.html", photos, checks, findings)
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "(1234)" in text and "and 1134 more" in text


def test_thumbnails_are_small_and_missing_for_what_cannot_be_read(colored_dir):
    (colored_dir / "train/0.red/bad.txt").write_text("no photo")
    paths = ["train/0.red/00.jpg", "train/0.red/bad.txt"]
    good, bad = load_thumbnails(colored_dir, paths).values()
    with Image.open(io.BytesIO(base64.b64decode(good))) as image:
        assert max(image.size) <= 96
    assert bad == ""
    (colored_dir / "train/0.red/bad.txt").unlink()


def test_the_record_holds_every_finding(photos, tmp_path):
    finding = Finding("small", "9x9", ("train/0.red/\udcff.jpg",))
    write_json(tmp_path / "r.json", photos, 51, [finding])
    record = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert (record["num_photos"], record["num_readable"]) == (52, 51)
    assert record["classes"]["1.green"] == {"train": 12, "test": 5}
    assert record["findings"] == [
        {
            "kind": "small",
            "is_problem": True,
            "text": "9x9",
            "paths": ["train/0.red/\udcff.jpg"],
        }
    ]
    assert Path(record["data_dir"]) == photos.data_dir.resolve()
