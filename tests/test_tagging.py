"""The pipeline in this process, over a store with a scheme, as buckets have."""

import io
import json
import subprocess
import sys

import pytest

from landmarks_tf import prediction
from landmarks_tf.errors import InvalidInput

pytest.importorskip("apache_beam", reason='needs pip install -e ".[beam]"')
tagging = pytest.importorskip("landmarks_tf.tagging")
other = pytest.importorskip("other_store").other

from apache_beam.options.pipeline_options import PipelineOptions  # noqa: E402
from pyarrow import parquet  # noqa: E402

from landmarks_tf import library  # noqa: E402
from landmarks_tf import tag_folder  # noqa: E402

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
