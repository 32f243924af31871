import json
import shutil

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


def test_a_move_that_is_stopped_half_way_is_undone(data_dir, tmp_path, monkeypatch):
    before = listing(data_dir)
    move = shutil.move

    def fail_at_the_link(source, target):
        if "link" in str(source):
            raise OSError("disk full")
        return move(source, target)

    monkeypatch.setattr(shutil, "move", fail_at_the_link)
    with pytest.raises(OSError, match="disk full"):
        quarantine.move_aside(data_dir, REASONS, tmp_path / "aside")
    monkeypatch.undo()
    assert quarantine.restore(tmp_path / "aside") == 1
    assert listing(data_dir) == before


def test_neither_way_overwrites_a_file(data_dir, tmp_path):
    aside = tmp_path / "aside"
    quarantine.move_aside(data_dir, REASONS, aside)
    (data_dir / "train/a/bad.jpg").write_text("new")
    with pytest.raises(InvalidInput, match="bad.jpg is there already"):
        quarantine.restore(aside)
    with pytest.raises(InvalidInput, match="bad.jpg is there already"):
        quarantine.move_aside(data_dir, REASONS, aside)
    assert (data_dir / "train/a/bad.jpg").read_text() == "new"
    assert (aside / "train/a/bad.jpg").read_text() == "bad"


def test_refuses_a_folder_among_the_photos(data_dir):
    with pytest.raises(InvalidInput, match="^`quarantine` must lie outside the photos"):
        quarantine.move_aside(data_dir, REASONS, data_dir / "train" / "aside")


@pytest.mark.parametrize("text", [None, "{", "[]", "{}"])
def test_refuses_what_is_no_quarantine(tmp_path, text):
    if text is not None:
        (tmp_path / "manifest.jsonl").write_text(text)
    message = "is no quarantine" if text is None else "is damaged"
    with pytest.raises(InvalidInput, match=message):
        quarantine.restore(tmp_path)
