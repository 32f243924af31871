"""Checks a folder of photos before training, and writes a report with pictures.

  python scripts/check_data.py --data_dir=photos

Exit code 0: nothing to put right; 1: problems, see data_report.html; 2: not checked.
"""

from collections import Counter
from pathlib import Path

from landmarks_tf.commands import cli
from landmarks_tf.data import audit
from landmarks_tf.evaluation.data_report import audit_folder
from landmarks_tf.names import printable

FLAGS = cli.Flags()
_DATA_DIR = FLAGS.string(
    "data_dir",
    "Folder with train/ and test/, or with the class folders themselves.",
    required=True,
)
_OUTPUT_DIR = FLAGS.string(
    "output_dir", "Where data_report.html and data_report.json are written.", "."
)
_SPLIT_FILE = FLAGS.string(
    "split_file",
    "split.json of a run: pictures must not be shared between its three splits.",
)
_MIN_SIDE = FLAGS.integer(
    "min_side", "A photo with a shorter side, in pixels, is a problem.", audit.MIN_SIDE
)


def main(arguments: list[str]) -> int:
    cli.refuse_arguments(arguments)
    found = audit_folder(
        Path(_DATA_DIR.value),
        Path(_OUTPUT_DIR.value),
        Path(_SPLIT_FILE.value) if _SPLIT_FILE.value else None,
        _MIN_SIDE.value,
        cli.Console(),
    )
    return show(found)


def show(found: audit.Audit) -> int:
    """Prints a line for each kind of finding, with its first; returns the exit code."""
    photos = f"{found.num_photos} photos, {found.num_readable} readable"
    print(f"{found.num_classes} classes, {photos}")
    counts = Counter(finding.kind for finding in found.findings)
    firsts = {finding.kind: finding for finding in reversed(found.findings)}
    for kind, title in (audit.PROBLEMS | audit.NOTES).items():
        if counts[kind]:
            first = " ".join([*firsts[kind].paths[:2], firsts[kind].text])
            print(f"  {counts[kind]:5}  {title}, the first: {printable(first)}")
    has_problem = any(finding.is_problem for finding in found.findings)
    if not has_problem:
        print("no problems")
    print(f"report: {found.page}")
    return int(has_problem)


COMMAND = cli.Command(main, FLAGS, __doc__, error_code=2)
