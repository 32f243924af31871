"""An archive of photos from the network into a folder.

Owns fetching a file in spite of broken connections, and unpacking a zip that is not
trusted.
"""

import contextlib
import http.client
import json
import shutil
import stat
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from pathlib import PurePosixPath

from landmarks_tf.errors import InvalidInput

_BLOCK_BYTES = 2**20
_TIMEOUT_SECONDS = 30
# Connections in a row that bring nothing new.
_MAX_FAILURES = 3
_BROKEN = (urllib.error.URLError, http.client.HTTPException, OSError)
_BAD_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    RuntimeError,  # encrypted
    NotImplementedError,  # an unknown compression
)

# Called with the bytes that are there and those there will be (0: not known).
Progress = Callable[[int, int], None]


def fetch(url: str, path: Path, progress: Progress) -> None:
    """Downloads a file; where an earlier call was stopped, it goes on.

    Args:
        url: http or https.
        path: the file, which appears when it is whole; until then `<path>.part`.
        progress: called after each block.

    Raises:
        InvalidInput: if the server refuses, or the connection keeps breaking.
    """
    part = path.with_name(f"{path.name}.part")
    failures = 0
    while True:
        before = _size(part)
        try:
            total = _fetch_rest(url, part, progress)
        except urllib.error.HTTPError as error:
            raise InvalidInput(f"{url}: the server says {error}") from error
        except _BROKEN as error:
            total, reason = -1, str(getattr(error, "reason", error))
        else:
            reason = "the connection broke"
            if total in (0, _size(part)):
                break
        failures = 0 if _size(part) > before else failures + 1
        if failures == _MAX_FAILURES:
            raise InvalidInput(
                f"{url}: {reason} after {_size(part):,} bytes: run the same command "
                "again to go on"
            )
    _state_file(part).unlink(missing_ok=True)
    part.replace(path)


def unpack(archive: Path, folder: Path, max_bytes: int, progress: Progress) -> None:
    """Unpacks a zip archive; a folder around everything in it is left out.

    Args:
        archive: the zip.
        folder: to make; appears when everything is unpacked.
        max_bytes: of all files unpacked.
        progress: called after each file.

    Raises:
        InvalidInput: if the archive is damaged or larger, or has a file that would lie
            outside the folder, or a link. No files are left behind, and a damaged
            archive is deleted, so that the next call fetches it anew.
    """
    aside = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        with zipfile.ZipFile(archive) as opened:
            members = _require_safe(opened.infolist(), max_bytes)
            total = sum(member.file_size for member in members.values())
            done = 0
            for path, member in members.items():
                target = aside / path
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(member) as source, open(target, "xb") as file:
                    shutil.copyfileobj(source, file, _BLOCK_BYTES)
                done += member.file_size
                progress(done, total)
        aside.replace(folder)
    except _BAD_ZIP as error:
        archive.unlink()
        raise InvalidInput(
            f"{archive} is deleted, it was not a whole zip archive: {error}"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _fetch_rest(url: str, part: Path, progress: Progress) -> int:
    """Appends what is missing; returns the size of the whole, 0 if not known."""
    start = _size(part)
    validator = _load_validator(part, url)
    request = urllib.request.Request(url)
    if start and validator:
        # Without the very same file behind it, the server sends it from the start.
        request.add_header("Range", f"bytes={start}-")
        request.add_header("If-Range", validator)
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        part.unlink()
        raise InvalidInput(
            f"{url}: the server promised more than the {start:,} bytes it has"
        ) from error
    with response:
        if response.status == http.HTTPStatus.PARTIAL_CONTENT:
            total = int(response.headers["Content-Range"].rpartition("/")[2])
        else:
            start = 0
            total = int(response.headers.get("Content-Length") or 0)
            validator = response.headers.get("ETag") or response.headers.get(
                "Last-Modified"
            )
            record = {"url": url, "validator": validator}
            _state_file(part).write_text(json.dumps(record), encoding="utf-8")
        with open(part, "ab" if start else "wb") as file:
            while block := response.read(_BLOCK_BYTES):
                file.write(block)
                start += len(block)
                progress(start, total)
    return total


def _state_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _load_validator(part: Path, url: str) -> str:
    """Returns what names the state of the file that a part is of; empty if unknown."""
    with contextlib.suppress(OSError, ValueError):
        record = json.loads(_state_file(part).read_text(encoding="utf-8"))
        if record["url"] == url:
            return record["validator"] or ""
    return ""


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
        if not is_inside or "\\" in name or ":" in name or "\0" in name:
            raise InvalidInput(f"the archive has a file outside its folder: {name!r}")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise InvalidInput(f"the archive has a link: {name!r}")
        if not member.is_dir() and path.parts[0] != "__MACOSX":
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
