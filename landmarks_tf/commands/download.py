"""Fetches the 50-class subset of Google Landmarks v2, or another archive of photos.

  python scripts/download_data.py --data_dir=photos

Ends with the summary of check_data.py; exit code 0: nothing to put right; 1: problems;
2: not downloaded.
"""

from pathlib import Path


from landmarks_tf.commands import check
from landmarks_tf.commands import cli
from landmarks_tf.data import photo_set
from landmarks_tf.errors import InvalidInput
from landmarks_tf.evaluation.data_report import audit_folder

FLAGS = cli.Flags()
_DATA_DIR = FLAGS.string(
    "data_dir", "Folder to make, with train/ and test/.", required=True
)
_URL = FLAGS.string(
    "url",
    "Zip or tar archive of a folder with train/ and test/, or with class folders.",
    "https://udacity-dlnfd.s3-us-west-1.amazonaws.com/datasets/landmark_images.zip",
)
_OUTPUT_DIR = FLAGS.string(
    "output_dir", "Where data_report.html and data_report.json are written.", "."
)


def main(arguments: list[str]) -> int:
    cli.refuse_arguments(arguments)
    data_dir = Path(_DATA_DIR.value).resolve()
    if not data_dir.exists() or (data_dir.is_dir() and not any(data_dir.iterdir())):
        from landmarks_tf.samples import download

        download.download_photos(_URL.value, data_dir)
    elif data_dir.is_dir() and photo_set.list_data_dir(data_dir)[0].all_photos():
        print(f"{data_dir} is there already: nothing to download")
    else:
        raise InvalidInput(f"{data_dir} is something else: choose another name")
    found = audit_folder(data_dir, Path(_OUTPUT_DIR.value), progress=cli.Console())
    return check.show(found)


COMMAND = cli.Command(main, FLAGS, __doc__, error_code=2)
