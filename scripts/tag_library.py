"""Tags a large library of photos: landmarks of each, as JSON lines or Parquet.

  python -m pip install -e ".[beam]"
  python scripts/tag_library.py --model=saved_models/mobile --photos=library \
      --output_dir=tags

An Apache Beam pipeline. Here it runs in --num_workers processes; what stands after `--`
is for Beam, whose runners take it elsewhere (docs/tagging.md):

  ... -- --runner=DataflowRunner --project=... --region=... --temp_location=gs://...

--output_dir gets `tags-00003-of-00012.jsonl` (or `.parquet`) for each shard of the
library, with what `predict.py --output=json` prints, and `bad-00003-of-00012.jsonl`
with `photo` and `error` of those that cannot be read. The same command goes on where
an earlier one was stopped, and repeats no shard whose files are there. A local folder
takes one job at a time.

Exit code 0: every photo is in a file; 1: not so, for a reason on stderr.
"""

import contextlib
import functools
import io
import os
import sys
import time
from typing import TYPE_CHECKING

import command_line
import watching
from absl import flags

from landmarks_tf import prediction
from landmarks_tf.errors import InvalidInput

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

_MODEL = flags.DEFINE_string(
    "model",
    None,
    "A .tflite file with its labels.txt beside it, or a run folder, whose float32 file "
    "is taken if it is there.",
    required=True,
)
_PHOTOS = flags.DEFINE_string(
    "photos",
    None,
    "Folder, searched recursively, or pattern of the photos; also gs://... and what "
    "else Beam reads.",
    required=True,
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir",
    None,
    "Folder for the tags, new or of the same job; also gs://...",
    required=True,
)
_OUTPUT = flags.DEFINE_enum(
    "output", "jsonl", ["jsonl", "parquet"], "Form of the tags."
)
_TOP_K = flags.DEFINE_integer("top_k", 3, "Landmarks to name.", lower_bound=1)
_PHOTOS_PER_SHARD = flags.DEFINE_integer(
    "photos_per_shard",
    1000,
    "Photos of an output file: what a job that is stopped loses at most, for each "
    "worker.",
    lower_bound=1,
)
_NUM_WORKERS = flags.DEFINE_integer(
    "num_workers",
    os.cpu_count() or 1,
    "Processes on this machine, which share its cores; of no effect with a --runner.",
    lower_bound=1,
)


def main(arguments: list[str]) -> None:
    command_line.refuse_arguments([x for x in arguments[:1] if not x.startswith("-")])
    begin = time.monotonic()
    try:
        # Beam warns of clients of clouds that nobody asked for.
        with command_line.quiet_stderr():
            from landmarks_tf import library
            from landmarks_tf import tag_folder
            from landmarks_tf import tagging
    except ImportError as error:
        raise InvalidInput(
            f'{error.name} is missing: python -m pip install -e ".[beam]"'
        ) from error
    options, is_here = make_options(arguments)
    model = library.find_model(_MODEL.value)
    photos = library.list_photos(_PHOTOS.value)
    local = library.LocalModel(model)
    with command_line.quiet_stderr():
        classifier = prediction.load_classifier(local.path)
    with tag_folder.hold(_OUTPUT_DIR.value):
        folder = tag_folder.begin(
            _OUTPUT_DIR.value,
            {tag_folder.TAGS: _OUTPUT.value, tag_folder.BAD: "jsonl"},
            {
                "photos": _PHOTOS.value,
                "model": local.fingerprint(classifier),
                "top_k": _TOP_K.value,
                "output": _OUTPUT.value,
            },
            photos,
            _PHOTOS_PER_SHARD.value,
        )
        folder.remove_leftovers()
        if folder.changes:
            print(
                f"note: {folder.changes}; it is tagged as it was then, by another "
                "--output_dir as it is now",
                file=sys.stderr,
            )
        finished = folder.find_finished()
        numbers = [n for n in range(folder.num_shards) if n not in finished]
        # Elsewhere there is a process for each core, as a rule.
        num_cores = (os.cpu_count() or 1) // _NUM_WORKERS.value if is_here else 1
        handler = tagging.LandmarkHandler(
            folder, model, _TOP_K.value, max(num_cores, 1)
        )
        tag_shards = tagging.TagShards(folder, handler, _OUTPUT.value)
        counts = {kind: 0 for kind in folder.suffixes}
        if numbers:
            run = functools.partial(tagging.run, numbers, tag_shards, options)
            counts = watching.watch(run, folder, is_here)
            folder.remove_leftovers()
    seconds = time.monotonic() - begin
    num_photos = sum(counts.values())
    print(
        f"{folder.path}: {counts[tag_folder.TAGS]} photos tagged and "
        f"{counts[tag_folder.BAD]} bad in {len(numbers)} shards, {len(finished)} were "
        f"there already; {seconds:.1f} s, {num_photos / seconds:.1f} photos a second"
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
        raise InvalidInput(
            f"Beam's options: {reason.partition('error: ')[2]}"
        ) from error
    if options.view_as(StandardOptions).runner:
        return options, False
    unknown = given.keys() - PipelineOptions([]).get_all_options().keys()
    if unknown:
        raise InvalidInput(f"Beam has no such options: {' '.join(sorted(unknown))}")
    here = [
        # Not `DirectRunner`: Beam 2.77 tries Prism first, which it downloads.
        "--runner=FnApiRunner",
        "--direct_running_mode=multi_processing",
        f"--direct_num_workers={_NUM_WORKERS.value}",
    ]
    return PipelineOptions([*here, *arguments]), True


if __name__ == "__main__":
    try:
        command_line.run(main)
    except SystemExit as end:
        watching.leave(end)
