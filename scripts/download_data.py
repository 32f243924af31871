"""Fetches the 50-class subset of Google Landmarks v2, or another zip of photos.

  python scripts/download_data.py --data_dir=photos

A broken download goes on with the same command. Ends with the summary of check_data.py;
exit code 0: nothing to put right; 1: problems; 2: not downloaded.
"""

from pathlib import Path

import checking
import command_line
import tqdm
from absl import flags

from landmarks_tf import catalog
from landmarks_tf import download
from landmarks_tf.errors import InvalidInput

_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder to make, with train/ and test/.", required=True
)
_URL = flags.DEFINE_string(
    "url",
    "https://udacity-dlnfd.s3-us-west-1.amazonaws.com/datasets/landmark_images.zip",
    "Zip archive of a folder with train/ and test/, or with class folders.",
)
_MAX_BYTES = flags.DEFINE_integer(
    "max_bytes", 20 * 10**9, "Unpack no more than so many bytes.", lower_bound=1
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", ".", "Where data_report.html and data_report.json are written."
)


def main(arguments: list[str]) -> int:
    command_line.refuse_arguments(arguments)
    data_dir = Path(_DATA_DIR.value).resolve()
    if not data_dir.exists() or (data_dir.is_dir() and not any(data_dir.iterdir())):
        fetch_and_unpack(data_dir)
    elif data_dir.is_dir() and catalog.list_data_dir(data_dir)[0].all_photos():
        print(f"{data_dir} is there already: nothing to download")
    else:
        raise InvalidInput(f"{data_dir} is something else: choose another name")
    findings = checking.check(data_dir, Path(_OUTPUT_DIR.value))
    return int(any(finding.is_problem for finding in findings))


def fetch_and_unpack(data_dir: Path) -> None:
    """Downloads the archive beside the folder, unpacks it and deletes it."""
    archive = data_dir.with_name(f".{data_dir.name}.download")
    archive.parent.mkdir(parents=True, exist_ok=True)
    with progress_bar("downloading") as bar:
        download.fetch(_URL.value, archive, lambda *state: move(bar, *state))
    try:
        with progress_bar("unpacking") as bar:
            download.unpack(
                archive, data_dir, _MAX_BYTES.value, lambda *state: move(bar, *state)
            )
    except download.BadArchive:
        download.delete(archive)  # the same command fetches it anew
        raise
    download.delete(archive)


def progress_bar(name: str) -> tqdm.tqdm:
    """Returns a bar of bytes; none where stderr is no terminal."""
    return tqdm.tqdm(
        desc=name, unit="B", unit_scale=True, unit_divisor=1024, disable=None
    )


def move(bar: tqdm.tqdm, done: int, total: int) -> None:
    """Moves a bar to where the work is."""
    bar.total = total or None
    bar.update(done - bar.n)


if __name__ == "__main__":
    command_line.run(main, error_code=2)
