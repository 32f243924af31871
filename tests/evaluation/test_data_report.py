import base64
import io
import json
from pathlib import Path

import pytest
from conftest import Page
from PIL import Image

from landmarks_tf.data.audit import Finding
from landmarks_tf.data.file_check import check_files
from landmarks_tf.data.photo_set import load_photos
from landmarks_tf.evaluation.data_report import load_thumbnails
from landmarks_tf.evaluation.data_report import write_html
from landmarks_tf.evaluation.data_report import write_json


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
        Finding("small", "too <low>", ("train/1.green/00.jpg",)),
    ]
    write_html(tmp_path / "r.html", photos, checks, findings)
    page = Page((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert set(page.open) <= {"html"}
    assert "script" not in page.tags and "link" not in page.tags
    assert page.references
    assert all(r.startswith("data:image/jpeg;base64,") for r in page.references)
    for word in (
        "3 classes, 52 photos",
        "3 problems",
        "empty <file>",
        "too <low>",
        "<script>?.jpg",
    ):
        assert word in page.text
    # Four samples a class, and the pictures of the findings that can be read.
    assert len(page.references) == 3 * 4 + 3


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
