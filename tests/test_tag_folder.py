"""What a tagging job writes down, and how it goes on."""

import json
import subprocess
import sys

import pytest

from landmarks_tf.errors import InvalidInput

pytest.importorskip("apache_beam", reason='needs pip install -e ".[beam]"')
pytestmark = pytest.mark.long

from other_store import other  # noqa: E402

from landmarks_tf import folder_lock  # noqa: E402
from landmarks_tf import tag_folder  # noqa: E402

SUFFIXES = {"tags": "jsonl", "bad": "jsonl"}
ASKED = {"photos": "library", "top_k": 3}
# Not text in UTF-8, as names of files may be.
PHOTOS = [f"library/{name}.jpg" for name in ("a", "b", "c", "d", "odd \udcff\n")]


def begin(path, asked=ASKED, photos=PHOTOS, photos_per_shard=2):
    return tag_folder.begin(str(path), SUFFIXES, asked, photos, photos_per_shard)


@pytest.fixture(params=["here", "there"])
def place(request, tmp_path):
    """A folder that is not there yet, with letters of patterns, and one in a store."""
    path = tmp_path / "tags [1]*"
    return str(path) if request.param == "here" else other(tmp_path / "tags")


def test_shards_hold_all_photos_in_order(place):
    folder = begin(place)
    assert (folder.num_shards, folder.num_photos, folder.changes) == (3, 5, "")
    shards = [folder.load_photos(number) for number in range(3)]
    assert shards == [PHOTOS[:2], PHOTOS[2:4], PHOTOS[4:]]


def test_a_shard_is_finished_when_both_files_are_there(place):
    folder = begin(place)
    assert folder.find_finished() == set()
    folder.write("tags", 1, b"a")
    folder.write("bad", 2, b"")
    assert begin(place).find_finished() == set()
    folder.write("bad", 1, b"")
    assert begin(place).find_finished() == {1}


def test_a_file_is_written_again_in_one_piece(tmp_path):
    folder = begin(tmp_path)
    folder.write("tags", 0, b"once")
    folder.write("tags", 0, b"twice")
    assert (tmp_path / "tags-00000-of-00003.jsonl").read_bytes() == b"twice"


def test_leftovers_of_killed_workers_are_removed(place, tmp_path):
    folder = begin(place)
    (path,) = tmp_path.iterdir()
    (path / "unfinished-0123-tags-00000-of-00003.jsonl").write_text("hal")
    before = len(list(path.iterdir()))
    folder.remove_leftovers()
    folder.remove_leftovers()
    assert len(list(path.iterdir())) == before - 1


HOLD = (
    "import sys; from landmarks_tf import tag_folder; from landmarks_tf.errors "
    "import InvalidInput\n"
    "try:\n with tag_folder.hold(sys.argv[1]): print('held')\n"
    "except InvalidInput as error: print(error)"
)


def hold_elsewhere(path):
    """Returns what another process says that holds a folder for a moment."""
    return subprocess.check_output([sys.executable, "-c", HOLD, path], text=True)


def test_a_folder_is_held_by_one_job_at_a_time(tmp_path):
    path = tmp_path / "new" / "tags [1]*"
    with tag_folder.hold(str(path)):
        assert hold_elsewhere(path) == f"another program is writing in {path}\n"
        assert begin(path).find_finished() == set()
        assert (path / folder_lock.LOCK).exists()
    with pytest.raises(ZeroDivisionError), tag_folder.hold(str(path)):
        raise ZeroDivisionError
    assert hold_elsewhere(path) == "held\n"
    assert {p.name for p in path.iterdir()} == {"job.json", "shards"}


def test_a_bucket_is_not_held(tmp_path):
    with tag_folder.hold(other(tmp_path / "tags")):
        assert not list(tmp_path.iterdir())


def test_a_changed_library_is_told_and_not_followed(place):
    begin(place)
    folder = begin(place, photos=[*PHOTOS[1:], "library/e.jpg", "library/f.jpg"])
    assert folder.num_photos == 5
    assert folder.load_photos(0) == PHOTOS[:2]
    assert folder.changes == (
        "2 photos are new in the library and 1 are gone since the job was begun"
    )


@pytest.mark.parametrize(
    "other_job, message",
    [
        ({"asked": ASKED | {"top_k": 5}}, "another job, of top_k=3.*: top_k=5"),
        ({"asked": ASKED | {"photos": "x"}}, "another job, of photos=library.*=x"),
        ({"photos_per_shard": 3}, "another job, of photos_per_shard=2.*=3"),
    ],
)
def test_the_folder_of_another_job_is_refused(tmp_path, other_job, message):
    begin(tmp_path)
    with pytest.raises(InvalidInput, match=message):
        begin(tmp_path, **other_job)


def test_tags_of_nobody_knows_what_are_refused(tmp_path):
    (tmp_path / "tags-00000-of-00001.jsonl").touch()
    with pytest.raises(InvalidInput, match="`output_dir` holds tags without their"):
        begin(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"num_photos": 1, "num_shards": 1}'])
def test_a_damaged_record_is_named(tmp_path, text):
    (tmp_path / "job.json").write_text(text)
    with pytest.raises(InvalidInput, match="job.json is damaged: choose another"):
        begin(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "tags", "unheard-of://tags"):
        with pytest.raises(InvalidInput, match="`output_dir` cannot be used") as raised:
            begin(path)
        assert "\n" not in str(raised.value)
    with pytest.raises(InvalidInput, match="`output_dir` cannot be used"):
        with tag_folder.hold(str(tmp_path / "file" / "tags")):
            pass


def test_nothing_has_begun_before_all_shards_are_written(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(tag_folder.FileSystems, "rename", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            begin(tmp_path)
    folder = begin(tmp_path, photos_per_shard=1)
    assert folder.num_shards == 5
    assert json.loads((tmp_path / "job.json").read_text())["num_shards"] == 5
