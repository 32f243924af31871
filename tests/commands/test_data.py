"""The scripts about data, as a user runs them: check_data.py and download_data.py."""

import hashlib
import io
import json
import os
import random
import shutil
import zipfile
import zlib

import pytest
from archive_server import Server
from conftest import run_script
from photo_corpus import CORPUS
from photo_corpus import encode
from PIL import Image

from landmarks_tf.samples.picture import CLASS_NAMES
from landmarks_tf.samples.picture import draw_photo
from landmarks_tf.samples.sample_set import write_sample_set

NUM_CLASSES = 8


def new_photo(number):
    """A picture that is not in the sample set, of 320x240 pixels."""
    photo = draw_photo(40 + number % 10, random.Random(f"new {number}"))
    return photo.resize((320, 240))


def jpeg(number, **options):
    return encode(new_photo(number), "JPEG", **options)


def bomb():
    """The header of a PNG of 50,000 x 50,000 pixels."""
    contents = bytearray(encode(Image.new("1", (8, 8)), "PNG"))
    contents[16:24] = (50_000).to_bytes(4, "big") * 2
    contents[29:33] = zlib.crc32(contents[12:29]).to_bytes(4, "big")
    return bytes(contents)


def smaller(contents):
    with Image.open(io.BytesIO(contents)) as image:
        return encode(image.resize((90, 80)), "JPEG", quality=50)


CUT = (
    *("grey JPEG", "CMYK JPEG", "progressive JPEG", "grey PNG", "1-bit PNG"),
    *("palette PNG", "transparent PNG", "16-bit PNG", "16-bit transparent PNG"),
    *("BMP", "32-bit BMP", "GIF", "lossless WebP", "transparent WebP", "animated WebP"),
)


