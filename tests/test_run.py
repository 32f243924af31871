import json
import math
import re
import subprocess
import sys
from pathlib import Path

import filelock
import pytest

from landmarks_tf.errors import InvalidInput
from landmarks_tf.records import ChosenOn
from landmarks_tf.records import RunMetrics
from landmarks_tf.records import Threshold
from landmarks_tf.records import Training
from landmarks_tf.run import LABELS
from landmarks_tf.run import LOCK
from landmarks_tf.run import METRICS
from landmarks_tf.run import Run
from landmarks_tf.run import describe_environment


@pytest.fixture
def output_dir(tmp_path):
    return tmp_path / "runs" / "mine"


def stop_half_way(output_dir):
    run = Run.begin(output_dir)
    run.checkpoints_dir.mkdir()
    return run


def test_a_run_appears_only_when_published(output_dir):
    run = stop_half_way(output_dir)
    run.metrics_path.write_text("{}")
    assert not output_dir.exists()
    assert not Run(output_dir).is_finished
    assert run.publish(output_dir) == Run(output_dir)
    assert [path.name for path in output_dir.iterdir()] == [METRICS]
    assert Run(output_dir).is_finished
    assert [path.name for path in output_dir.parent.iterdir()] == ["mine"]


def test_an_output_folder_that_exists_is_refused(output_dir):
    output_dir.mkdir(parents=True)
    message = re.escape(f"{output_dir} exists: choose another --output_dir")
    for on_existing in ("refuse", "resume"):
        with pytest.raises(InvalidInput, match=message):
            Run.begin(output_dir, on_existing)


def test_an_older_run_stays_until_its_successor_is_whole(output_dir):
    output_dir.mkdir(parents=True)
    Run(output_dir).flags_path.write_text("")
    run = Run.begin(output_dir, "overwrite")
    (run.path / "new").write_text("")
    assert Run(output_dir).flags_path.exists()
    run.publish(output_dir)
    assert [path.name for path in output_dir.iterdir()] == ["new"]


def test_what_is_no_run_folder_is_not_overwritten(tmp_path):
    (tmp_path / "photos" / "a").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "photos", tmp_path / "file"):
        with pytest.raises(InvalidInput, match="is not a run folder: it is not over"):
            Run.begin(path, "overwrite")
    (tmp_path / "empty").mkdir()
    Run.begin(tmp_path / "empty", "overwrite")


@pytest.mark.parametrize("name", ["photos", "photos/runs", ".", "photos/../photos/x"])
def test_a_run_among_the_photos_is_refused(tmp_path, name):
    (tmp_path / "photos").mkdir()
    with pytest.raises(
        InvalidInput, match="^`output_dir` must be apart from the photos"
    ):
        Run(tmp_path / name).refuse_overlap(tmp_path / "photos")
    Run(tmp_path / "photos2").refuse_overlap(tmp_path / "photos")


def test_a_folder_that_holds_no_run_is_not_finished(output_dir):
    output_dir.mkdir(parents=True)
    assert not Run(output_dir).is_finished
    (output_dir / METRICS).write_text("{}")
    assert Run(output_dir).is_finished
    Run.unfinished(output_dir).path.mkdir()
    assert not Run(output_dir).is_finished


