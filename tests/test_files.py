import pytest

from landmarks_tf.files import replacing


def test_a_file_is_replaced_only_by_a_whole_one(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(OSError, match="disk full"):
        with replacing(path) as aside:
            aside.write_text("half")
            raise OSError("disk full")
    assert path.read_text() == "old"
    with replacing(path) as aside:
        aside.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_replaced_too(tmp_path):
    path = tmp_path / "saved_model"
    for word in ("old", "new"):
        with replacing(path) as aside:
            aside.mkdir()
            (aside / word).write_text("")
    assert [file.name for file in path.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_removed_in_the_block_is_gone(tmp_path):
    target = tmp_path / "model.tflite"
    target.write_text("old")
    with replacing(target) as path:
        path.write_text("new")
        path.unlink()
    assert list(tmp_path.iterdir()) == []
