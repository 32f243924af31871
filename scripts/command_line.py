"""What every script does alike: quiet TensorFlow, one line for an error, run.flags."""

import contextlib
import io
import itertools
import os
import sys
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import tqdm
from absl import app
from absl import flags

from landmarks_tf import catalog
from landmarks_tf import data_check
from landmarks_tf import data_report
from landmarks_tf import inspection
from landmarks_tf import run_folder
from landmarks_tf import split
from landmarks_tf.catalog import Catalog
from landmarks_tf.data_check import MIN_SIDE
from landmarks_tf.data_check import Finding
from landmarks_tf.errors import InvalidInput
from landmarks_tf.inspection import Inspection
from landmarks_tf.preprocessing import MAX_PIXELS

_NOT_RECORDED = ("resume", "overwrite")
# Of very many photos left out; split.json names them all.
_MAX_NAMED = 100


def run(main: Callable[[list[str]], int | None], error_code: int = 1) -> None:
    """Runs a script: parses flags, calls main, ends with its exit code.

    What a user can put right, and what the system refuses (OSError), ends with one line
    and `error_code`; anything else is a defect and keeps its traceback.
    """

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # odd file names print too

    def fail(message: str) -> NoReturn:
        print(message, file=sys.stderr)
        sys.exit(error_code)

    def parse(arguments: list[str]) -> list[str]:
        try:
            return flags.FLAGS(arguments)
        except flags.Error as error:
            fail(f"error: {error} (--help explains the flags)")

    def guarded(arguments: list[str]) -> None:
        try:
            exit_code = main(arguments[1:])
        except (InvalidInput, OSError) as error:
            fail(f"error: {error}")
        except KeyboardInterrupt:
            fail("interrupted")
        sys.exit(exit_code)

    app.run(guarded, flags_parser=parse)


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Swallows what native code writes to stderr; Python's exceptions still come out.

    TensorFlow 2.21 writes notes about absent GPUs at import and about each damaged
    photo, whatever TF_CPP_MIN_LOG_LEVEL says.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def load_tensorflow() -> None:
    """Imports TensorFlow and finds its devices, without their notes.

    Called late: it takes seconds, and a wrong flag should not cost a user them.
    """
    with quiet_stderr():
        import tensorflow as tf

        tf.config.list_logical_devices()


def refuse_arguments(arguments: list[str]) -> None:
    """Raises InvalidInput for words that are no flags, such as `epochs=3`."""
    if arguments:
        raise InvalidInput(f"flags start with --. Received: {' '.join(arguments)}")


def write_flags(path: Path, **recorded: str) -> None:
    """Writes the script's own flags as a flagfile.

    Args:
        path: the file.
        recorded: values to write in place of some flags' own; these are not compared.

    Raises:
        InvalidInput: if one is there already, of a run that is resumed, and differs.
    """
    own = flags.FLAGS.get_key_flags_for_module(sys.argv[0])
    written = [flag for flag in own if flag.name not in (*_NOT_RECORDED, *recorded)]
    lines = sorted(filter(None, (flag.serialize() for flag in written)))
    replaced = [f"--{name}={value}" for name, value in recorded.items()]
    if path.exists():
        previous = set(path.read_text(encoding="utf-8").splitlines()) - set(replaced)
        for line in sorted(set(lines) ^ previous):
            raise InvalidInput(
                f"the run to resume was started with other flags: {line} is only in "
                f"{'this command' if line in lines else path}"
            )
    path.write_text("\n".join([*lines, *replaced, ""]), encoding="utf-8")


def inspect(photos: Catalog, max_pixels: int = MAX_PIXELS) -> dict[str, Inspection]:
    """Reads every photo, or remembers it, with a progress bar on a terminal."""
    paths = [photo.path for photo in photos.all_photos()]
    inspections = tqdm.tqdm(
        inspection.inspect_photos(photos.data_dir, paths, max_pixels),
        desc="reading photos",
        total=len(paths),
        unit="photo",
        leave=False,
        disable=None,  # where stderr is no terminal
    )
    return dict(zip(paths, inspections))


def skip_unreadable(
    photos: Catalog, inspections: Mapping[str, Inspection]
) -> tuple[Catalog, dict[str, str]]:
    """Names the photos that cannot be decoded, and leaves them out.

    Returns:
        the rest, and the reason by relative path of those left out.
    """
    from landmarks_tf import pipeline

    skipped = {path: i.problem for path, i in inspections.items() if i.problem}
    with quiet_stderr():
        # What Pillow can decode, TensorFlow must too, or training ends at that photo.
        skipped |= pipeline.find_unreadable(photos.without(skipped))
    print_skipped(photos, skipped, "that cannot be read")
    return photos.without(skipped), skipped


def print_skipped(photos: Catalog, skipped: Mapping[str, str], which: str) -> None:
    """Names photos that are left out, the first of very many, and counts them."""
    for path, reason in itertools.islice(skipped.items(), _MAX_NAMED):
        print(f"skipped {photos.data_dir / path}: {reason}", file=sys.stderr)
    if skipped:
        print(f"skipped {len(skipped)} photos {which}", file=sys.stderr)


def check(
    data_dir: Path,
    output_dir: Path,
    split_path: Path | None = None,
    max_pixels: int = MAX_PIXELS,
    min_side: int = MIN_SIDE,
) -> list[Finding]:
    """Checks a data folder, writes data_report.html and .json and prints a summary."""
    listing, folder_problems = catalog.list_data_dir(data_dir)
    if split_path:
        listing = split.apply_split(split_path, listing)
    inspections = inspect(listing, max_pixels)
    files = [path for path in listing.visible_ignored() if not path.endswith("/")]
    others = dict(zip(files, inspection.inspect_photos(data_dir, files)))
    findings = data_check.check_data(
        listing, folder_problems, inspections, others, min_side
    )
    num_read = sum(not found.problem for found in inspections.values())
    output_dir.mkdir(parents=True, exist_ok=True)
    page = output_dir / "data_report.html"
    with run_folder.replacing(page) as path:
        data_report.write_html(path, listing, inspections, findings)
    with run_folder.replacing(output_dir / "data_report.json") as path:
        data_report.write_json(path, listing, num_read, findings)
    num_classes, num_photos = len(listing.class_names), len(inspections)
    print(f"{num_classes} classes, {num_photos} photos, {num_read} readable")
    print_findings(findings)
    print(f"report: {page}")
    return findings


def print_findings(findings: Sequence[Finding]) -> None:
    """Prints a line for each kind of finding, with its first one."""
    counts = Counter(finding.kind for finding in findings)
    firsts = {finding.kind: finding for finding in reversed(findings)}
    for kind, title in (data_check.PROBLEMS | data_check.NOTES).items():
        if counts[kind]:
            first = " ".join([*firsts[kind].paths[:2], firsts[kind].text])
            print(f"  {counts[kind]:5}  {title}, the first: {first}")
    if not any(finding.is_problem for finding in findings):
        print("no problems")


def verbosity() -> int:
    """Returns Keras's `verbose`: a moving bar on a terminal, lines in a log."""
    return 1 if sys.stdout.isatty() else 2


def print_landmarks(photo: Path, landmarks: Iterable[tuple[str, float]]) -> None:
    """Prints the answer for one photo."""
    print(photo)
    for class_name, probability in landmarks:
        print(f"  {probability:6.1%}  {class_name}")
