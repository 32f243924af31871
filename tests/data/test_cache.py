import os
import sqlite3

import pytest

from landmarks_tf.data.cache import Passing
from landmarks_tf.data.cache import cache_dir
from landmarks_tf.data.cache import map_files


@pytest.fixture
def paths(tmp_path):
    for index in range(600):  # more than two chunks
        (tmp_path / f"{index:03}").write_text(f"contents {index}")
    return [str(tmp_path / f"{index:03}") for index in range(600)]


@pytest.fixture
def database(tmp_path):
    return tmp_path / "cache" / "files.sqlite"


class Reader:
    """Reads files and counts how often it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, path):
        self.asked.append(path)
        with open(path, encoding="utf-8") as file:
            return file.read()


def test_every_file_is_asked_once_and_answers_keep_their_order(paths, database):
    expected = [f"contents {index}" for index in range(600)]
    first, second = Reader(), Reader()
    assert list(map_files(first, paths, "q", database)) == expected
    assert sorted(first.asked) == paths
    assert list(map_files(second, paths[::-1], "q", database)) == expected[::-1]
    assert second.asked == []


def test_a_changed_file_is_asked_again(paths, database):
    list(map_files(Reader(), paths, "q", database))
    with open(paths[5], "w", encoding="utf-8") as file:
        file.write("another 5")  # of the same size
    os.utime(paths[5], ns=(0, 12345))
    reader = Reader()
    assert list(map_files(reader, paths, "q", database))[5] == "another 5"
    assert reader.asked == [paths[5]]


def test_another_question_has_another_memory(paths, database):
    list(map_files(Reader(), paths[:3], "q", database))
    reader = Reader()
    list(map_files(reader, paths[:3], "r", database))
    assert len(reader.asked) == 3


def test_what_is_not_there_is_asked_every_time(tmp_path, database):
    asked = []
    for _ in range(2):
        missing = str(tmp_path / "missing")
        answers = map_files(
            lambda p: asked.append(p) or "gone", [missing], "", database
        )
        assert list(answers) == ["gone"]
    assert len(asked) == 2


def test_an_answer_stays_where_the_run_is_stopped_afterwards(paths, database):
    answers = map_files(Reader(), paths, "q", database)
    next(answers)
    answers.close()
    reader = Reader()
    list(map_files(reader, paths, "q", database))
    assert 0 < len(reader.asked) < 600


def test_a_passing_answer_is_not_kept(paths, database):
    def ask(path):
        asked.append(path)
        return Passing("busy")

    asked = []
    for _ in range(2):
        assert list(map_files(ask, paths[:1], "q", database)) == ["busy"]
    assert len(asked) == 2


def test_an_edit_that_puts_the_time_back_is_seen(paths, database):
    list(map_files(Reader(), paths[:1], "q", database))
    before = os.stat(paths[0])
    with open(paths[0], "w", encoding="utf-8") as file:
        file.write("Contents 0")
    os.utime(paths[0], ns=(before.st_atime_ns, before.st_mtime_ns))
    assert list(map_files(Reader(), paths[:1], "q", database)) == ["Contents 0"]


def test_a_memory_damaged_inside_is_no_hindrance(paths, database):
    list(map_files(Reader(), paths, "q", database))
    contents = bytearray(database.read_bytes())
    contents[4096:] = os.urandom(len(contents) - 4096)
    database.write_bytes(contents)
    expected = [f"contents {index}" for index in range(600)]
    assert list(map_files(Reader(), paths, "q", database)) == expected


@pytest.mark.parametrize("damage", ["no database", "folder", "locked"])
def test_without_a_memory_every_file_is_asked(paths, database, damage, monkeypatch):
    database.parent.mkdir()
    other = None
    if damage == "no database":
        database.write_bytes(b"not a database" * 100)
    elif damage == "folder":
        database.mkdir()
    else:
        other = sqlite3.connect(database)
        other.execute("BEGIN EXCLUSIVE")
    monkeypatch.setattr("landmarks_tf.data.cache.TIMEOUT_SECONDS", 0.1)
    try:
        answers = list(map_files(Reader(), paths[:2], "q", database))
    finally:
        if other is not None:
            other.close()
    assert answers == ["contents 0", "contents 1"]


def test_the_memory_lies_in_the_users_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "landmarks_tf"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_dir() == tmp_path / ".cache" / "landmarks_tf"