def test_the_current_folder_has_a_name_too(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    unfinished = Run.unfinished(Path("."))
    assert unfinished.path == tmp_path / "here.unfinished"


def test_a_stopped_run_is_refused_resumed_or_overwritten(output_dir):
    run = stop_half_way(output_dir)
    with pytest.raises(InvalidInput, match="holds a run that was stopped"):
        Run.begin(output_dir)
    assert Run.begin(output_dir, "resume") == run
    assert run.checkpoints_dir.exists()
    Run.begin(output_dir, "overwrite")
    assert not run.checkpoints_dir.exists()


def test_a_stopped_overwriting_run_can_be_resumed(output_dir):
    stop_half_way(output_dir)
    output_dir.mkdir()
    assert not Run(output_dir).is_finished
    Run.begin(output_dir, "resume")


def test_a_run_that_failed_before_its_first_checkpoint_is_no_hindrance(output_dir):
    run = Run.begin(output_dir)
    run.split_path.write_text("{}")
    Run.begin(output_dir)
    assert not run.split_path.exists()


BEGIN = """
import sys
from pathlib import Path
from landmarks_tf.run import Run
Run.begin(Path(sys.argv[1]), sys.argv[2])
print("begun", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("how", ["refuse", "resume"])
def test_two_programs_do_not_write_one_run(output_dir, how):
    other = subprocess.Popen(
        [sys.executable, "-c", BEGIN, str(output_dir), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert other.stdout.readline() == b"begun\n"
    for on_existing in ("refuse", "resume"):
        with pytest.raises(InvalidInput, match="^another program is writing in "):
            Run.begin(output_dir, on_existing)
    other.kill()  # which leaves no lock behind
    other.communicate()
    run = Run.begin(output_dir)
    run.metrics_path.write_text("{}")
    run.publish(output_dir)
    assert [path.name for path in output_dir.iterdir()] == [METRICS]


def test_a_run_that_is_refused_or_given_back_is_open_to_others(output_dir):
    run = stop_half_way(output_dir)
    run.release()
    with pytest.raises(InvalidInput, match="holds a run that was stopped"):
        Run.begin(output_dir)
    other = filelock.FileLock(run.path / LOCK)
    with other.acquire(timeout=0):
        pass


def test_what_to_do_with_an_older_run_is_one_of_three(output_dir):
    with pytest.raises(InvalidInput, match="`on_existing` must be one of .*=keep"):
        Run.begin(output_dir, "keep")


def test_missing_files_are_named(tmp_path):
    with pytest.raises(InvalidInput, match="^no such run folder: "):
        Run(tmp_path / "nowhere").require()
    message = re.escape(f"{tmp_path} is not a whole run folder: no model.keras")
    with pytest.raises(InvalidInput, match=message):
        Run(tmp_path).require(Run(tmp_path).model_path)
    with pytest.raises(InvalidInput, match="^no class names: .*labels.txt is missing"):
        Run(tmp_path).class_names


def test_damaged_files_are_named(tmp_path):
    (tmp_path / METRICS).write_text("{half")
    with pytest.raises(InvalidInput, match="metrics.json is damaged"):
        Run(tmp_path).metrics
    (tmp_path / LABELS).write_bytes(b"caf\xe9\n")
    with pytest.raises(InvalidInput, match="labels.txt is not a text file in UTF-8"):
        Run(tmp_path).class_names


def test_class_names_are_read_in_their_order(tmp_path):
    names = ("2.b", "1.a", "30.Château d'If", "x\u2028y")
    Run(tmp_path).write_class_names(names)
    assert Run(tmp_path).class_names == names


def test_sections_of_the_metrics_are_written_one_by_one(tmp_path):
    run = Run(tmp_path)
    assert run.metrics == RunMetrics()
    training = Training(epochs=3, best_epoch=2, seconds=1.5, images_per_second=20.0)
    thresholds = [Threshold(value, ChosenOn(9, 0), 20, 0, 0.9) for value in (0.3, 0.4)]
    run.write_metrics(training=training)
    for threshold in thresholds:
        run.write_metrics(threshold=threshold)
    assert run.metrics == RunMetrics(training=training, threshold=thresholds[1])
    # What is not known is not written.
    record = json.loads((tmp_path / METRICS).read_text())
    assert "auroc" not in record["threshold"] and "test" not in record


def test_metrics_of_an_older_version_are_read(tmp_path):
    section = '{"num_images": 1, "top1": 1.0}'
    (tmp_path / METRICS).write_text(f'{{"test_at_training_size": {section}}}')
    assert Run(tmp_path).metrics == RunMetrics()
    Run(tmp_path).write_metrics(environment={})
    assert "test_at_training_size" in (tmp_path / METRICS).read_text()


@pytest.mark.parametrize("text", ['{"test": {"top1": 1}}', '{"test": [1]}', "[]"])
def test_metrics_of_another_form_are_damaged(tmp_path, text):
    (tmp_path / METRICS).write_text(text)
    with pytest.raises(InvalidInput, match="metrics.json is damaged"):
        Run(tmp_path).metrics


def test_environment_names_versions_and_machine():
    environment = describe_environment()
    assert {"python", "tensorflow", "keras", "platform", "cpu_count"} <= set(
        environment
    )


def test_parity_is_kept_for_files_that_are_there(tmp_path):
    (tmp_path / "model_int8.tflite").write_text("")
    Run(tmp_path).write_parity(int8={"faults": []}, float16={"faults": ["far"]})
    Run(tmp_path).write_parity(float32={"faults": []})
    record = json.loads((tmp_path / "parity.json").read_text())
    assert record == {"int8": {"faults": []}, "float32": {"faults": []}}


def test_the_history_is_read_back_with_gaps_where_nothing_stands(tmp_path):
    assert Run(tmp_path).history == []
    path = Run(tmp_path).history_path
    path.write_text("epoch,loss,late\n1,0.5,\n2,0.25,3\n")
    first, second = Run(tmp_path).history
    assert (first["loss"], second) == (0.5, {"epoch": 2, "loss": 0.25, "late": 3})
    assert math.isnan(first["late"])
    for damaged in ("epoch,loss\n1,much\n", "epoch\n1,2\n"):
        path.write_text(damaged)
        with pytest.raises(InvalidInput, match="history.csv is damaged"):
            Run(tmp_path).history


def test_history_is_a_table_with_a_row_an_epoch(tmp_path):
    rows = [{"loss": 0.5, "val_loss": 0.25}, {"loss": 0.125, "val_loss": 1.0}]
    Run(tmp_path).write_history(rows)
    assert (tmp_path / "history.csv").read_text() == (
        "epoch,loss,val_loss\n1,0.5,0.25\n2,0.125,1.0\n"
    )
