"""The pipeline in this process, over a store with a scheme, as buckets have."""

import errno
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from landmarks_tf import prediction
from landmarks_tf import preprocessing
from landmarks_tf.classifier import Classifier
from landmarks_tf.errors import InvalidInput

pytest.importorskip("apache_beam", reason='needs pip install -e ".[beam]"')
pytestmark = pytest.mark.long

from apache_beam.options.pipeline_options import PipelineOptions  # noqa: E402
from other_store import other  # noqa: E402
from pyarrow import parquet  # noqa: E402

from landmarks_tf import library  # noqa: E402
from landmarks_tf import tag_folder  # noqa: E402
from landmarks_tf import tagging  # noqa: E402

HERE = PipelineOptions(["--runner=FnApiRunner"])
MODEL = "model_float32.tflite"


def tag(model, photos, path, output="jsonl", photos_per_shard=4, options=HERE):
    """Returns the job's folder and counts."""
    suffixes = {"tags": output, "bad": "jsonl"}
    folder = tag_folder.begin(str(path), suffixes, {}, photos, photos_per_shard)
    handler = tagging.LandmarkHandler(folder, str(model), 2, 1)
    numbers = [n for n in range(folder.num_shards) if n not in folder.find_finished()]
    tag_shards = tagging.TagShards(folder, handler, output)
    return folder, tagging.run(numbers, tag_shards, options)


def read_lines(folder, kind):
    return [
        json.loads(line)
        for path in sorted(folder.glob(f"{kind}-*.jsonl"))
        for line in path.read_text().splitlines()
    ]


def test_a_store_is_tagged_as_a_folder_is(run_dir, colored_dir, tmp_path):
    photos = library.list_photos(other(colored_dir / "test"))
    photos.insert(5, other(colored_dir / "gone.jpg"))
    folder, counts = tag(other(run_dir / MODEL), photos, other(tmp_path))
    assert counts == {"tags": 15, "bad": 1}
    assert folder.find_finished() == {0, 1, 2, 3}
    (bad,) = read_lines(tmp_path, "bad")
    assert bad == {"photo": photos[5], "error": f"{photos[5]}: no such file"}
    classifier = prediction.load_classifier(run_dir / MODEL)
    del photos[5]
    assert read_lines(tmp_path, "tags") == [
        classifier.predict_landmarks(photo.removeprefix("other://"), 2).to_record(photo)
        for photo in photos
    ]


def test_parquet_holds_the_same(run_dir, colored_dir, tmp_path):
    photos = library.list_photos(str(colored_dir / "test"))
    tag(run_dir / MODEL, photos, tmp_path / "a")
    tag(run_dir / MODEL, photos, tmp_path / "b", "parquet")
    rows = [
        row
        for path in sorted((tmp_path / "b").glob("tags-*.parquet"))
        for row in parquet.read_table(path).to_pylist()
    ]
    assert rows == read_lines(tmp_path / "a", "tags")
    assert len(rows) == 15


def test_parquet_has_its_columns_without_photos_too():
    table = parquet.read_table(io.BytesIO(tagging.encode_parquet([])))
    assert table.schema == tagging.SCHEMA


def test_odd_names_are_written(run_dir, colored_dir, tmp_path):
    photo = tmp_path / "odd \udcff\n.png"
    photo.write_bytes((colored_dir / "train/0.red/extra.png").read_bytes())
    tag(run_dir / MODEL, [str(photo)], tmp_path / "a")
    (record,) = read_lines(tmp_path / "a", "tags")
    assert record["photo"] == str(photo)
    contents = tagging.encode_parquet([json.dumps(record)])
    (row,) = parquet.read_table(io.BytesIO(contents)).to_pylist()
    assert row["photo"].endswith("/odd \\udcff\n.png")


def test_shards_appear_one_after_the_other_by_one_model(
    run_dir, colored_dir, tmp_path, monkeypatch
):
    photos = library.list_photos(str(colored_dir / "test"))
    load_photos, load_classifier = (
        tag_folder.TagFolder.load_photos,
        prediction.load_classifier,
    )
    finished, loaded = [], []

    def load_and_look(folder, number):
        finished.append(len(folder.find_finished()))
        return load_photos(folder, number)

    def load_and_count(*arguments):
        loaded.append(arguments)
        return load_classifier(*arguments)

    monkeypatch.setattr(tag_folder.TagFolder, "load_photos", load_and_look)
    monkeypatch.setattr(prediction, "load_classifier", load_and_count)
    tag(run_dir / MODEL, photos, tmp_path, photos_per_shard=3)
    assert finished == [0, 1, 2, 3, 4]
    assert loaded == [(run_dir / MODEL, 1)]


