"""The pipeline in this process, over a store with a scheme too, as buckets have."""

import errno
import json
import os
import subprocess
import sys

import pytest

from landmarks_tf.data.photo import unreadable_reason
from landmarks_tf.data.photo_set import find_photos
from landmarks_tf.errors import InvalidInput
from landmarks_tf.inference.classifier import load_classifier

pytest.importorskip("apache_beam", reason='needs pip install -e ".[beam]"')
pytestmark = pytest.mark.long

import apache_beam as beam  # noqa: E402
from apache_beam.io.localfilesystem import LocalFileSystem  # noqa: E402
from apache_beam.options.pipeline_options import PipelineOptions  # noqa: E402
from other_store import OtherStore  # noqa: E402
from other_store import other  # noqa: E402
from pyarrow import parquet  # noqa: E402

from landmarks_tf.inference import beam as tagging  # noqa: E402

MODEL = "model_float32.tflite"


def tag(model, photos, output_dir, output="jsonl"):
    """Returns how many photos are tagged, and how many bad."""
    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"]))
    handler = tagging.LandmarkHandler(tagging.find_model(str(model)), 2, 2)
    pattern = tagging.find_photos(str(photos))
    return tagging.tag(pipeline, pattern, handler, str(output_dir), output)


def read_lines(folder, kind):
    records = [
        json.loads(line)
        for path in folder.glob(f"{kind}-*.jsonl")
        for line in path.read_text().splitlines()
    ]
    return sorted(records, key=lambda record: record["photo"])


def read_rows(folder):
    tables = [parquet.read_table(path) for path in folder.glob("tags-*.parquet")]
    assert tables and all(table.schema == tagging.SCHEMA for table in tables)
    rows = [row for table in tables for row in table.to_pylist()]
    return sorted(rows, key=lambda row: row["photo"])


@pytest.mark.parametrize("at", [str, other], ids=["here", "there"])
def test_records_are_those_of_the_classifier(run_dir, colored_dir, tmp_path, at):
    tags = tmp_path / "tags"
    counts = tag(at(run_dir), at(colored_dir / "test"), at(tags))
    assert counts == {"tags": 15, "bad": 0}
    assert read_lines(tags, "bad") == []
    assert {path.name.split("-")[0] for path in tags.iterdir()} == {"tags", "bad"}
    classifier = load_classifier(run_dir / MODEL)
    assert classifier.threshold > 0
    assert read_lines(tags, "tags") == [
        classifier.predict_landmarks(path, 2).to_record(at(path))
        for path in find_photos([colored_dir / "test"])
    ]


def test_parquet_holds_the_same(run_dir, colored_dir, tmp_path):
    for output in ("jsonl", "parquet"):
        tag(run_dir, colored_dir / "test", tmp_path / output, output)
    assert read_rows(tmp_path / "parquet") == read_lines(tmp_path / "jsonl", "tags")


def test_parquet_has_its_columns_without_photos_too(run_dir, tmp_path):
    (tmp_path / "empty.jpg").touch()
    counts = tag(run_dir, tmp_path, tmp_path / "tags", "parquet")
    assert counts == {"tags": 0, "bad": 1}
    assert read_rows(tmp_path / "tags") == []


def test_bad_photos_are_told_as_everywhere(run_dir, colored_dir, tmp_path):
    library = tmp_path / "library"
    library.mkdir()
    photo = (colored_dir / "test" / "0.red" / "00.jpg").read_bytes()
    (library / "cut.jpg").write_bytes(photo[:500])
    (library / "empty.jpg").touch()
    (library / "good.jpg").write_bytes(photo)
    (library / "text.jpg").write_text("not a photo")
    (library / ".hidden.jpg").touch()
    (library / "notes.txt").touch()
    os.mkfifo(library / "pipe.jpg")
    assert tag(run_dir, library, tmp_path / "tags") == {"tags": 1, "bad": 4}
    assert read_lines(tmp_path / "tags", "bad") == [
        {"photo": str(path), "error": f"{path}: {reason}"}
        for path, reason in (
            (path, unreadable_reason(path))
            for path in sorted(library.glob("[!.]*.jpg"))
        )
        if reason
    ]


