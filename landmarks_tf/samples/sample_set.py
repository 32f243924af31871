"""The labelled sample set of invented landmarks: its files and its cache.

Owns the layout, the seeds and the cache folder of a set. Does not own the drawing of a
photo (`picture`) nor how a data folder is read for training.
"""

import hashlib
import os
import pathlib
import random
import tempfile
from concurrent import futures

from landmarks_tf import errors
from landmarks_tf.data import cache
from landmarks_tf.samples import picture


def _write_photo(path: pathlib.Path, class_index: int, seed: int) -> None:
    split = path.parent.parent.name
    # Seeded by text: `random` hashes it alike on every platform and in every process.
    rng = random.Random(f"{seed} {split} {class_index} {path.stem}")
    photo = picture.draw_photo(class_index, rng)
    path.parent.mkdir(parents=True, exist_ok=True)
    photo.save(path, quality=rng.randint(40, 95))


def write_sample_set(
    data_dir: str | os.PathLike,
    num_train: int = 40,
    num_test: int = 10,
    num_classes: int = 50,
    seed: int = 0,
) -> None:
    """Draws a sample set as `data_dir/{train,test}/<class>/000.jpg` and so on.

    The set is drawn in a hidden folder beside `data_dir` and renamed at the end, so
    that `data_dir` is either whole or not there.

    Args:
        data_dir: The folder to make; must not exist yet.
        num_train: Training photos a class.
        num_test: Test photos a class.
        num_classes: How many of `CLASS_NAMES`, from the first.
        seed: An integer; the same seed writes the same bytes.

    Raises:
        InvalidInput: If `data_dir` exists.
    """
    folder = pathlib.Path(data_dir)
    wanted = "a folder that does not exist yet"
    errors.require(not folder.exists(), "data_dir", wanted, repr(str(data_dir)))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".sample_") as scratch:
        whole = pathlib.Path(scratch, folder.name)
        jobs = [
            (whole / split / name / f"{number:03d}.jpg", index, seed)
            for split, count in (("train", num_train), ("test", num_test))
            for index, name in enumerate(picture.CLASS_NAMES[:num_classes])
            for number in range(count)
        ]
        # Threads, not processes: Pillow's resizing and saving release the GIL, and
        # nothing is forked or imported again beside a threaded TensorFlow.
        with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(_write_photo, *zip(*jobs)))
        whole.rename(folder)


def load_sample_set() -> pathlib.Path:
    """Returns the folder of the default sample set, drawn on the first call.

    It is kept in the user's cache folder, see `cache.cache_dir`.

    Returns:
        A folder as `write_sample_set` makes it. Its name carries a digest of the
        drawing code, so changed code draws anew.
    """
    sources = sorted(pathlib.Path(__file__).parent.glob("*.py"))
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources))
    folder = cache.cache_dir() / f"sample_{digest.hexdigest()[:12]}"
    try:
        if not folder.is_dir():
            write_sample_set(folder)
    except (OSError, errors.InvalidInput):
        # Another process may have put the same set there in the meantime.
        if not folder.is_dir():
            raise
    return folder
