import errno
import json
import shutil
from pathlib import Path

import pytest

from landmarks_tf import quarantine
from landmarks_tf.errors import InvalidInput


@pytest.fixture
def data_dir(tmp_path):
    folder = tmp_path / "photos"
    (folder / "train" / "a").mkdir(parents=True)
    (folder / "train/a/bad.jpg").write_text("bad")
    (folder / "train/a/good.jpg").write_text("good")
    (folder / "train/a/link.jpg").symlink_to("nowhere")
    return folder


REASONS = {"train/a/bad.jpg": "not a photo", "train/a/link.jpg": "dangling link"}


def listing(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_files_go_aside_and_come_back(data_dir, tmp_path):
    before = listing(data_dir)
    aside = tmp_path / "aside"
    assert quarantine.move_aside(data_dir, REASONS, aside) == 2
    assert listing(data_dir) == ["train", "train/a", "train/a/good.jpg"]
    lines = (aside / "manifest.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert {r["path"]: r["reason"] for r in records} == REASONS
    assert quarantine.restore(aside) == 2
    assert listing(data_dir) == before
    assert (data_dir / "train/a/bad.jpg").read_text() == "bad"
    assert not aside.exists()


def test_nothing_to_move_leaves_no_folder(data_dir, tmp_path):
    assert quarantine.move_aside(data_dir, {}, tmp_path / "aside") == 0
    assert not (tmp_path / "aside").exists()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_move_that_is_stopped_half_way_is_undone(
    data_dir, tmp_path, monkeypatch, moment
):
    before = listing(data_dir)
    rename = Path.rename

    def stop_at_the_link(source, target):
        if "link" in str(source) and moment == "before":
            raise KeyboardInterrupt
        rename(source, target)
        if "link" in str(source):
            raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", stop_at_the_link)
    with pytest.raises(KeyboardInterrupt):
        quarantine.move_aside(data_dir, REASONS, tmp_path / "aside")
    monkeypatch.undo()
    with open(tmp_path / "aside" / "manifest.jsonl", "a", encoding="utf-8") as file:
        file.write('{"path": "half of a li')
    count = 1 if moment == "before" else 2
    assert quarantine.restore(tmp_path / "aside") == count
    assert listing(data_dir) == before


@pytest.fixture
def other_disk(monkeypatch):
    """Renaming fails between the folders, as between disks."""
    rename = Path.rename

    def refuse(source, target):
        if ("aside" in source.parts) != ("aside" in Path(target).parts):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", refuse)


def test_files_go_onto_another_disk_and_come_back(data_dir, tmp_path, other_disk):
    before = listing(data_dir)
    assert quarantine.move_aside(data_dir, REASONS, tmp_path / "aside") == 2
    assert (tmp_path / "aside/train/a/link.jpg").is_symlink()
    assert quarantine.restore(tmp_path / "aside") == 2
    assert listing(data_dir) == before


def test_a_full_disk_loses_nothing(data_dir, tmp_path, other_disk, monkeypatch):
    before = listing(data_dir)

    def half_a_copy(source, target, **_):
        Path(target).write_text("b")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copy2", half_a_copy)
        with pytest.raises(OSError, match="No space"):
            quarantine.move_aside(data_dir, REASONS, tmp_path / "aside")
    assert listing(data_dir) == before
    assert quarantine.restore(tmp_path / "aside") == 0
    assert quarantine.move_aside(data_dir, REASONS, tmp_path / "aside") == 2


def test_neither_way_overwrites_a_file(data_dir, tmp_path):
    aside = tmp_path / "aside"
    quarantine.move_aside(data_dir, REASONS, aside)
    (data_dir / "train/a/bad.jpg").write_text("new")
    message = "1 files are moved back, 1 are not: .*bad.jpg is there already"
    with pytest.raises(InvalidInput, match=message):
        quarantine.restore(aside)
    assert (data_dir / "train/a/link.jpg").is_symlink()
    with pytest.raises(InvalidInput, match="bad.jpg is there already"):
        quarantine.move_aside(data_dir, REASONS, aside)
    assert (data_dir / "train/a/bad.jpg").read_text() == "new"
    assert (aside / "train/a/bad.jpg").read_text() == "bad"


def test_what_else_lies_in_the_quarantine_stays(data_dir, tmp_path):
    (tmp_path / "aside" / "my" / "empty").mkdir(parents=True)
    quarantine.move_aside(data_dir, REASONS, tmp_path / "aside")
    quarantine.restore(tmp_path / "aside")
    assert listing(tmp_path / "aside") == ["my", "my/empty"]


def test_photos_that_have_moved_get_their_files_back_there(data_dir, tmp_path):
    quarantine.move_aside(data_dir, REASONS, tmp_path / "aside")
    data_dir.rename(tmp_path / "elsewhere")
    with pytest.raises(InvalidInput, match="photos is gone: say with --data_dir"):
        quarantine.restore(tmp_path / "aside")
    assert quarantine.restore(tmp_path / "aside", tmp_path / "elsewhere") == 2
    assert (tmp_path / "elsewhere/train/a/bad.jpg").read_text() == "bad"


@pytest.mark.parametrize("where", ["train/aside", ".", ".."])
def test_refuses_a_folder_that_is_not_apart(data_dir, where):
    with pytest.raises(InvalidInput, match="^`quarantine` must lie apart from the ph"):
        quarantine.move_aside(data_dir, REASONS, data_dir / where)


@pytest.mark.parametrize("text", [None, "{\n", "[]\n", "{}\n"])
def test_refuses_what_is_no_quarantine(tmp_path, text):
    if text is not None:
        (tmp_path / "manifest.jsonl").write_text(text)
    message = "is no quarantine" if text is None else "is damaged"
    with pytest.raises(InvalidInput, match=message):
        quarantine.restore(tmp_path)
