"""The Apache Beam pipeline that tags a library: numbers of shards in, files out.

A shard, some hundred photos, is one element from its list of paths to its files: what
is finished is on disk while the pipeline runs, and a worker holds the answers of one
shard. What the files are called is `tag_folder`'s. No TensorFlow.
"""

import errno
import io
import json
import os
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import pyarrow
from apache_beam.metrics import Metrics
from apache_beam.metrics import MetricsFilter
from apache_beam.ml.inference.base import ModelHandler
from apache_beam.ml.inference.base import RunInference
from apache_beam.options.pipeline_options import PipelineOptions
from pyarrow import parquet

from landmarks_tf import library
from landmarks_tf import prediction
from landmarks_tf import wording
from landmarks_tf.classifier import Classifier
from landmarks_tf.errors import InvalidInput
from landmarks_tf.tag_folder import BAD
from landmarks_tf.tag_folder import TAGS
from landmarks_tf.tag_folder import TagFolder

# Of `Landmarks.to_record`.
SCHEMA = pyarrow.schema(
    [
        pyarrow.field("photo", pyarrow.string(), nullable=False),
        pyarrow.field("is_known", pyarrow.bool_(), nullable=False),
        pyarrow.field(
            "landmarks",
            pyarrow.list_(
                pyarrow.struct(
                    [
                        ("name", pyarrow.string()),
                        ("class_name", pyarrow.string()),
                        ("probability", pyarrow.float64()),
                    ]
                )
            ),
            nullable=False,
        ),
    ]
)
# The number of a shard, and by the kind of file what its photos have: an object of JSON
# each. As text in ASCII: Beam's coders refuse the names of files that are not in UTF-8.
Answers = tuple[int, dict[str, list[str]]]
# What is wrong with one file, whatever the system does. Of files with wrong offsets
# Pillow seeks before the start: EINVAL.
_OF_A_PHOTO = {
    errno.EACCES,
    errno.EPERM,
    errno.EINVAL,
    errno.ELOOP,
    errno.ENAMETOOLONG,
}


