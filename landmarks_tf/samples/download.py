"""An archive of photos from the network into a folder."""

import shutil
import tempfile
import urllib.error
import warnings
from pathlib import Path

import keras

from landmarks_tf.errors import InvalidInput


def download_photos(url: str, data_dir: Path) -> None:
    """Downloads an archive and unpacks it; a folder around everything is left out.

    Args:
        url: zip or tar archive.
        data_dir: folder to make; appears when everything is unpacked.

    Raises:
        InvalidInput: if the archive cannot be fetched or unpacked, or has a file that
            would lie outside the folder. No files are left behind.
    """
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=data_dir.parent, prefix=".photos_") as scratch:
        try:
            with warnings.catch_warnings():
                # Keras only warns of a path that leads outside, and of a file that is
                # no archive.
                warnings.simplefilter("error", UserWarning)
                options = {"extract": True, "cache_dir": scratch, "cache_subdir": ""}
                folder = Path(keras.utils.get_file("photos", url, **options))
        except Exception as error:  # get_file raises the bare Exception
            reason = error.__context__ if type(error) is Exception else error
            if isinstance(reason, urllib.error.HTTPError):
                reason.close()  # it holds the connection
            raise InvalidInput(
                f"cannot download and unpack {url} ({reason}): check the address and "
                f"try again, or unpack the archive yourself as {data_dir}"
            ) from error
        shutil.rmtree(folder / "__MACOSX", ignore_errors=True)
        tops = list(folder.glob("*"))
        if not tops:
            raise InvalidInput(f"the archive holds no files: {url}")
        is_wrapped = len(tops) == 1 and tops[0].name not in ("train", "test")
        (tops[0] if is_wrapped and tops[0].is_dir() else folder).rename(data_dir)
