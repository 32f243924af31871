"""The Apache Beam pipeline that tags a library: a pattern of photos in, files out.

Beam lists, batches and writes, on every file system that it knows. Tags travel as JSON
in ASCII, because Beam's coders refuse names of files that are not UTF-8. No TensorFlow.
"""

import glob
import json
import posixpath
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow
from apache_beam.io import fileio
from apache_beam.io.filesystem import FileMetadata
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics
from apache_beam.metrics import MetricsFilter
from apache_beam.ml.inference.base import ModelHandler
from apache_beam.ml.inference.base import RunInference

from landmarks_tf import errors
from landmarks_tf import run
from landmarks_tf.data.photo_set import is_photo_name
from landmarks_tf.inference.classifier import Classifier
from landmarks_tf.inference.classifier import load_classifier

TAGS = "tags"
BAD = "bad"
_TEXT = pyarrow.string()
_LANDMARK = {"name": _TEXT, "class_name": _TEXT, "probability": pyarrow.float64()}
# Has the fields of `Prediction.to_record`.
SCHEMA = pyarrow.schema(
    {
        "photo": _TEXT,
        "is_known": pyarrow.bool_(),
        "landmarks": pyarrow.list_(pyarrow.struct(_LANDMARK)),
    }
)
# Counts files; only a few of them are decoded at a time.
_BATCH_SIZE = 256


