"""Tags a large library of photos: landmarks of each, as JSON lines or Parquet.

  python -m pip install -e ".[beam]"
  python scripts/tag_library.py --model=saved_models/mobile --photos=library \
      --output_dir=tags

An Apache Beam pipeline. Here it runs on --num_workers threads; what stands after `--`
is for Beam, whose runners take it elsewhere (docs/tagging.md):

  ... -- --runner=DataflowRunner --project=... --region=... --temp_location=gs://...

--output_dir gets `tags-00000-of-00001.jsonl` (or `.parquet`), with what
`predict.py --output=json` prints, and `bad-00000-of-00001.jsonl`, with `photo` and
`error` of those that cannot be read. A job that was killed starts again from the
beginning, in a new or empty --output_dir.

Exit code 0: every photo is in a file; 1: not so, for a reason on stderr.
"""

import contextlib
import io
import logging
import os
import time
from typing import TYPE_CHECKING


from landmarks_tf.commands import cli
from landmarks_tf.errors import InvalidInput
from landmarks_tf.errors import first_line
from landmarks_tf.errors import require_extra

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

FLAGS = cli.Flags()
_MODEL = FLAGS.string(
    "model",
    "A .tflite file with its labels.txt beside it, or a run folder, whose float32 file "
    "is taken if it is there.",
    required=True,
)
_PHOTOS = FLAGS.string(
    "photos",
    "Folder, searched recursively, or pattern of the photos; also gs://... and what "
    "else Beam reads.",
    required=True,
)
_OUTPUT_DIR = FLAGS.string(
    "output_dir", "Folder for the tags, new or empty; also gs://...", required=True
)
_OUTPUT = FLAGS.enum("output", "Form of the tags.", "jsonl", ["jsonl", "parquet"])
_TOP_K = FLAGS.integer("top_k", "Landmarks to name.", 3, lower_bound=1)
_NUM_WORKERS = FLAGS.integer(
    "num_workers",
    "Threads that decode and predict on this machine; of no effect with a --runner.",
    os.cpu_count() or 1,
    lower_bound=1,
)


def main(arguments: list[str]) -> None:
    cli.refuse_arguments([x for x in arguments[:1] if not x.startswith("-")])
    begin = time.monotonic()
    # Beam warns of clients of clouds that nobody asked for, and repeats each error.
    logging.getLogger().setLevel(logging.CRITICAL)
    require_extra("apache_beam", "beam", "tag_library.py")
    import apache_beam as beam

    from landmarks_tf.inference import beam as tagging

    options, is_here = make_options(arguments)
    try:
        model = tagging.find_model(_MODEL.value)
        pattern = tagging.find_photos(_PHOTOS.value)
        tagging.require_empty(_OUTPUT_DIR.value)
        pipeline = beam.Pipeline(options=options)
    except ValueError as error:  # Beam does not know the scheme or the runner
        raise InvalidInput(first_line(error)) from error
    # Elsewhere there is a process for each core, as a rule.
    num_cores = _NUM_WORKERS.value if is_here else 1
    handler = tagging.LandmarkHandler(model, _TOP_K.value, num_cores)
    handler.load_model()  # a worker would tell what is wrong with it too late
    if not is_here:  # Beam's log tells where the job can be seen
        logging.getLogger().setLevel(logging.INFO)
    counts = tagging.tag(pipeline, pattern, handler, _OUTPUT_DIR.value, _OUTPUT.value)
    seconds = time.monotonic() - begin
    print(
        f"{_OUTPUT_DIR.value}: {counts[tagging.TAGS]} photos tagged and "
        f"{counts[tagging.BAD]} bad; {seconds:.1f} s, "
        f"{sum(counts.values()) / seconds:.1f} photos a second"
    )


def make_options(arguments: list[str]) -> tuple["PipelineOptions", bool]:
    """Returns the pipeline's options, and whether it runs on this machine."""
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.options.pipeline_options import StandardOptions

    options = PipelineOptions(arguments)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            given = options.get_all_options(retain_unknown_options=True)
    except SystemExit as error:  # argparse's way, after the usage of all options
        *_, reason = said.getvalue().splitlines()
        reason = reason.partition("error: ")[2]
        raise InvalidInput(f"Beam's options: {reason}") from error
    if options.view_as(StandardOptions).runner:
        return options, False
    unknown = given.keys() - PipelineOptions([]).get_all_options().keys()
    if unknown:
        raise InvalidInput(f"Beam has no such options: {' '.join(sorted(unknown))}")
    # Not `DirectRunner`: Beam 2.77 tries Prism first, which it downloads.
    return PipelineOptions(["--runner=FnApiRunner", *arguments]), True


COMMAND = cli.Command(main, FLAGS, __doc__)
