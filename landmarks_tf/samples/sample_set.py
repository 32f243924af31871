"""The labelled sample set of invented landmarks: its files and its cache.

Owns the layout, the seeds and the cache folder of a set. Does not own the drawing of a
photo (`sample_photo`) nor how a data folder is read for training.
"""

import hashlib
import os
import pathlib
import random
import tempfile
from concurrent import futures

from landmarks_tf.data import cache
from landmarks_tf.errors import InvalidInput
from landmarks_tf.errors import require
from landmarks_tf.samples.picture import CLASS_NAMES
from landmarks_tf.samples.picture import draw_photo

__all__ = ["CLASS_NAMES", "draw_photo", "load_sample_set", "write_sample_set"]


def _write_photo(path: pathlib.Path, class_index: int, seed: int) -> None:
    split = path.parent.parent.name
    # Seeded by text: `random` hashes it alike on every platform and in every process.
    rng = random.Random(f"{seed} {split} {class_index} {path.stem}")
    photo = draw_photo(class_index, rng)
    path.parent.mkdir(parents=True, exist_ok=True)
    photo.save(path, quality=rng.randint(40, 95))


def _check_count(name: str, value: int, most: int | None = None) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    limit = "" if most is None else f" up to {most}"
    is_allowed = whole and 1 <= value <= (most or value)
    require(is_allowed, name, f"a positive integer{limit}", repr(value))


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
        InvalidInput: If `data_dir` exists or a number is out of range.
    """
    folder = pathlib.Path(data_dir)
    wanted = "a folder that does not exist yet"
    require(not folder.exists(), "data_dir", wanted, repr(str(data_dir)))
    _check_count("num_train", num_train)
    _check_count("num_test", num_test)
    _check_count("num_classes", num_classes, len(CLASS_NAMES))
    require(isinstance(seed, int), "seed", "an integer", repr(seed))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".sample_") as scratch:
        whole = pathlib.Path(scratch, folder.name)
        jobs = [
            (whole / split / name / f"{number:03d}.jpg", index, seed)
            for split, count in (("train", num_train), ("test", num_test))
            for index, name in enumerate(CLASS_NAMES[:num_classes])
            for number in range(count)
        ]
        # Threads, not processes: Pillow's resizing and saving release the GIL, and
        # nothing is forked or imported again beside a threaded TensorFlow.
        with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(_write_photo, *zip(*jobs)))
        whole.rename(folder)


def load_sample_set(
    seed: int = 0, cache_dir: str | os.PathLike | None = None
) -> pathlib.Path:
    """Returns the folder of the default sample set, drawn on the first call.

    Args:
        seed: The set's seed.
        cache_dir: Where sets are kept; `$XDG_CACHE_HOME/landmarks_tf` or else
            `~/.cache/landmarks_tf` if not given.

    Returns:
        A folder as `write_sample_set` makes it. Its name carries a digest of the
        drawing code and the seed, so changed code draws anew.

    Raises:
        InvalidInput: If `seed` is not an integer.
    """
    sources = sorted(pathlib.Path(__file__).parent.glob("*.py"))
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources))
    name = f"sample_{digest.hexdigest()[:12]}_seed{seed}"
    folder = pathlib.Path(cache.cache_dir() if cache_dir is None else cache_dir, name)
    try:
        if not folder.is_dir():
            write_sample_set(folder, seed=seed)
    except (OSError, InvalidInput):
        # Another process may have put the same set there in the meantime.
        if not folder.is_dir():
            raise
    return folder
