"""An archive of photos from the network into a folder.

Owns fetching a file in spite of broken connections, and unpacking a zip that is not
trusted.
"""

import contextlib
import errno
import http.client
import json
import re
import shutil
import ssl
import stat
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from pathlib import PurePosixPath

from landmarks_tf.errors import InvalidInput

_BLOCK_BYTES = 2**20
_TIMEOUT_SECONDS = 30
# Connections in a row that bring nothing new, and the pause after each.
_MAX_FAILURES = 3
PAUSE_SECONDS = 2.0
# Of the network: an OSError of the disk is none of them.
_BROKEN = (
    urllib.error.URLError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
    ssl.SSLError,
)

# Called with the bytes that are there and those there will be (0: not known).
Progress = Callable[[int, int], None]


def fetch(url: str, path: Path, progress: Progress) -> None:
    """Downloads a file; where an earlier call was stopped, it goes on.

    Beside the file lies `<path>.json`, which tells what it is of and how far it has
    come; `delete` removes both.

    Args:
        url: http or https.
        path: the file.
        progress: called after each block.

    Raises:
        InvalidInput: if the server refuses, or the connection keeps breaking.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise InvalidInput(
            f"`url` must begin with http:// or https://. Received: {url}"
        )
    failures = 0
    while not _is_whole(url, path):
        before = _size(path)
        reason = "the connection broke"
        try:
            _fetch_rest(url, path, progress)
        except urllib.error.HTTPError as error:
            with error:  # it holds the connection
                raise InvalidInput(f"{url}: the server says {error}") from error
        except _BROKEN as error:
            reason = str(getattr(error, "reason", error))
        failures = 0 if _size(path) > before else failures + 1
        if failures == _MAX_FAILURES:
            raise InvalidInput(
                f"{url}: {reason} after {_size(path):,} bytes: run the same command "
                "again to go on"
            )
        time.sleep(PAUSE_SECONDS * failures)


def delete(path: Path) -> None:
    """Deletes a file that `fetch` wrote."""
    path.unlink(missing_ok=True)
    _state_file(path).unlink(missing_ok=True)


def unpack(archive: Path, folder: Path, max_bytes: int, progress: Progress) -> None:
    """Unpacks a zip archive; a folder around everything in it is left out.

    Args:
        archive: the zip.
        folder: to make; appears when everything is unpacked.
        max_bytes: of all files unpacked.
        progress: called after each file.

    Raises:
        InvalidInput: if the archive is larger, or has a file that would lie outside
            the folder, or a link. No files are left behind.
        BadArchive: if it is damaged.
    """
    aside = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        with _reading(archive), zipfile.ZipFile(archive) as opened:
            members = _require_safe(opened.infolist(), max_bytes)
            total = sum(member.file_size for member in members.values())
            done = 0
            for path, member in members.items():
                target = aside / path
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(member) as source, open(target, "xb") as file:
                    while block := source.read(_BLOCK_BYTES):
                        file.write(block)
                done += member.file_size
                progress(done, total)
        aside.replace(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


class BadArchive(InvalidInput):
    """An archive that is no whole zip."""


@contextlib.contextmanager
def _reading(archive: Path) -> Iterator[None]:
    """Turns what zipfile and its decompressors raise for damage into BadArchive."""
    try:
        yield
    except InvalidInput:
        raise
    except OSError as error:
        # Of the disk, unless it is about a place in the archive.
        if error.errno != errno.EINVAL:
            raise
        raise BadArchive(f"{archive} is not a whole zip archive: {error}") from error
    except Exception as error:
        raise BadArchive(f"{archive} is not a whole zip archive: {error}") from error


def _fetch_rest(url: str, path: Path, progress: Progress) -> None:
    """Appends what is missing, or begins anew where the server has another file."""
    state = _load_state(path, url)
    start = _size(path) if state.get("validator") else 0
    request = urllib.request.Request(url)
    if start:
        # Without the very same file behind it, the server sends it from the start.
        request.add_header("Range", f"bytes={start}-")
        request.add_header("If-Range", state["validator"])
    with _open(request, path) as response:
        if response.status == http.HTTPStatus.PARTIAL_CONTENT:
            sent = response.headers.get("Content-Range", "")
            match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", sent)
            if not match or int(match[1]) != start:
                delete(path)
                raise ConnectionError(f"the server sent {sent!r} for bytes {start}-")
            total = int(match[2])
        else:
            start = 0
            path.unlink(missing_ok=True)
            total = int(response.headers.get("Content-Length") or 0)
            headers = response.headers
            validator = headers.get("ETag") or headers.get("Last-Modified")
            state = {"url": url, "validator": validator or ""}
        _write_state(path, state | {"total": total})
        with open(path, "ab") as file:
            while block := response.read(_BLOCK_BYTES):
                file.write(block)
                start += len(block)
                progress(start, total)
    if not total:
        _write_state(path, state | {"total": start})  # the server did not say


def _open(request: urllib.request.Request, path: Path) -> http.client.HTTPResponse:
    try:
        return urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            size = _size(path)
            delete(path)
            raise InvalidInput(
                f"{request.full_url}: the server promised more than the {size:,} bytes "
                "it has"
            ) from error
        raise


def _is_whole(url: str, path: Path) -> bool:
    total = _load_state(path, url).get("total", 0)
    return total > 0 and _size(path) == total


def _state_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _write_state(path: Path, state: dict) -> None:
    _state_file(path).write_text(json.dumps(state), encoding="utf-8")


def _load_state(path: Path, url: str) -> dict:
    """Returns what is known of a part of this URL's file; nothing of another's."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        state = json.loads(_state_file(path).read_text(encoding="utf-8"))
        if state["url"] == url:
            return state
    return {}


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _require_safe(
    members: list[zipfile.ZipInfo], max_bytes: int
) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """Returns the files by the path they are to have."""
    files: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for member in members:
        name = member.filename
        path = PurePosixPath(name)
        is_inside = not path.is_absolute() and ".." not in path.parts
        if not is_inside or "\\" in name or re.match("[A-Za-z]:", name):
            raise InvalidInput(f"the archive has a file outside its folder: {name!r}")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise InvalidInput(f"the archive has a link: {name!r}")
        if member.is_dir() or path.parts[:1] in ((), ("__MACOSX",)):
            continue
        if path in files:
            raise InvalidInput(f"the archive has a file twice: {str(path)!r}")
        files[path] = member
    total = sum(member.file_size for member in files.values())
    if total > max_bytes:
        raise InvalidInput(
            f"the archive holds {total:,} bytes, more than `max_bytes`={max_bytes:,}"
        )
    if not files:
        raise InvalidInput("the archive holds no files")
    tops = {path.parts[0] for path in files if len(path.parts) > 1}
    is_wrapped = len(tops) == 1 and not tops & {"train", "test"}
    if is_wrapped and all(len(path.parts) > 1 for path in files):
        return {PurePosixPath(*p.parts[1:]): member for p, member in files.items()}
    return files
