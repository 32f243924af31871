"""The photos of a library and the model that tags them, wherever they are stored.

A path with a scheme, such as `gs://bucket/photos`, is read through Apache Beam's file
systems; any other is a local one, as `photo_input` takes it. No TensorFlow.
"""

import glob
import hashlib
import json
import posixpath
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import IO
from typing import cast

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from landmarks_tf import photo_input
from landmarks_tf import run_folder
from landmarks_tf.catalog import is_photo_name
from landmarks_tf.classifier import Classifier
from landmarks_tf.errors import InvalidInput
from landmarks_tf.errors import first_line

_SUFFIX = ".tflite"
_TFLITE = [name for name in run_folder.EXPORTS.values() if name.endswith(_SUFFIX)]


class RemotePhoto:
    """An open file, as `photo_input.open_photo` takes one, that is read when asked.

    Attributes:
        name: its path.
    """

    def __init__(self, path: str) -> None:
        self.name = path

    def read(self) -> bytes:
        """Returns the bytes of the photo.

        Raises:
            InvalidInput: if there is no such file. Any other failure is its store's,
                for the runner to try again, and not the photo's.
        """
        try:
            with FileSystems.open(self.name) as file:
                return file.read()
        except Exception:
            if FileSystems.exists(self.name):
                raise
            raise InvalidInput("no such file") from None


def is_remote(path: str) -> bool:
    """Returns whether a path has a scheme, as `gs://bucket/photos` has."""
    return FileSystems.get_scheme(path) is not None


def list_photos(named: str) -> list[str]:
    """Returns the paths of a library's photos, sorted within each folder.

    Args:
        named: a folder, searched recursively, or a pattern such as `2025/**/*.jpg`.

    Raises:
        InvalidInput: if there are none.
    """
    if not is_remote(named):
        if not Path(named).exists() and not glob.has_magic(named):
            raise InvalidInput(f"no such file or folder: photos={named}")
        return [str(path) for path in photo_input.find_photos([named])]
    pattern = named if glob.has_magic(named) else posixpath.join(named, "**")
    try:
        (match,) = FileSystems.match([pattern])
    except (BeamIOError, ValueError) as error:  # ValueError: a scheme nobody knows
        raise InvalidInput(f"`photos`: {first_line(error)}") from error
    paths = [metadata.path for metadata in match.metadata_list]
    photos = sorted(path for path in paths if is_photo_name(posixpath.basename(path)))
    if not photos:
        raise InvalidInput(f"no photos fit photos={named}")
    return photos


def open_photo(path: str) -> Path | IO[bytes]:
    """Returns a photo of the library as `Classifier.stream_landmarks` takes it."""
    # It has what is used of a file.
    return cast(IO[bytes], RemotePhoto(path)) if is_remote(path) else Path(path)


def find_model(model: str) -> str:
    """Returns the path of a TFLite file.

    Args:
        model: it, or a run folder, whose float32 file is taken, or else a smaller one.

    Raises:
        InvalidInput: if there is none.
    """
    if not is_remote(model) and not Path(model).exists():
        raise InvalidInput(f"no such file or folder: model={model}")
    is_file = model.endswith(_SUFFIX)
    try:
        paths = [model] if is_file else [FileSystems.join(model, n) for n in _TFLITE]
        for path in paths:
            if FileSystems.exists(path):
                return path
    except (BeamIOError, ValueError) as error:
        raise InvalidInput(f"`model`: {first_line(error)}") from error
    raise InvalidInput(
        "`model` must be a .tflite file or a run folder that holds one, which "
        f"scripts/export.py writes. Received: model={model}"
    )


class LocalModel:
    """A TFLite file and what belongs to it, on this machine while this object lives.

    Args:
        path: of `find_model`.

    Attributes:
        path: of the file, its `labels.txt` and `metrics.json` beside it.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        if not is_remote(path):
            return
        place = tempfile.mkdtemp()
        weakref.finalize(self, shutil.rmtree, place, ignore_errors=True)
        folder, name = FileSystems.split(path)
        self.path = Path(place, name)
        for part in (name, run_folder.LABELS, run_folder.METRICS):
            source = FileSystems.join(folder, part)
            if FileSystems.exists(source):
                with FileSystems.open(source) as file:
                    self.path.with_name(part).write_bytes(file.read())

    def fingerprint(self, classifier: Classifier) -> str:
        """Returns the file's name and a hash of all that its answers depend on.

        Args:
            classifier: that was loaded from it.
        """
        rest = json.dumps([classifier.class_names, classifier.threshold])
        digest = hashlib.sha256(self.path.read_bytes() + rest.encode()).hexdigest()
        return f"{self.path.name} ({digest[:16]})"
