"""Checks a folder of photos before training, and writes a report with pictures.

  python scripts/check_data.py --data_dir=photos

Exit code 0: nothing to put right; 1: problems, see data_report.html; 2: not checked.
"""

from pathlib import Path

import checking
import command_line
from absl import flags

from landmarks_tf.data.audit import MIN_SIDE
from landmarks_tf.data.photo import MAX_PIXELS

_DATA_DIR = flags.DEFINE_string(
    "data_dir",
    None,
    "Folder with train/ and test/, or with the class folders themselves.",
    required=True,
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


def main(arguments: list[str]) -> int:
    command_line.refuse_arguments(arguments)
    findings = checking.check(
        Path(_DATA_DIR.value),
        Path(_OUTPUT_DIR.value),
        Path(_SPLIT_FILE.value) if _SPLIT_FILE.value else None,
        _MAX_PIXELS.value,
        _MIN_SIDE.value,
    )
    return int(any(finding.is_problem for finding in findings))


if __name__ == "__main__":
    command_line.run(main, error_code=2)