class LandmarkHandler(ModelHandler[int, Answers, Classifier]):
    """Lets Beam's `RunInference` answer shards, by their numbers, with LiteRT.

    `RunInference` loads the model once a worker process; its threads share it.

    Args:
        folder: of the job.
        model: path of a TFLite file, as every worker reaches it.
        top_k: landmarks to name of each photo.
        num_cores: that a worker uses.
    """

    def __init__(
        self, folder: TagFolder, model: str, top_k: int, num_cores: int
    ) -> None:
        super().__init__()
        self._folder = folder
        self._model = model
        self._top_k = top_k
        self._num_cores = num_cores
        self._local: library.LocalModel | None = None

    def load_model(self) -> Classifier:
        # Kept: an interpreter opens the file again for each thread.
        self._local = library.LocalModel(self._model)
        return prediction.load_classifier(self._local.path, self._num_cores)

    def run_inference(
        self,
        batch: Sequence[int],
        model: Classifier,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterator[Answers]:
        """Yields what the photos of each shard have, in order.

        "tags" are `Landmarks.to_record`, "bad" `photo` and `error`.

        Raises:
            InvalidInput: if a photo cannot be read for what is not the photo's, such as
                a disk that is gone: as "bad" it would never be tried again.
        """
        for number in batch:
            paths = self._folder.load_photos(number)
            photos = map(library.open_photo, paths)
            found: dict[str, list[str]] = {TAGS: [], BAD: []}
            answers = model.stream_landmarks(photos, self._top_k)
            for path, (_, answer) in zip(paths, answers):
                if isinstance(answer, InvalidInput):
                    reason = _system_reason(path, answer)
                    if reason:
                        raise InvalidInput(
                            f"{wording.printable(path)}: {reason}: the same command "
                            "goes on"
                        ) from answer
                    record = {"photo": path, "error": str(answer)}
                    found[BAD].append(json.dumps(record))
                else:
                    found[TAGS].append(json.dumps(answer.to_record(path)))
            yield number, found

    def batch_elements_kwargs(self) -> Mapping[str, Any]:
        # A shard is a batch already.
        return {"min_batch_size": 1, "max_batch_size": 1}


def _system_reason(path: str, error: InvalidInput) -> str:
    """Returns why the system could not read a photo; empty if that is the photo's."""
    cause: BaseException | None = error
    while isinstance(cause, InvalidInput):
        cause = cause.__cause__
    if isinstance(cause, MemoryError):
        return "out of memory"
    number = cause.errno if isinstance(cause, OSError) else None
    # Pillow's own, of damaged files, have no number.
    if number is None or number in _OF_A_PHOTO:
        return ""
    if number != errno.ENOENT:
        return os.strerror(number)
    return "" if _is_there(path) else "no such file, and its folder is gone or empty"


def _is_there(path: str) -> bool:
    """Returns whether a file that is gone was in a folder that holds others."""
    try:
        # Of the file that a link names. Where a disk was mounted is an empty folder.
        return bool(os.listdir(os.path.dirname(os.path.realpath(path))))
    except OSError:
        return False


class TagShards(beam.PTransform):
    """From numbers of shards to their files.

    Args:
        folder: of the job.
        handler: answers the shards.
        output: "jsonl" or "parquet".

    Returns (of `expand`):
        the numbers again, when files of theirs are written: a `PCollection` by the
        kind of file, "tags" and "bad".
    """

    def __init__(
        self, folder: TagFolder, handler: LandmarkHandler, output: str
    ) -> None:
        super().__init__()
        self._folder = folder
        self._handler = handler
        self._output = output

    # Of a dict of them Beam warns that it checks no types.
    def expand(self, numbers: beam.PCollection) -> Any:
        parted = (
            numbers
            # Runners give what comes after it to several workers.
            | beam.Reshuffle()
            | "Answer" >> RunInference(self._handler)
            | "Part" >> beam.ParDo(_Parting()).with_outputs(BAD, main=TAGS)
        )
        encoders = {TAGS: ENCODERS[self._output], BAD: encode_jsonl}
        return {
            kind: parted[kind]
            | f"Write {kind}" >> beam.Map(_write, self._folder, kind, encode)
            for kind, encode in encoders.items()
        }


class _Parting(beam.DoFn):
    """Parts a shard's tags from its bad photos, and counts both."""

    def __init__(self) -> None:
        super().__init__()
        self._counters = {kind: Metrics.counter(__name__, kind) for kind in (TAGS, BAD)}

    def process(self, answers: Answers) -> Iterator[Any]:
        number, found = answers
        for kind, counter in self._counters.items():
            counter.inc(len(found[kind]))
        yield beam.pvalue.TaggedOutput(BAD, (number, found[BAD]))
        yield number, found[TAGS]


def _write(
    part: tuple[int, Sequence[str]],
    folder: TagFolder,
    kind: str,
    encode: Callable[[Sequence[str]], bytes],
) -> int:
    number, lines = part
    folder.write(kind, number, encode(lines))
    return number


def encode_jsonl(lines: Sequence[str]) -> bytes:
    """Returns objects of JSON as a file of a line each."""
    return "".join(f"{line}\n" for line in lines).encode("ascii")


def encode_parquet(lines: Sequence[str]) -> bytes:
    """Returns the objects of tags as a Parquet file of `SCHEMA`.

    A path that is not text in UTF-8 is written with backslashes.
    """
    records = [json.loads(line) for line in lines]
    for record in records:
        record["photo"] = record["photo"].encode(errors="backslashreplace").decode()
    stream = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(records, SCHEMA), stream)
    return stream.getvalue()


ENCODERS = {"jsonl": encode_jsonl, "parquet": encode_parquet}


def run(
    numbers: Sequence[int], tag_shards: TagShards, options: PipelineOptions
) -> dict[str, int]:
    """Tags shards, and returns how many photos were read ("tags") or not ("bad").

    Args:
        numbers: of the shards.
        tag_shards: what to do with each.
        options: of the pipeline, its runner among them.

    Raises:
        InvalidInput: if the runner refuses the options.
        RuntimeError: or what else the runner says of a worker that failed.
    """
    try:
        pipeline = beam.Pipeline(options=options)
    except ValueError as error:
        raise InvalidInput(f"Beam's options: {' '.join(str(error).split())}") from error
    pipeline | beam.Create(numbers) | tag_shards
    result = pipeline.run()
    result.wait_until_finish()
    metrics = result.metrics().query(MetricsFilter().with_namespace(__name__))
    counts = {TAGS: 0, BAD: 0}
    for counter in metrics["counters"]:
        # Of a counter at 0 some runners say None.
        counts[counter.key.metric.name] += counter.result or 0
    return counts
