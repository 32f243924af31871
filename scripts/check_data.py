"""Checks a folder of photos before training, and writes a report with pictures.

  python scripts/check_data.py --data_dir=photos

Exit code 0: nothing to put right; 1: problems, see data_report.html; 2: not checked.
"""

from pathlib import Path

import checking
import command_line
from absl import flags

from landmarks_tf import quarantine
from landmarks_tf.data_check import MIN_SIDE
from landmarks_tf.errors import InvalidInput
from landmarks_tf.preprocessing import MAX_PIXELS

_DATA_DIR = flags.DEFINE_string(
    "data_dir",
    None,
    "Folder with train/ and test/, or with the class folders themselves.",
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", ".", "Where data_report.html and data_report.json are written."
)
_SPLIT_FILE = flags.DEFINE_string(
    "split_file",
    None,
    "split.json of a run: pictures must not be shared between its three splits.",
)
_MAX_PIXELS = flags.DEFINE_integer(
    "max_pixels",
    MAX_PIXELS,
    "A photo of more pixels is not decoded.",
    lower_bound=1,
    upper_bound=MAX_PIXELS,
)
_MIN_SIDE = flags.DEFINE_integer(
    "min_side", MIN_SIDE, "A photo with a shorter side, in pixels, is a problem."
)
_QUARANTINE = flags.DEFINE_string(
    "quarantine", None, "Folder to move the files to that cannot be read."
)
_RESTORE = flags.DEFINE_bool(
    "restore", False, "Move the files of --quarantine back, and check nothing."
)


def main(arguments: list[str]) -> int:
    command_line.refuse_arguments(arguments)
    if _RESTORE.value:
        if not _QUARANTINE.value:
            raise InvalidInput("--restore wants --quarantine=FOLDER")
        home = Path(_DATA_DIR.value) if _DATA_DIR.value else None
        count = quarantine.restore(Path(_QUARANTINE.value), home)
        print(f"{count} files moved back from {_QUARANTINE.value}")
        return 0
    if not _DATA_DIR.value:
        raise InvalidInput("--data_dir=FOLDER is missing")
    if _QUARANTINE.value:
        quarantine.require_apart(Path(_DATA_DIR.value), Path(_QUARANTINE.value))
    findings = checking.check(
        Path(_DATA_DIR.value),
        Path(_OUTPUT_DIR.value),
        Path(_SPLIT_FILE.value) if _SPLIT_FILE.value else None,
        _MAX_PIXELS.value,
        _MIN_SIDE.value,
    )
    if _QUARANTINE.value:
        unreadable = {
            path: finding.text
            for finding in findings
            if finding.kind == "unreadable"
            for path in finding.paths
        }
        folder = Path(_QUARANTINE.value)
        count = quarantine.move_aside(Path(_DATA_DIR.value), unreadable, folder)
        print(f"{count} files moved to {folder}; --restore moves them back")
    return int(any(finding.is_problem for finding in findings))


if __name__ == "__main__":
    command_line.run(main, error_code=2)
