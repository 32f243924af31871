"""Files and folders that appear whole: written aside, then moved into their place."""

import contextlib
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a path to write a file or folder at, which then takes `path`'s place.

    If the block fails, `path` stays as it was; if it removes what it wrote, `path` goes
    too.
    """
    # The suffix stays last: Keras and matplotlib choose their formats by it.
    writer = f"{os.getpid()}_{threading.get_ident()}"
    aside = path.with_name(f"unfinished_{writer}_{path.name}")
    try:
        yield aside
        if aside.exists():
            move(aside, path)
        else:
            remove(path)
    finally:
        remove(aside)


def count_bytes(path: Path) -> int:
    """Returns the size of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def remove(path: Path) -> None:
    """Removes a file or folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def move(source: Path, target: Path) -> None:
    """Gives a file or folder the place of another, if one is there."""
    if target.is_dir():
        # A folder cannot be renamed over another: the old one steps aside first.
        old = target.with_name(f"old_{os.getpid()}_{target.name}")
        target.rename(old)
        source.rename(target)
        remove(old)
    else:
        os.replace(source, target)