def test_finished_shards_are_not_repeated(run_dir, colored_dir, tmp_path):
    photos = library.list_photos(str(colored_dir / "test"))
    tag(run_dir / MODEL, photos, tmp_path)
    (tmp_path / "tags-00000-of-00004.jsonl").write_text("kept\n")
    (tmp_path / "tags-00002-of-00004.jsonl").unlink()
    _, counts = tag(run_dir / MODEL, photos, tmp_path)
    assert counts == {"tags": 4, "bad": 0}
    assert (tmp_path / "tags-00000-of-00004.jsonl").read_text() == "kept\n"


def answer(photo, folder):
    """Returns what a shard of one photo has, of a model that needs no file."""
    suffixes = {"tags": "jsonl", "bad": "jsonl"}
    shard = tag_folder.begin(str(folder), suffixes, {}, [str(photo)], 1)
    handler = tagging.LandmarkHandler(shard, "no model", 1, 1)
    classifier = Classifier(
        ("0.red", "1.blue"), (8, 8), lambda x: np.tile([[1.0, 0.0]], (len(x), 1)), 0.5
    )
    ((_, found),) = handler.run_inference([0], classifier)
    return found


@pytest.mark.parametrize(
    "error, message",
    [
        (OSError(errno.EIO, "x"), "Input/output error"),
        (OSError(errno.EMFILE, "x"), "Too many open files"),
        (OSError(errno.ENOTDIR, "x"), "Not a directory"),
        (MemoryError(), "out of memory"),
    ],
)
def test_what_the_system_fails_at_is_no_bad_photo(
    colored_dir, tmp_path, monkeypatch, error, message
):
    photo = colored_dir / "train/0.red/extra.png"
    assert len(answer(photo, tmp_path)["tags"]) == 1
    monkeypatch.setattr(preprocessing.Image, "open", raising(error))
    with pytest.raises(InvalidInput) as raised:
        answer(photo, tmp_path)
    assert str(raised.value) == f"{photo}: {message}: the same command goes on"


@pytest.mark.parametrize(
    "error, message",
    [
        (PermissionError(errno.EACCES, "x"), "permission denied"),
        (OSError(errno.EINVAL, "x"), "damaged ([Errno 22] x)"),
        (OSError("Truncated File Read"), "damaged (Truncated File Read)"),
    ],
)
def test_what_is_wrong_with_a_file_is_its_own(tmp_path, monkeypatch, error, message):
    monkeypatch.setattr(preprocessing.Image, "open", raising(error))
    (bad,) = answer("a.jpg", tmp_path)["bad"]
    assert json.loads(bad) == {"photo": "a.jpg", "error": f"a.jpg: {message}"}


def raising(error):
    def fail(*_, **__):
        raise error

    return fail


def test_a_disk_that_is_gone_is_no_bad_photo(tmp_path):
    """A photo that is gone alone is; where a disk was mounted is an empty folder."""
    library_dir = tmp_path / "library"
    photo, link = library_dir / "a\nb.jpg", tmp_path / "link.jpg"
    link.symlink_to(library_dir / "b.jpg")
    for _ in range(2):  # gone, and empty
        for path in (photo, link):
            with pytest.raises(InvalidInput, match="no such file, and .*goes on$") as e:
                answer(path, tmp_path / f"tags of {path.stem}")
            assert "\n" not in str(e.value)
        library_dir.mkdir(exist_ok=True)
    (library_dir / "c.jpg").touch()
    for path in (photo, link):
        (bad,) = answer(path, tmp_path / f"tags of {path.stem}")["bad"]
        assert json.loads(bad)["error"] == f"{path}: no such file"


def test_a_shard_that_the_system_failed_at_is_not_written(
    run_dir, colored_dir, tmp_path
):
    photos = library.list_photos(str(colored_dir / "test"))
    gone = [*photos[:5], str(tmp_path / "gone/a.jpg"), *photos[5:]]
    with pytest.raises(Exception, match="gone/a.jpg: no such file, and its folder"):
        tag(run_dir / MODEL, gone, tmp_path / "tags")
    assert not (tmp_path / "tags" / "tags-00001-of-00004.jsonl").exists()
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "a.jpg").write_bytes(Path(photos[0]).read_bytes())
    folder, _ = tag(run_dir / MODEL, gone, tmp_path / "tags")
    assert folder.find_finished() == {0, 1, 2, 3}
    assert len(read_lines(tmp_path / "tags", "tags")) == 16


def test_options_that_a_runner_refuses_are_told_in_a_line(
    run_dir, colored_dir, tmp_path
):
    photos = library.list_photos(str(colored_dir / "test"))
    options = PipelineOptions(["--runner=NoRunner"])
    with pytest.raises(InvalidInput, match="Beam's options: .*NoRunner") as raised:
        tag(run_dir / MODEL, photos, tmp_path, options=options)
    assert "\n" not in str(raised.value)


def test_workers_import_no_tensorflow():
    code = (
        "import sys, landmarks_tf.tagging, landmarks_tf.litert; "
        "sys.exit('tensorflow' in sys.modules or 'matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
