"""Keeps two programs from writing in the same folder. Owns the lock and its file."""

from pathlib import Path

import filelock

from landmarks_tf.errors import InvalidInput

LOCK = ".lock"
# Those of this process, by their folders.
_LOCKS: dict[Path, filelock.BaseFileLock] = {}


def hold(folder: Path) -> None:
    """Locks a folder that is there, until `release` or the end of this process.

    However the process ends, no lock is left; its file may be.

    Raises:
        InvalidInput: if another process holds it.
    """
    lock = _LOCKS.get(folder)
    if lock is None:
        lock = filelock.FileLock(folder / LOCK, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise InvalidInput(f"another program is writing in {folder}") from error
    _LOCKS[folder] = lock


def release(folder: Path) -> None:
    """Gives a folder back, if this process holds it, and removes the lock's file."""
    lock = _LOCKS.pop(folder, None)
    if lock is not None:
        lock.release(force=True)
        (folder / LOCK).unlink(missing_ok=True)