def cut(kind):
    """The first third of a photo."""
    contents = CORPUS[kind]()
    return contents[: len(contents) // 3]


FILES = {
    # path -> contents, kind of finding, its text
    "train/{0}/half.jpg": (jpeg(0)[:2000], "unreadable", "damaged"),
    "train/{1}/half.png": (CORPUS["PNG"]()[:5000], "unreadable", "damaged"),
    "test/{2}/half.webp": (CORPUS["WebP"]()[:900], "unreadable", "damaged"),
    "train/{3}/empty.jpg": (b"", "unreadable", "empty file"),
    "test/{0}/empty.png": (b"", "unreadable", "empty file"),
    "train/{0}/text.jpg": (b"a text", "unreadable", "not a photo"),
    "train/{1}/page.jpg": (b"<!DOCTYPE html>404", "unreadable", "not a photo"),
    "test/{1}/noise.gif": (bytes(range(256)), "unreadable", "not a photo"),
    "train/{2}/bomb.png": (bomb(), "unreadable", "too many pixels"),
    "train/{3}/phone.heic": (b"\0\0\0\x18ftypheic" * 9, "unreadable", "HEIC"),
    "train/{4}/phone.jpg": (b"\0\0\0\x18ftypheic" * 9, "unreadable", "HEIC"),
    "train/{4}/web.avif": (b"\0\0\0\x1cftypavif" * 9, "unreadable", "AVIF"),
    "train/{4}/scan.tif": (b"II*\0\x08\0\0\0" * 9, "unreadable", "TIFF"),
    "test/{4}/camera.dng": (b"MM\0*\0\0\0\x08" * 9, "unreadable", "raw format"),
    "train/{5}/old.bmp": (
        encode(new_photo(1).quantize(9), "BMP"),
        "unreadable",
        "a BMP with a palette",
    ),
    "train/{5}/web.jpg_large": (jpeg(9), "misnamed", "rename it"),
    "train/{5}/tiny.jpg": (encode(new_photo(2).resize((40, 30)), "JPEG"), "small", ""),
    **{
        f"train/{{6}}/{kind}.{kind.split()[-1].lower()}": (cut(kind), "unreadable", "")
        for kind in CUT
    },
    "train/{0}/.DS_Store": (b"x", "ignored", "hidden"),
    "train/{0}/._000.jpg": (b"x", "ignored", "hidden"),
    "test/{0}/Thumbs.db": (b"x", "ignored", "not named as a photo"),
    "train/{1}/notes.txt": (b"x", "ignored", "not named as a photo"),
}
COPIES = {
    # source -> target, change, kind, text
    "train/{0}/000.jpg": ("train/{0}/twice.jpg", None, "duplicate", "the same bytes"),
    "train/{0}/001.jpg": ("train/{0}/again.jpg", smaller, "duplicate", "nearly"),
    "train/{1}/000.jpg": ("train/{2}/wrong.jpg", None, "conflict", "the same bytes"),
    "train/{1}/001.jpg": ("train/{2}/also.jpg", smaller, "conflict", "nearly"),
    "train/{3}/000.jpg": ("test/{3}/leak.jpg", None, "leak", "the same bytes"),
    "train/{3}/001.jpg": ("test/{3}/near.jpg", smaller, "leak", "nearly"),
}


def plant(data_dir):
    """Plants problems; returns (kind, part of its text, part of its path) of each."""
    expected = []
    for pattern, (contents, kind, text) in FILES.items():
        path = pattern.format(*CLASS_NAMES)
        (data_dir / path).write_bytes(contents)
        expected.append((kind, text, path))
    for source, (pattern, change, kind, text) in COPIES.items():
        path = pattern.format(*CLASS_NAMES)
        contents = (data_dir / source.format(*CLASS_NAMES)).read_bytes()
        (data_dir / path).write_bytes(change(contents) if change else contents)
        expected.append((kind, text, path))
    first = data_dir / "train" / CLASS_NAMES[0]
    (first / "gone.jpg").symlink_to("nowhere")
    expected.append(("unreadable", "dangling link", f"{first.name}/gone.jpg"))
    os.mkfifo(first / "pipe.jpg")
    expected.append(
        ("unreadable", "a pipe or device, not a photo", f"{first.name}/pipe.jpg")
    )
    (first / "more").mkdir()
    expected.append(("folder", f"{first.name}/more/ is not read", ""))
    (data_dir / "test" / "Unseen_Tower").mkdir()
    (data_dir / "test" / "Unseen_Tower" / "1.jpg").write_bytes(jpeg(30))
    expected.append(("folder", "Unseen_Tower: training never saw this class", ""))
    (data_dir / "train" / "Empty_Arch").mkdir()
    expected.append(("folder", "no photos of class Empty_Arch", ""))
    few = data_dir / "train" / "New folder (3)"
    few.mkdir()
    for number in range(3):
        (few / f"{number}.jpg").write_bytes(jpeg(40 + number))
    expected.append(("imbalance", "New folder (3): 3 photos", ""))
    expected.append(("name", "'New folder (3)' is no landmark's name", ""))
    last = CLASS_NAMES[NUM_CLASSES - 1]
    alike = data_dir / "train" / last.lower()
    alike.mkdir()
    for number in range(12):
        (alike / f"{number}.jpg").write_bytes(jpeg(50 + number))
    expected.append(("name", f"{last.lower()!r} differs from {last!r}", ""))
    return expected


def listing(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture(scope="module")
def clean_dir(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("data") / "clean photos"
    write_sample_set(data_dir, num_train=12, num_test=3, num_classes=NUM_CLASSES)
    return data_dir


@pytest.fixture(scope="module")
def planted(clean_dir, tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("data") / "planted photos"
    shutil.copytree(clean_dir, data_dir)
    return data_dir, plant(data_dir)


def check(data_dir, output_dir, *flags):
    return run_script(
        "check_data", f"--data_dir={data_dir}", f"--output_dir={output_dir}", *flags
    )


def test_a_clean_folder_is_called_clean(clean_dir, tmp_path):
    result = check(clean_dir, tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == (
        "8 classes, 120 photos, 120 readable\nno problems\n"
        f"report: {tmp_path}/data_report.html\n"
    )


def test_every_one_of_fifty_planted_problems_is_found_and_no_other(planted, tmp_path):
    data_dir, expected = planted
    assert len(expected) >= 50
    result = check(data_dir, tmp_path)
    assert (result.returncode, result.stderr) == (1, "")
    record = json.loads((tmp_path / "data_report.json").read_text())
    found = record["findings"]
    for kind, text, path in expected:
        matches = [
            finding
            for finding in found
            if finding["kind"] == kind
            and text in finding["text"]
            and (not path or any(p.endswith(path) for p in finding["paths"]))
        ]
        assert len(matches) == 1, (kind, text, path)
        found.remove(matches[0])
    # A photo can have a second thing to tell; nothing else is a problem.
    assert [finding for finding in found if finding["is_problem"]] == []
    assert len(record["classes"]) == NUM_CLASSES + 4
    page = (tmp_path / "data_report.html").read_text(encoding="utf-8")
    assert "HEIC is not supported: convert it to JPEG" in page


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "error: flag --data_dir=None: Flag --data_dir must have a value"),
        (
            ["--data_dir=tests", "--output_dir=tests/report"],
            "error: `output_dir` must be outside the photos. ",
        ),
        (["--data_dir=nowhere"], "error: no such folder: `data_dir`=nowhere\n"),
        (["--colour=red"], "error: Unknown command line flag 'colour'"),
    ],
)
def test_what_cannot_be_checked_ends_with_code_2(flags, message):
    result = run_script("check_data", *flags)
    assert result.returncode == 2
    assert result.stderr.startswith(message)
    assert len(result.stderr.splitlines()) == 1


def test_the_shortest_side_is_a_flag(clean_dir, tmp_path):
    assert check(clean_dir, tmp_path, "--min_side=500").returncode == 1


def test_a_split_file_is_checked_for_shared_pictures(clean_dir, tmp_path):
    data_dir = tmp_path / "photos"
    shutil.copytree(clean_dir, data_dir)
    name = CLASS_NAMES[0]
    (data_dir / "train" / name / "same.jpg").write_bytes(
        smaller((data_dir / "train" / name / "000.jpg").read_bytes())
    )
    paths = {
        "train": f"train/{name}/000.jpg",
        "validation": f"train/{name}/same.jpg",
        "test": f"test/{name}/000.jpg",
    }
    record = {"data_dir": str(data_dir), "skipped": {}}
    for split, path in paths.items():
        digest = hashlib.sha256((data_dir / path).read_bytes()).hexdigest()
        record[split] = {path: digest}
    (tmp_path / "split.json").write_text(json.dumps(record))
    flag = f"--split_file={tmp_path}/split.json"
    result = check(data_dir, tmp_path, flag)
    assert result.returncode == 1
    assert "nearly the same in train and validation" in result.stdout
    assert "as the split file says" not in result.stdout

    (data_dir / paths["validation"]).unlink()
    result = check(data_dir, tmp_path, flag)
    assert result.returncode == 1
    message = "Photos that are not as the split file says, the first: "
    assert f"{message}{paths['validation']} is gone since" in result.stdout


@pytest.fixture
def server(clean_dir):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(clean_dir.rglob("*.jpg")):
            archive.write(path, f"landmark_images/{path.relative_to(clean_dir)}")
    server = Server(file.getvalue())
    yield from server.running()


def test_a_download_ends_with_the_check_and_is_not_repeated(
    server, clean_dir, tmp_path
):
    data_dir = tmp_path / "new" / "photos"
    flags = [
        f"--data_dir={data_dir}",
        f"--url={server.url}",
        f"--output_dir={tmp_path}",
    ]
    result = run_script("download_data", *flags)
    assert (result.returncode, result.stderr) == (0, "")
    assert "8 classes, 120 photos, 120 readable\nno problems\n" in result.stdout
    assert listing(data_dir) == listing(clean_dir)
    assert [path.name for path in data_dir.parent.iterdir()] == ["photos"]
    assert server.num_requests == 1
    result = run_script("download_data", *flags)
    assert result.returncode == 0
    assert f"{data_dir} is there already: nothing to download" in result.stdout
    assert server.num_requests == 1


def test_an_archive_of_class_folders_is_fetched_once_too(server, clean_dir, tmp_path):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted((clean_dir / "train").rglob("*.jpg")):
            archive.write(path, path.relative_to(clean_dir / "train"))
    server.body = file.getvalue()
    (tmp_path / "photos.zip").write_text("somebody's own")
    flags = [f"--data_dir={tmp_path / 'photos'}", f"--url={server.url}"]
    for _ in range(2):
        result = run_script("download_data", *flags, f"--output_dir={tmp_path}")
        assert (result.returncode, result.stderr) == (0, "")
        assert "8 classes, 96 photos, 96 readable" in result.stdout
    assert "nothing to download" in result.stdout
    assert server.num_requests == 1
    assert (tmp_path / "photos.zip").read_text() == "somebody's own"


def test_a_download_that_fails_ends_with_code_2(server, tmp_path):
    flags = [f"--data_dir={tmp_path / 'photos'}", f"--output_dir={tmp_path}"]
    result = run_script("download_data", *flags, f"--url={server.url}x")
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: cannot download and unpack {server.url}x ")
    assert result.stderr.count("\n") == 1
    server.body = server.body[:-40]
    result = run_script("download_data", *flags, f"--url={server.url}")
    assert result.returncode == 2
    assert f"{server.url} (Could not extract archive.)" in result.stderr
    assert not list(tmp_path.iterdir())
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "thesis.txt").write_text("precious")
    result = run_script("download_data", *flags, f"--url={server.url}")
    assert (result.returncode, result.stderr) == (
        2,
        f"error: {tmp_path}/photos is something else: choose another name\n",
    )
