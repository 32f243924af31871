"""What is known of a file, remembered until the file changes.

Owns SQLite tables in the user's cache folder; the one here is keyed by path, state and
question. Does not know what the questions are.
"""

import contextlib
import os
import sqlite3
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_SCHEMA = (
    "answers (path BLOB, question TEXT, state TEXT, answer TEXT, "
    "PRIMARY KEY (path, question))"
)
# Files asked at a time: bounds memory, and what a run that is killed loses.
_CHUNK_SIZE = 256
# Another process may be writing.
TIMEOUT_SECONDS = 30.0


class Passing(str):
    """An answer that may be another next time, though the file does not change."""


def cache_dir() -> Path:
    """Returns `$XDG_CACHE_HOME/landmarks_tf`, or else `~/.cache/landmarks_tf`."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home, "landmarks_tf")


def map_files(
    ask: Callable[[str], str],
    paths: Sequence[str],
    question: str,
    database: Path | None = None,
    chunk_size: int = _CHUNK_SIZE,
) -> Iterator[str]:
    """Yields `ask(path)` for each file, in order, from memory where it is known.

    Args:
        ask: from a path to an answer; called in parallel threads. A `Passing` answer
            is not kept.
        paths: the files.
        question: names what is asked; another text, another memory.
        database: file of the memory; default: in the user's cache folder. Where none
            can be kept, every file is asked.
        chunk_size: files asked at a time.
    """
    memory = connect(database or cache_dir() / "files.sqlite", _SCHEMA)
    with contextlib.closing(memory) as table, ThreadPoolExecutor(
        os.cpu_count()
    ) as pool:
        for start in range(0, len(paths), chunk_size):
            keys = [
                (os.path.abspath(os.fsencode(path)), question, file_state(path))
                for path in paths[start : start + chunk_size]
            ]
            known = [_known(table, key) for key in keys]
            unknown = [key for key, answer in zip(keys, known) if answer is None]
            fresh = list(pool.map(lambda key: ask(os.fsdecode(key[0])), unknown))
            rows = [(*key, answer) for key, answer in zip(unknown, fresh)]
            lasting = [row for row in rows if not isinstance(row[-1], Passing)]
            remember(table, "answers", lasting)
            answers = iter(fresh)
            yield from (next(answers) if answer is None else answer for answer in known)


def file_state(path: str) -> str:
    """Returns what changes with a file; empty for what is not there."""
    try:
        status = os.stat(path)
    except OSError:
        return ""
    # Changes of owner and rights, and edits that put the time back, show in ctime.
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def connect(database: Path, schema: str) -> sqlite3.Connection:
    """Opens a database with a table; in memory alone where none can be kept.

    Args:
        database: the file.
        schema: the table's name with its columns.
    """
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        return _open_table(str(database), schema)
    except (OSError, sqlite3.Error):
        return _open_table(":memory:", schema)


def remember(table: sqlite3.Connection, name: str, rows: Sequence[tuple]) -> None:
    """Writes rows into a table of `connect`; those of the same key are replaced."""
    if not rows:
        return
    places = ", ".join("?" * len(rows[0]))
    # A full disk or a lock costs the memory, not the answers.
    with contextlib.suppress(sqlite3.Error), table:
        table.executemany(f"INSERT OR REPLACE INTO {name} VALUES ({places})", rows)


def _open_table(database: str, schema: str) -> sqlite3.Connection:
    table = sqlite3.connect(database, timeout=TIMEOUT_SECONDS)
    try:
        table.execute(f"CREATE TABLE IF NOT EXISTS {schema}")
    except sqlite3.Error:
        table.close()
        raise
    return table


def look_up(table: sqlite3.Connection, query: str, values: tuple) -> tuple | None:
    """Returns the first row of a query; none where the file is damaged."""
    try:
        return table.execute(query, values).fetchone()
    except sqlite3.Error:
        return None


def _known(table: sqlite3.Connection, key: tuple[bytes, str, str]) -> str | None:
    path, question, state = key
    query = "SELECT state, answer FROM answers WHERE path = ? AND question = ?"
    row = look_up(table, query, (path, question))
    return row[1] if row and state and row[0] == state else None
