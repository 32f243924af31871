import json
import math
import re
import subprocess
import sys

import filelock
import pytest

from landmarks_tf import folder_lock
from landmarks_tf import run_folder
from landmarks_tf.errors import InvalidInput


@pytest.fixture
def output_dir(tmp_path):
    return tmp_path / "runs" / "mine"


def stop_half_way(output_dir):
    unfinished = run_folder.begin(output_dir, resume=False, overwrite=False)
    (unfinished / run_folder.CHECKPOINTS).mkdir()
    return unfinished


def test_a_run_appears_only_when_published(output_dir):
    unfinished = stop_half_way(output_dir)
    (unfinished / run_folder.METRICS).write_text("{}")
    assert not output_dir.exists()
    assert not run_folder.is_finished(output_dir)
    run_folder.publish(output_dir)
    assert [path.name for path in output_dir.iterdir()] == [run_folder.METRICS]
    assert run_folder.is_finished(output_dir)
    assert [path.name for path in output_dir.parent.iterdir()] == ["mine"]


def test_an_output_folder_that_exists_is_refused(output_dir):
    output_dir.mkdir(parents=True)
    message = re.escape(f"{output_dir} exists: choose another --output_dir")
    for resume in (False, True):
        with pytest.raises(InvalidInput, match=message):
            run_folder.begin(output_dir, resume=resume, overwrite=False)


def test_an_older_run_stays_until_its_successor_is_whole(output_dir):
    output_dir.mkdir(parents=True)
    (output_dir / run_folder.FLAGS).write_text("")
    unfinished = run_folder.begin(output_dir, resume=False, overwrite=True)
    (unfinished / "new").write_text("")
    assert (output_dir / run_folder.FLAGS).exists()
    run_folder.publish(output_dir)
    assert [path.name for path in output_dir.iterdir()] == ["new"]


def test_what_is_no_run_folder_is_not_overwritten(tmp_path):
    (tmp_path / "photos" / "a").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "photos", tmp_path / "file"):
        with pytest.raises(InvalidInput, match="is not a run folder: it is not over"):
            run_folder.begin(path, resume=False, overwrite=True)
    (tmp_path / "empty").mkdir()
    run_folder.begin(tmp_path / "empty", resume=False, overwrite=True)


@pytest.mark.parametrize("name", ["photos", "photos/runs", ".", "photos/../photos/x"])
def test_a_run_among_the_photos_is_refused(tmp_path, name):
    (tmp_path / "photos").mkdir()
    with pytest.raises(
        InvalidInput, match="^`output_dir` must be apart from the photos"
    ):
        run_folder.refuse_overlap(tmp_path / name, tmp_path / "photos")
    run_folder.refuse_overlap(tmp_path / "photos2", tmp_path / "photos")


def test_a_folder_that_holds_no_run_is_not_finished(output_dir):
    output_dir.mkdir(parents=True)
    assert not run_folder.is_finished(output_dir)
    (output_dir / run_folder.METRICS).write_text("{}")
    assert run_folder.is_finished(output_dir)
    run_folder.unfinished_dir(output_dir).mkdir()
    assert not run_folder.is_finished(output_dir)


