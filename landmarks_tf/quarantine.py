"""Files moved aside, and back.

Owns the quarantine folder and its manifest, a line of JSON for each file.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from landmarks_tf.errors import InvalidInput

MANIFEST = "manifest.jsonl"


def move_aside(data_dir: Path, reasons: Mapping[str, str], folder: Path) -> int:
    """Moves files into a folder, where they keep their relative paths.

    The manifest names a file before it is moved: whatever happens in between, `restore`
    brings it back.

    Args:
        data_dir: folder that the paths are relative to.
        reasons: why, by relative path.
        folder: made if it is not there; must lie outside `data_dir`.

    Returns:
        how many were moved.

    Raises:
        InvalidInput: if the folder lies inside `data_dir`, or has a file of that path
            already; files moved before that one stay moved.
    """
    if folder.resolve().is_relative_to(data_dir.resolve()):
        raise InvalidInput(
            f"`quarantine` must lie outside the photos. Received: quarantine={folder}"
        )
    if not reasons:
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / MANIFEST, "a", encoding="utf-8") as manifest:
        for path, reason in reasons.items():
            target = folder / path
            _require_free(target)
            target.parent.mkdir(parents=True, exist_ok=True)
            source = str(data_dir.resolve() / path)
            record = {"path": path, "source": source, "reason": reason}
            manifest.write(json.dumps(record) + "\n")
            manifest.flush()
            shutil.move(source, target)
    return len(reasons)


def restore(folder: Path) -> int:
    """Moves every file of a quarantine back to where it was.

    Returns:
        how many were moved back. The folder is removed once it is empty.

    Raises:
        InvalidInput: if there is no manifest, or a file's old place is taken; files
            moved back before that one stay there.
    """
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise InvalidInput(f"{folder} is no quarantine: no {MANIFEST}")
    try:
        lines = manifest.read_text(encoding="utf-8").splitlines()
        records = [json.loads(line) for line in lines]
        moves = [(folder / r["path"], Path(r["source"])) for r in records]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{manifest} is damaged") from error
    count = 0
    for aside, source in moves:
        if not _exists(aside):
            continue  # named in the manifest, but never moved or back already
        _require_free(source)
        source.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(aside, source)
        count += 1
    manifest.unlink()
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    if not any(folder.iterdir()):
        folder.rmdir()
    return count


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _require_free(path: Path) -> None:
    if _exists(path):
        raise InvalidInput(f"{path} is there already: it is not overwritten")
