import io
import stat
import tarfile
import zipfile

import pytest
from archive_server import Server

from landmarks_tf.errors import InvalidInput
from landmarks_tf.samples import download


def zip_of(files):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, contents in files.items():
            archive.writestr(name, contents)
    return file.getvalue()


def tar_of(files):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, contents in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(contents)
            archive.addfile(member, io.BytesIO(contents))
    return file.getvalue()


def damaged(contents):
    body = bytearray(zip_of(contents))
    body[45] ^= 0xFF  # in the compressed bytes of the first file
    return bytes(body)


def link():
    info = zipfile.ZipInfo("train/a/link.jpg")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


PHOTOS = {
    "train/a/1.jpg": b"one" * 50,
    "train/b/2.jpg": b"two" * 50,
    "test/a/3.jpg": b"three" * 50,
}
CLASSES = {"a/1.jpg": b"one" * 50, "b/2.jpg": b"two" * 50}


@pytest.fixture
def server():
    yield from Server(zip_of(PHOTOS)).running()


def files_in(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("pack", [zip_of, tar_of])
@pytest.mark.parametrize("wrap", ["", "landmark_images/"])
@pytest.mark.parametrize("files", [PHOTOS, CLASSES, {"train/a/1.jpg": b"one"}])
def test_a_folder_around_everything_is_left_out(server, tmp_path, files, wrap, pack):
    wrapped = {wrap + name: contents for name, contents in files.items()}
    server.body = pack(wrapped | {"__MACOSX/._x": b""})
    download.download_photos(server.url, tmp_path / "new" / "photos")
    assert files_in(tmp_path) == {f"new/photos/{name}": files[name] for name in files}


@pytest.mark.parametrize("extra_length", [0, None])
def test_an_empty_folder_is_filled(server, tmp_path, extra_length):
    server.extra_length = extra_length
    (tmp_path / "photos").mkdir()
    download.download_photos(server.url, tmp_path / "photos")
    assert files_in(tmp_path / "photos") == PHOTOS


def test_a_link_in_a_zip_leads_nowhere(server, tmp_path):
    server.body = zip_of({link(): b"/etc/passwd", "test/a/1.jpg": b"one"})
    download.download_photos(server.url, tmp_path / "photos")
    assert files_in(tmp_path / "photos")["train/a/link.jpg"] == b"/etc/passwd"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (zip_of({"../out.jpg": b"x"}), "Skipping invalid path .*'../out.jpg'"),
        (zip_of({"/out.jpg": b"x"}), "Skipping invalid path .*'/out.jpg'"),
        (
            tar_of({"a/../../out.jpg": b"x"}),
            "Skipping invalid path .*'a/../../out.jpg'",
        ),
        (damaged(PHOTOS), ""),
        (zip_of(PHOTOS)[:-30], "Could not extract archive"),
        (b"<!DOCTYPE html>", "Could not extract archive"),
        (b"", "Could not extract archive"),
    ],
)
def test_refuses_an_archive(server, tmp_path, body, message):
    server.body = body
    how = f"^cannot download and unpack {server.url} \\({message}.*: check the address"
    with pytest.raises(InvalidInput, match=how):
        download.download_photos(server.url, tmp_path / "photos")
    assert not list(tmp_path.iterdir())


def test_refuses_an_archive_without_files(server, tmp_path):
    server.body = zip_of({})
    with pytest.raises(InvalidInput, match=f"holds no files: {server.url}$"):
        download.download_photos(server.url, tmp_path / "photos")
    assert not list(tmp_path.iterdir())


def test_a_server_that_refuses_breaks_off_or_is_not_there_is_named(server, tmp_path):
    server.extra_length = 100
    urls = {
        f"{server.url}x": "HTTP Error 404: Not Found",
        server.url: "<urlopen error retrieval incomplete: .*>",
        "http://127.0.0.1:9/x": "<urlopen error .*refused>",
        "foo": "unknown url type: 'foo'",
    }
    for url, reason in urls.items():
        end = f"or unpack the archive yourself as {tmp_path}/photos$"
        with pytest.raises(InvalidInput, match=rf"unpack {url} \({reason}\): .*{end}"):
            download.download_photos(url, tmp_path / "photos")
        assert not list(tmp_path.iterdir())


def test_a_download_that_is_interrupted_leaves_no_files(server, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(download.keras.utils, "get_file", interrupt)
    with pytest.raises(KeyboardInterrupt):
        download.download_photos(server.url, tmp_path / "photos")
    assert not list(tmp_path.iterdir())
