import os
import random

import pytest
from photo_corpus import CORPUS
from PIL import Image

from landmarks_tf.data.file_check import FileCheck
from landmarks_tf.data.file_check import check_file
from landmarks_tf.data.file_check import check_files
from landmarks_tf.data.file_check import find_format


@pytest.mark.parametrize("kind", CORPUS)
def test_every_kind_is_read(tmp_path, kind):
    path = tmp_path / f"photo.{kind.split()[-1].lower()}"
    path.write_bytes(CORPUS[kind]())
    found = check_file(str(path))
    assert found.problem == ""
    is_turned = kind.startswith("turned")
    size = found.width, found.height
    assert size == ((120, 160) if is_turned else (160, 120))
    assert len(found.sha256) == len(found.perceptual_hash) == 64


def check(folder, name):
    (found,) = check_files(folder, [name], database=folder / "cache")
    return found


def test_names_what_is_no_readable_file(tmp_path):
    (tmp_path / "link.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    for name, problem in (
        ("link.jpg", "dangling link"),
        ("loop.jpg", "too many levels of symbolic links"),
        ("nowhere.jpg", "no such file"),
        ("pipe.jpg", "a pipe or device, not a photo"),
    ):
        assert check(tmp_path, name) == FileCheck(problem)


def test_names_a_file_that_must_not_be_read_until_it_may(tmp_path, monkeypatch):
    (tmp_path / "photo.jpg").write_bytes(CORPUS["JPEG"]())

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", refuse)  # root may read what it likes
        assert check(tmp_path, "photo.jpg") == FileCheck("permission denied")
    assert check(tmp_path, "photo.jpg").problem == ""


def test_tells_formats_by_the_header_alone(tmp_path):
    path = tmp_path / "file"
    for contents, expected in (
        (CORPUS["JPEG"]()[:700], "JPEG"),
        (CORPUS["PNG"]()[:100], "PNG"),
        (b"\0\0\0\x18ftypheic" * 3, "HEIC is not supported: convert it to JPEG"),
        (b"a text", ""),
        (b"", ""),
    ):
        path.write_bytes(contents)
        assert find_format(str(path)) == expected
    assert find_format(str(tmp_path)) == ""
    assert find_format(str(tmp_path / "nowhere")) == ""


@pytest.mark.parametrize("kind", CORPUS)
def test_damaged_photos_of_every_kind_are_named_or_read(tmp_path, kind):
    contents = CORPUS[kind]()
    rng = random.Random(kind)
    path = tmp_path / "photo.jpg"
    for _ in range(60):
        damaged = bytearray(contents)
        for _ in range(rng.randint(1, 4)):
            # Half of them in the headers, where most of the structure is.
            end = rng.choice((100, len(damaged)))
            damaged[rng.randrange(end)] = rng.randrange(256)
        path.write_bytes(damaged[: rng.choice((len(damaged), rng.randrange(1000)))])
        found = check_file(str(path))
        assert bool(found.problem) != bool(found.width)


def test_a_photo_over_the_limit_is_not_decoded(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(CORPUS["JPEG"]()[:700])  # its header alone is whole
    assert check_file(str(path)).problem.startswith("damaged")
    header = bytearray(path.read_bytes())
    start = header.index(b"\xff\xc0") + 5  # its height and width
    header[start : start + 4] = (20_000).to_bytes(2, "big") * 2
    path.write_bytes(header)
    assert check_file(str(path)).problem == "too many pixels"


def test_photos_are_remembered_until_they_change(tmp_path, monkeypatch):
    names = ["a.png", "b.png"]
    for index, name in enumerate(names):
        Image.new("RGB", (9, 9), (index, 0, 0)).save(tmp_path / name)
    database = tmp_path / "files.sqlite"
    first = list(check_files(tmp_path, names, database=database))
    monkeypatch.setattr("landmarks_tf.data.file_check.check_file", None)
    assert list(check_files(tmp_path, names, database=database)) == first
    Image.new("RGB", (9, 19)).save(tmp_path / "b.png")
    with pytest.raises(TypeError):
        list(check_files(tmp_path, names, database=database))
