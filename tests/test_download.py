import http.server
import io
import re
import stat
import threading
import zipfile

import pytest

from landmarks_tf import download
from landmarks_tf.errors import InvalidInput


class Server(http.server.ThreadingHTTPServer):
    """Serves `body` with ranges; `cut` breaks so many connections half-way."""

    def __init__(self, body):
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = body
        self.cut = 0
        self.extra_length = 0
        self.has_ranges = True
        self.content_range = None
        self.etag = '"one"'
        self.requests = []
        self.url = f"http://127.0.0.1:{self.server_port}/photos.zip"

    def running(self):
        """Serves until a fixture that yields from it ends."""
        thread = threading.Thread(target=self.serve_forever, daemon=True)
        thread.start()
        yield self
        self.shutdown()
        self.server_close()
        thread.join()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range")
        server.requests.append(wanted)
        if self.path.rstrip("?") != "/photos.zip":
            self.send_error(404)
            return
        start = 0
        is_same = self.headers.get("If-Range") == server.etag
        if wanted and is_same and server.has_ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            if start >= len(server.body):
                self.send_error(416)
                return
        whole = len(server.body) + (server.extra_length or 0)
        self.send_response(206 if start else 200)
        if server.extra_length is not None:
            self.send_header("Content-Length", str(whole - start))
        self.send_header("ETag", server.etag)
        if start:
            sent = f"bytes {start}-{whole - 1}/{whole}"
            if server.content_range is not None:
                sent, server.content_range = server.content_range, None
            self.send_header("Content-Range", sent)
        self.end_headers()
        rest = server.body[start:]
        if server.cut:
            server.cut -= 1
            rest = rest[: len(rest) // 2]
        self.wfile.write(rest)

    def log_message(self, *_):
        pass


def zip_of(files, **options):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, contents in files.items():
            archive.writestr(name, contents)
    return file.getvalue()


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(download, "PAUSE_SECONDS", 0)


@pytest.fixture
def server():
    yield from Server(bytes(range(256)) * 3000).running()


def fetch(server, path, states=None):
    states = [] if states is None else states
    download.fetch(server.url, path, lambda *state: states.append(state))


def test_a_file_arrives_whole(server, tmp_path):
    states = []
    fetch(server, tmp_path / "a.zip", states)
    assert (tmp_path / "a.zip").read_bytes() == server.body
    assert states[-1] == (len(server.body), len(server.body))


def test_a_broken_connection_goes_on_where_it_stopped(server, tmp_path):
    server.cut = 5
    fetch(server, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == server.body
    size = len(server.body)
    assert server.requests[:3] == [
        None,
        f"bytes={size // 2}-",
        f"bytes={size * 3 // 4}-",
    ]


def test_another_call_goes_on_where_one_was_stopped(server, tmp_path):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download.fetch(server.url, tmp_path / "a.zip", stop)
    path = tmp_path / "a.zip"
    path.write_bytes(server.body[:1000])
    fetch(server, path)
    assert server.requests[-1] == "bytes=1000-"
    assert path.read_bytes() == server.body


def test_a_whole_file_is_not_asked_for_again(server, tmp_path):
    fetch(server, tmp_path / "a.zip")
    fetch(server, tmp_path / "a.zip")
    assert len(server.requests) == 1
    download.delete(tmp_path / "a.zip")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("change", ["contents", "url"])
def test_what_is_there_of_another_file_is_not_kept(server, tmp_path, change):
    path = tmp_path / "a.zip"
    fetch(server, path)
    path.write_bytes(server.body[:1000])
    server.body = b"another" * 1000
    if change == "contents":
        server.etag = '"two"'
    else:
        server.url += "?"
    fetch(server, path)
    assert path.read_bytes() == server.body


@pytest.mark.parametrize("sent", ["", "bytes 0-9/30", "bytes 20-29/*"])
def test_another_part_than_was_asked_for_is_not_appended(server, tmp_path, sent):
    server.cut = 1
    server.content_range = sent
    fetch(server, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == server.body


def test_without_a_length_the_end_is_the_end(server, tmp_path):
    server.extra_length = None
    fetch(server, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == server.body


def test_a_disk_that_refuses_is_no_broken_connection(server, tmp_path):
    with pytest.raises(FileNotFoundError):
        fetch(server, tmp_path / "nowhere" / "a.zip")
    assert len(server.requests) == 1


@pytest.mark.parametrize("has_ranges", [True, False])
def test_a_length_that_never_comes_is_refused(server, tmp_path, has_ranges):
    server.extra_length = 100
    server.has_ranges = has_ranges
    message = "promised more than" if has_ranges else "the connection broke after"
    with pytest.raises(InvalidInput, match=message):
        fetch(server, tmp_path / "a.zip")


def test_a_server_that_refuses_or_is_not_there_is_named(server, tmp_path):
    with pytest.raises(InvalidInput, match="/other: the server says .*404"):
        download.fetch(server.url.replace("photos.zip", "other"), tmp_path / "a", print)
    with pytest.raises(InvalidInput, match="^http://127.0.0.1:9/x: .*after 0 bytes"):
        download.fetch("http://127.0.0.1:9/x", tmp_path / "a", print)
    for url in ("", "foo", "file:///etc/passwd"):
        with pytest.raises(InvalidInput, match="^`url` must begin with http"):
            download.fetch(url, tmp_path / "a", print)


def unpack(tmp_path, body, max_bytes=10**6):
    archive = tmp_path / "a.zip"
    archive.write_bytes(body)
    download.unpack(archive, tmp_path / "photos", max_bytes, lambda *_: None)
    return tmp_path / "photos"


PHOTOS = {
    "train/a/1.jpg": b"one" * 50,
    "train/b/2.jpg": b"two" * 50,
    "test/a/3.jpg": b"three" * 50,
}


@pytest.mark.parametrize("wrap", ["", "landmark_images/"])
def test_a_folder_around_everything_is_left_out(tmp_path, wrap):
    files = {wrap + name: contents for name, contents in PHOTOS.items()}
    files |= {"__MACOSX/._x": b"", f"{wrap}train/": b""}
    folder = unpack(tmp_path, zip_of(files))
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert found == PHOTOS
    assert {path.name for path in tmp_path.iterdir()} == {"a.zip", "photos"}


def link():
    info = zipfile.ZipInfo("train/a/link.jpg")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (zip_of({"../out.jpg": b"x"}), "a file outside its folder: '../out.jpg'$"),
        (zip_of({"/out.jpg": b"x"}), "a file outside its folder: '/out.jpg'$"),
        (zip_of({"a\\..\\..\\x": b"x"}), "a file outside its folder: "),
        (zip_of({"C:/x.jpg": b"x"}), "a file outside its folder: 'C:/x.jpg'$"),
        (zip_of({link(): b"/etc/passwd"}), "has a link: 'train/a/link.jpg'$"),
        (zip_of({"a/x": b"0" * 10**6, "b": b"1"}), "more than `max_bytes`=1,000,000$"),
        (zip_of(PHOTOS)[:-30], "is not a whole zip archive: "),
        (zip_of(PHOTOS)[:100], "is not a whole zip archive: "),
        (b"no zip", "is not a whole zip archive: "),
        (zip_of({}), "holds no files$"),
        (zip_of({".": b"x"}), "holds no files$"),
        (zip_of({"a/x": b"x", "a//x": b"y"}), "has a file twice: 'a/x'$"),
    ],
)
def test_refuses_an_archive(tmp_path, body, message):
    with pytest.raises(InvalidInput, match=message):
        unpack(tmp_path, body)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_damage_inside_is_found_by_its_checksum(tmp_path):
    body = bytearray(zip_of(PHOTOS))
    body[45] ^= 0xFF  # in the compressed bytes of the first file
    with pytest.raises(download.BadArchive, match="is not a whole zip archive: "):
        unpack(tmp_path, bytes(body))
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]
