"""Files moved aside, and back.

Owns the quarantine folder and its manifest, a line of JSON for each file.
"""

import errno
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from landmarks_tf.errors import InvalidInput

MANIFEST = "manifest.jsonl"


def require_apart(data_dir: Path, folder: Path) -> None:
    """Raises InvalidInput if a quarantine would lie in the photos, or hold them."""
    data, aside = data_dir.resolve(), folder.resolve()
    if aside.is_relative_to(data) or data.is_relative_to(aside):
        raise InvalidInput(
            f"`quarantine` must lie apart from the photos. Received: "
            f"quarantine={folder}, data_dir={data_dir}"
        )


def move_aside(data_dir: Path, reasons: Mapping[str, str], folder: Path) -> int:
    """Moves files into a folder, where they keep their relative paths.

    The manifest names a file before it is moved: whatever happens in between, `restore`
    brings it back.

    Args:
        data_dir: folder that the paths are relative to.
        reasons: why, by relative path.
        folder: made if it is not there; apart from `data_dir`.

    Returns:
        how many were moved.

    Raises:
        InvalidInput: if the folders are not apart, or a file of that path is aside
            already; files moved before that one stay moved.
    """
    require_apart(data_dir, folder)
    if not reasons:
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / MANIFEST, "a", encoding="utf-8") as manifest:
        for path, reason in reasons.items():
            target = folder / path
            if _exists(target):
                raise InvalidInput(f"{target} is there already: it is not overwritten")
            target.parent.mkdir(parents=True, exist_ok=True)
            record = {"path": path, "data_dir": str(data_dir.resolve())}
            manifest.write(json.dumps(record | {"reason": reason}) + "\n")
            manifest.flush()
            _move(data_dir / path, target)
    return len(reasons)


def restore(folder: Path, data_dir: Path | None = None) -> int:
    """Moves every file of a quarantine back to where it was.

    Args:
        folder: the quarantine.
        data_dir: where the photos are now; default: where they were.

    Returns:
        how many were moved back. The folder is removed if nothing else is in it.

    Raises:
        InvalidInput: if there is no manifest, the photos' folder is gone, or a file's
            old place is taken. All others are moved back nevertheless.
    """
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise InvalidInput(f"{folder} is no quarantine: no {MANIFEST}")
    moves = {}
    for record in _load_records(manifest):
        home = data_dir or Path(record["data_dir"])
        if not home.is_dir():
            raise InvalidInput(f"{home} is gone: say with --data_dir where it is now")
        moves[folder / record["path"]] = home / record["path"]
    count = 0
    taken = []
    for aside, source in moves.items():
        # What is not aside was never moved, or is back already.
        if _exists(aside) and _exists(source):
            taken.append(source)
        elif _exists(aside):
            source.parent.mkdir(parents=True, exist_ok=True)
            _move(aside, source)
            count += 1
    if taken:
        raise InvalidInput(
            f"{count} files are moved back, {len(taken)} are not: {taken[0]} is there "
            "already, and is not overwritten"
        )
    manifest.unlink()
    for aside in moves:
        _remove_empty(aside.parent, folder)
    return count


def _load_records(manifest: Path) -> list[dict[str, str]]:
    # A last line that is half written is of a file that was not moved.
    *lines, _ = manifest.read_text(encoding="utf-8").split("\n")
    try:
        records = [json.loads(line) for line in lines]
        if all({"path", "data_dir"} <= record.keys() for record in records):
            return records
    except (ValueError, AttributeError):
        pass
    raise InvalidInput(f"{manifest} is damaged")


def _move(source: Path, target: Path) -> None:
    """Renames a file; onto another disk, it is copied whole before it is removed."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        aside = target.with_name(f".moving_{os.getpid()}_{target.name}")
        try:
            shutil.copy2(source, aside, follow_symlinks=False)
            aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)
        source.unlink()


def _remove_empty(path: Path, top: Path) -> None:
    """Removes a folder, and those around it up to `top`, while they are empty."""
    while path.is_dir() and not any(path.iterdir()):
        path.rmdir()
        if path == top:
            break
        path = path.parent


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()
