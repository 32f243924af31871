"""Decoded, resized photos kept in memory or on disk, so that only one epoch decodes.

Owns the two places, both keyed by a digest of all that a photo's pixels depend on. Does
not know how to decode.
"""

import contextlib
import hashlib
import inspect
import math
import os
import shutil
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from landmarks_tf.data import tf_image
from landmarks_tf.data.cache import file_state
from landmarks_tf.errors import InvalidInput
from landmarks_tf.files import replacing

# What decoded photos may take in memory. More are kept on disk, where memory does not
# grow with their number.
MEMORY_BUDGET_BYTES = 2**30
# Left free on a disk, for checkpoints and what else a run writes.
RESERVE_BYTES = 2**30


class MemoryCache:
    """Keeps images, uint8, by their keys as arrays; called from several threads.

    TensorFlow holds it for good once a dataset has used it: `clear` frees the memory.
    """

    def __init__(self) -> None:
        self._images: dict[str, np.ndarray] = {}

    def fetch(self, key: str) -> np.ndarray | None:
        """Returns all bytes of an image, `[num_bytes]`; None if it is not kept."""
        return self._images.get(key)

    def keep(self, key: str, pixels: np.ndarray) -> None:
        """Keeps an image, `[height, width, 3]`."""
        self._images[key] = pixels.flatten()  # a copy: the other is TensorFlow's

    def clear(self) -> None:
        """Forgets all images."""
        self._images.clear()


class DiskCache:
    """Keeps images as `MemoryCache` does, in files, which outlast the program.

    Attributes:
        folder: of the files; made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder

    def fetch(self, key: str) -> np.ndarray | None:
        try:
            return np.fromfile(self.folder / key, np.uint8)
        except OSError:
            return None

    def keep(self, key: str, pixels: np.ndarray) -> None:
        # A disk that has become full costs time, not the run: it is decoded anew.
        with contextlib.suppress(OSError):
            if shutil.disk_usage(self.folder).free < RESERVE_BYTES:
                return
            with replacing(self.folder / key) as aside:
                pixels.tofile(aside)

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def require_space(self, num_bytes: int) -> None:
        """Raises InvalidInput if the disk cannot hold so much, and the reserve."""
        kept = sum(entry.stat().st_size for entry in os.scandir(self.folder))
        free = shutil.disk_usage(self.folder).free
        if kept + free < num_bytes + RESERVE_BYTES:
            raise InvalidInput(
                f"decoded photos take {num_bytes / 2**30:.1f} GiB and {self.folder} "
                f"has {free / 2**30:.1f} GiB free: free some, or put --output_dir on a "
                "larger disk"
            )


PixelCache = MemoryCache | DiskCache


def choose_cache(
    num_photos: int, image_size: tuple[int, int], folder: Path | None
) -> PixelCache | None:
    """Returns where decoded photos are to be kept; None for nowhere.

    Args:
        num_photos: how many there are.
        image_size: (height, width) in pixels.
        folder: where to keep them on disk; None for not to keep them there.

    Raises:
        InvalidInput: if the disk is too small.
    """
    num_bytes = num_photos * math.prod(image_size) * 3
    if num_bytes <= MEMORY_BUDGET_BYTES:
        return MemoryCache()
    if folder is None:
        return None
    cache = DiskCache(folder)
    cache.require_space(num_bytes)
    return cache


def name_keys(paths: Sequence[str], image_size: tuple[int, int]) -> list[str]:
    """Returns what each photo's pixels are kept by.

    The key holds the photo's path, size and times, the image size, the code that
    prepares images and the version of TensorFlow: if one of them changes, nothing is
    found.
    """
    facts = inspect.getsource(tf_image), image_size, tf.__version__
    common = hashlib.sha256(repr(facts).encode())
    keys = []
    for path in paths:
        digest = common.copy()
        place = os.path.abspath(os.fsencode(path))
        digest.update(place + b"\0" + file_state(path).encode())
        keys.append(digest.hexdigest()[:32])
    return keys


def load_or_keep(
    cache: PixelCache,
    key: tf.Tensor,
    decode: Callable[[], tf.Tensor],
    image_size: tuple[int, int],
) -> tf.Tensor:
    """Returns a photo's pixels from a cache, or decodes and keeps them.

    Args:
        cache: where they are.
        key: scalar string, of `name_keys`.
        decode: makes uint8 `[height, width, 3]`.
        image_size: (height, width) in pixels.
    """
    shape = (*image_size, 3)
    nothing = np.empty(0, np.uint8)

    # Plain Python: converted for graphs, it would take longer than what it does.
    @tf.autograph.experimental.do_not_convert
    def fetch(key: bytes) -> np.ndarray:
        flat = cache.fetch(key.decode())
        # What was cut short is not taken.
        return flat if flat is not None and flat.size == math.prod(shape) else nothing

    @tf.autograph.experimental.do_not_convert
    def keep(key: bytes, pixels: np.ndarray) -> np.ndarray:
        cache.keep(key.decode(), pixels)
        return pixels

    @tf_image.apart
    def decode_and_keep(key: tf.Tensor) -> tf.Tensor:
        pixels = tf.numpy_function(keep, [key, decode()], tf.uint8)
        return tf.ensure_shape(pixels, shape)

    flat = tf.ensure_shape(tf.numpy_function(fetch, [key], tf.uint8), (None,))
    return tf.cond(
        tf.size(flat) > 0, lambda: tf.reshape(flat, shape), lambda: decode_and_keep(key)
    )