def test_the_current_folder_has_a_name_too(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    unfinished = run_folder.unfinished_dir(run_folder.Path("."))
    assert unfinished == tmp_path / "here.unfinished"


def test_a_stopped_run_is_refused_resumed_or_overwritten(output_dir):
    unfinished = stop_half_way(output_dir)
    with pytest.raises(InvalidInput, match="holds a run that was stopped"):
        run_folder.begin(output_dir, resume=False, overwrite=False)
    assert run_folder.begin(output_dir, resume=True, overwrite=False) == unfinished
    assert (unfinished / run_folder.CHECKPOINTS).exists()
    run_folder.begin(output_dir, resume=False, overwrite=True)
    assert not (unfinished / run_folder.CHECKPOINTS).exists()


def test_a_stopped_overwriting_run_can_be_resumed(output_dir):
    stop_half_way(output_dir)
    output_dir.mkdir()
    assert not run_folder.is_finished(output_dir)
    run_folder.begin(output_dir, resume=True, overwrite=False)


def test_a_run_that_failed_before_its_first_checkpoint_is_no_hindrance(output_dir):
    unfinished = run_folder.begin(output_dir, resume=False, overwrite=False)
    (unfinished / run_folder.SPLIT).write_text("{}")
    run_folder.begin(output_dir, resume=False, overwrite=False)
    assert not (unfinished / run_folder.SPLIT).exists()


BEGIN = """
import sys
from pathlib import Path
from landmarks_tf import run_folder
run_folder.begin(Path(sys.argv[1]), resume=sys.argv[2] == "resume", overwrite=False)
print("begun", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("how", ["anew", "resume"])
def test_two_programs_do_not_write_one_run(output_dir, how):
    other = subprocess.Popen(
        [sys.executable, "-c", BEGIN, str(output_dir), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert other.stdout.readline() == b"begun\n"
    for resume in (False, True):
        with pytest.raises(InvalidInput, match="^another program is writing in "):
            run_folder.begin(output_dir, resume, overwrite=False)
    other.kill()  # which leaves no lock behind
    other.communicate()
    unfinished = run_folder.begin(output_dir, resume=False, overwrite=False)
    (unfinished / run_folder.METRICS).write_text("{}")
    run_folder.publish(output_dir)
    assert [path.name for path in output_dir.iterdir()] == [run_folder.METRICS]


def test_a_run_that_is_refused_or_given_back_is_open_to_others(output_dir):
    unfinished = stop_half_way(output_dir)
    run_folder.give_back(output_dir)
    with pytest.raises(InvalidInput, match="holds a run that was stopped"):
        run_folder.begin(output_dir, resume=False, overwrite=False)
    other = filelock.FileLock(unfinished / folder_lock.LOCK)
    with other.acquire(timeout=0):
        pass


def test_resume_and_overwrite_exclude_each_other(output_dir):
    with pytest.raises(InvalidInput, match="exclude each other"):
        run_folder.begin(output_dir, resume=True, overwrite=True)


def test_a_file_is_replaced_only_by_a_whole_one(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(OSError, match="disk full"):
        with run_folder.replacing(path) as aside:
            aside.write_text("half")
            raise OSError("disk full")
    assert path.read_text() == "old"
    with run_folder.replacing(path) as aside:
        aside.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_replaced_too(tmp_path):
    path = tmp_path / "saved_model"
    for word in ("old", "new"):
        with run_folder.replacing(path) as aside:
            aside.mkdir()
            (aside / word).write_text("")
    assert [file.name for file in path.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [path]


def test_missing_files_are_named(tmp_path):
    with pytest.raises(InvalidInput, match="^no such run folder: "):
        run_folder.require(tmp_path / "nowhere", run_folder.MODEL)
    message = re.escape(f"{tmp_path} is not a whole run folder: no model.keras")
    with pytest.raises(InvalidInput, match=message):
        run_folder.require(tmp_path, run_folder.MODEL)
    with pytest.raises(InvalidInput, match="^no class names: .*labels.txt is missing"):
        run_folder.load_class_names(tmp_path / run_folder.LABELS)


def test_damaged_files_are_named(tmp_path):
    (tmp_path / run_folder.METRICS).write_text("{half")
    with pytest.raises(InvalidInput, match="metrics.json is damaged"):
        run_folder.load_metrics(tmp_path)
    (tmp_path / run_folder.LABELS).write_bytes(b"caf\xe9\n")
    with pytest.raises(InvalidInput, match="labels.txt is not a text file in UTF-8"):
        run_folder.load_class_names(tmp_path / run_folder.LABELS)


def test_class_names_are_read_in_their_order(tmp_path):
    names = ("2.b", "1.a", "30.Château d'If", "x\u2028y")
    run_folder.write_class_names(tmp_path / "labels.txt", names)
    assert run_folder.load_class_names(tmp_path / "labels.txt") == names


def test_sections_of_the_metrics_are_written_one_by_one(tmp_path):
    run_folder.write_metrics(tmp_path, validation={"top1": 0.5})
    run_folder.write_metrics(tmp_path, test={"top1": 0.25})
    run_folder.write_metrics(tmp_path, test={"top1": 0.75})
    assert run_folder.load_metrics(tmp_path) == {
        "validation": {"top1": 0.5},
        "test": {"top1": 0.75},
    }


def test_environment_names_versions_and_machine():
    environment = run_folder.environment()
    assert {"python", "tensorflow", "keras", "platform", "cpu_count"} <= set(
        environment
    )


def test_what_is_removed_in_the_block_is_gone(tmp_path):
    target = tmp_path / "model.tflite"
    target.write_text("old")
    with run_folder.replacing(target) as path:
        path.write_text("new")
        path.unlink()
    assert list(tmp_path.iterdir()) == []


def test_parity_is_kept_for_files_that_are_there(tmp_path):
    (tmp_path / "model_int8.tflite").write_text("")
    run_folder.write_parity(tmp_path, int8={"faults": []}, float16={"faults": ["far"]})
    run_folder.write_parity(tmp_path, float32={"faults": []})
    record = json.loads((tmp_path / "parity.json").read_text())
    assert record == {"int8": {"faults": []}, "float32": {"faults": []}}


def test_the_history_is_read_back_with_gaps_where_nothing_stands(tmp_path):
    assert run_folder.load_history(tmp_path) == []
    path = tmp_path / run_folder.HISTORY
    path.write_text("epoch,loss,late\n1,0.5,\n2,0.25,3\n")
    first, second = run_folder.load_history(tmp_path)
    assert (first["loss"], second) == (0.5, {"epoch": 2, "loss": 0.25, "late": 3})
    assert math.isnan(first["late"])
    for damaged in ("epoch,loss\n1,much\n", "epoch\n1,2\n"):
        path.write_text(damaged)
        with pytest.raises(InvalidInput, match="history.csv is damaged"):
            run_folder.load_history(tmp_path)