class LandmarkHandler(ModelHandler[fileio.ReadableFile, tuple[str, str], Classifier]):
    """Lets Beam's `RunInference` predict the landmarks of photo files with LiteRT.

    Args:
        model: path of a TFLite file, as every worker reaches it.
        top_k: landmarks to name of each photo.
        num_cores: that a worker uses.
    """

    def __init__(self, model: str, top_k: int, num_cores: int) -> None:
        super().__init__(min_batch_size=_BATCH_SIZE, max_batch_size=_BATCH_SIZE)
        self._model = model
        self._top_k = top_k
        self._num_cores = num_cores

    def load_model(self) -> Classifier:
        """Reads the TFLite file, from a bucket too, with its labels and threshold."""
        if FileSystems.get_scheme(self._model) is None:
            return load_classifier(self._model, self._num_cores)
        local_dir = tempfile.mkdtemp()
        folder, name = FileSystems.split(self._model)
        for part in (name, run.LABELS, run.METRICS):
            source = FileSystems.join(folder, part)
            if FileSystems.exists(source):
                with FileSystems.open(source) as file:
                    Path(local_dir, part).write_bytes(file.read())
        classifier = load_classifier(Path(local_dir, name), self._num_cores)
        # Not now: LiteRT opens the file again for each thread.
        weakref.finalize(classifier, shutil.rmtree, local_dir, ignore_errors=True)
        return classifier

    def run_inference(
        self,
        batch: Sequence[fileio.ReadableFile],
        model: Classifier,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterator[tuple[str, str]]:
        """Yields what each photo has, in order, as JSON.

        "tags" and `Prediction.to_record`; or "bad", `photo` and `error`.
        """
        answers = model.stream_landmarks(map(_open, batch), self._top_k)
        for file, (_, answer) in zip(batch, answers):
            path = file.metadata.path
            if isinstance(answer, errors.InvalidInput):
                yield BAD, json.dumps({"photo": path, "error": str(answer)})
            else:
                yield TAGS, json.dumps(answer.to_record(path))


class _StoredPhoto:
    """A photo of a store, as `photo_input.open_photo` takes an open file."""

    def __init__(self, file: fileio.ReadableFile) -> None:
        self.name = file.metadata.path
        self._file = file

    def read(self) -> bytes:
        try:
            with self._file.open() as opened:
                return opened.read()
        except Exception:
            if FileSystems.exists(self.name):
                raise  # its store failed: a runner may try again
            raise errors.InvalidInput("no such file") from None


def _open(file: fileio.ReadableFile) -> Any:
    """Returns a photo as `Classifier.stream_landmarks` takes it."""
    # By its path, what cannot be opened has the reason that predict.py tells.
    is_local = FileSystems.get_scheme(file.metadata.path) is None
    return Path(file.metadata.path) if is_local else _StoredPhoto(file)


def find_photos(photos: str) -> str:
    """Returns the pattern of a library's files, some of which are photos.

    Args:
        photos: a folder, searched recursively, or a pattern such as `2025/*.jpg`.

    Raises:
        InvalidInput: if there are none.
    """
    pattern = photos if glob.has_magic(photos) else FileSystems.join(photos, "**")
    (match,) = FileSystems.match([pattern])
    if not any(map(_is_photo, match.metadata_list)):
        raise errors.InvalidInput(f"no photos fit photos={photos}")
    return pattern


def find_model(model: str) -> str:
    """Returns the path of a TFLite file: `model`, or the float32 file of that run.

    Raises:
        InvalidInput: if it is not there.
    """
    is_file = model.endswith(".tflite")
    path = model if is_file else FileSystems.join(model, run.EXPORTS["float32"])
    wanted = "a .tflite file or a run folder with its float32 file"
    how = "which scripts/export.py writes"
    errors.require(FileSystems.exists(path), "model", f"{wanted}, {how}", model)
    return path


def require_empty(output_dir: str) -> None:
    """Raises InvalidInput for a folder that a job cannot write into."""
    if glob.has_magic(output_dir):  # Beam would look for its own files by it
        raise errors.InvalidInput(
            "`output_dir` must have no *, ? or [ in its path. "
            f"Received: output_dir={output_dir}"
        )
    (match,) = FileSystems.match([FileSystems.join(output_dir, "**")], [1])
    wanted = "new or empty: delete it or choose another"
    errors.require(not match.metadata_list, "output_dir", wanted, output_dir)


def tag(
    pipeline: beam.Pipeline,
    pattern: str,
    handler: LandmarkHandler,
    output_dir: str,
    output: str,
) -> dict[str, int]:
    """Tags a library, and returns how many photos were read ("tags") or not ("bad").

    Args:
        pipeline: empty, with its options.
        pattern: of the photos, see `find_photos`.
        handler: predicts their landmarks.
        output_dir: folder for the tags, new or empty.
        output: "jsonl" or "parquet".

    Raises:
        OSError: if a file cannot be written.
        RuntimeError: or what else the runner says of a worker that failed.
    """
    parts = (
        pipeline
        | fileio.MatchFiles(pattern)
        | beam.Filter(_is_photo)
        # Runners give what comes after it to several workers.
        | beam.Reshuffle()
        | fileio.ReadMatches()
        | RunInference(handler)
        | beam.FlatMap(_part).with_outputs(TAGS, BAD)
    )
    prefix, bad_prefix = (FileSystems.join(output_dir, kind) for kind in (TAGS, BAD))
    parts[BAD] | "Write bad" >> beam.io.WriteToText(bad_prefix, ".jsonl")
    if output == "parquet":
        write = beam.io.WriteToParquet(prefix, SCHEMA, file_name_suffix=".parquet")
        parts[TAGS] | beam.Map(_to_row) | write
    else:
        # Not WriteToJson: pandas rounds to 15 digits, and a tag is a line already.
        parts[TAGS] | beam.io.WriteToText(prefix, ".jsonl")
    return _run(pipeline)


def _is_photo(file: FileMetadata) -> bool:
    return is_photo_name(posixpath.basename(file.path))


def _part(predicted: tuple[str, str]) -> Iterator[Any]:
    kind, line = predicted
    Metrics.counter(__name__, kind).inc()
    yield beam.pvalue.TaggedOutput(kind, line)


def _to_row(line: str) -> dict:
    """Returns a row of Parquet, whose text is UTF-8 whatever the name of a file is."""
    record = json.loads(line)
    record["photo"] = record["photo"].encode(errors="backslashreplace").decode()
    return record


def _run(pipeline: beam.Pipeline) -> dict[str, int]:
    try:
        result = pipeline.run()
        result.wait_until_finish()
    except RuntimeError as error:
        # Beam's local runner wraps Ctrl-C, and what the system refuses (a full disk).
        if isinstance(error.__context__, (KeyboardInterrupt, OSError)):
            raise error.__context__ from None
        raise
    metrics = result.metrics().query(MetricsFilter().with_namespace(__name__))
    counts = {TAGS: 0, BAD: 0}
    for counter in metrics["counters"]:
        # Some runners say None of a counter at 0.
        counts[counter.key.metric.name] += counter.result or 0
    return counts