def test_odd_names_are_written(run_dir, colored_dir, tmp_path):
    """Not text in UTF-8, as names of files may be."""
    library = tmp_path / "library"
    library.mkdir()
    photo, bad = library / "odd \udcff\n.png", library / "bad \udcff.png"
    photo.write_bytes((colored_dir / "train/0.red/extra.png").read_bytes())
    bad.touch()
    for output in ("jsonl", "parquet"):
        tag(run_dir, library, tmp_path / output, output)
        (record,) = read_lines(tmp_path / output, "bad")
        assert record == {"photo": str(bad), "error": f"{bad}: empty file"}
    (record,) = read_lines(tmp_path / "jsonl", "tags")
    assert record["photo"] == str(photo)
    (row,) = read_rows(tmp_path / "parquet")
    assert row == record | {"photo": f"{library}/odd \\udcff\n.png"}


def test_a_photo_that_leaves_its_store_is_bad(
    run_dir, colored_dir, tmp_path, monkeypatch
):
    opened = OtherStore.open

    def open_or_fail(store, path, *arguments, **named):
        if path.endswith("00.jpg"):
            os.remove(path.removeprefix("other://"))
        return opened(store, path, *arguments, **named)

    library = tmp_path / "library"
    library.mkdir()
    for name in ("00.jpg", "01.jpg"):
        photo = colored_dir / "test" / "0.red" / name
        (library / name).write_bytes(photo.read_bytes())
    monkeypatch.setattr(OtherStore, "open", open_or_fail)
    counts = tag(run_dir, other(library), tmp_path / "tags")
    assert counts == {"tags": 1, "bad": 1}
    path = other(library / "00.jpg")
    (record,) = read_lines(tmp_path / "tags", "bad")
    assert record == {"photo": path, "error": f"{path}: no such file"}


def test_a_store_that_fails_makes_no_photo_bad(
    run_dir, colored_dir, tmp_path, monkeypatch
):
    monkeypatch.setattr(OtherStore, "open", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tag(run_dir, other(colored_dir / "test"), tmp_path / "tags")
    assert not list((tmp_path / "tags").glob("bad-*"))


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left"), ZeroDivisionError("a defect")],
    ids=["disk", "defect"],
)
def test_a_job_ends_with_what_its_store_fails_at(
    run_dir, colored_dir, tmp_path, monkeypatch, error
):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(LocalFileSystem, "create", fail)
    with pytest.raises(type(error)) as raised:
        tag(run_dir, colored_dir / "test", tmp_path / "tags")
    assert str(raised.value).startswith(str(error))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("scheme", ["", "other://"])
def test_what_is_not_there_is_refused(tmp_path, scheme):
    (tmp_path / ".hidden.jpg").touch()
    (tmp_path / "notes.txt").touch()
    place = f"{scheme}{tmp_path}"
    for photos in (place, f"{place}/nowhere", f"{place}/no*.jpg"):
        with pytest.raises(InvalidInput) as raised:
            tagging.find_photos(photos)
        assert str(raised.value) == f"no photos fit photos={photos}"
    for model in (place, f"{place}/nowhere.tflite"):
        with pytest.raises(InvalidInput, match=f"Received: model={model}"):
            tagging.find_model(model)


@pytest.mark.parametrize("at", [str, other], ids=["here", "there"])
def test_only_a_new_or_empty_folder_is_written_into(tmp_path, at):
    tagging.require_empty(at(tmp_path / "new"))
    tagging.require_empty(at(tmp_path))
    (tmp_path / "beam-temp").mkdir()
    (tmp_path / "beam-temp" / "tags").touch()
    with pytest.raises(InvalidInput, match="must be new or empty: delete it or"):
        tagging.require_empty(at(tmp_path))
    # By it Beam would delete what is in other folders.
    with pytest.raises(InvalidInput, match=r"must have no \*, \? or \[ in its path"):
        tagging.require_empty(at(tmp_path / "t*gs"))


def test_workers_import_no_tensorflow():
    code = (
        "import sys, landmarks_tf.inference.beam, landmarks_tf.inference.litert; "
        "sys.exit('tensorflow' in sys.modules or 'matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
