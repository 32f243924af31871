"""What a frozen backbone sees in photos, computed once, kept, and trained on.

Owns the memory of features, keyed by all that they depend on, and their datasets. Does
not own the backbone (`transfer`) nor the reading of photos (`pipeline`).
"""

import contextlib
import hashlib
import inspect
import os
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from landmarks_tf.config import TrainConfig
from landmarks_tf.data import augment
from landmarks_tf.data import cache
from landmarks_tf.data import pipeline
from landmarks_tf.data import tf_image
from landmarks_tf.models import transfer

_SCHEMA = "features (key BLOB PRIMARY KEY, vector BLOB)"


def extract_features(
    extractor: keras.Model,
    contents: Sequence[str],
    make_images: Callable[[list[int]], Iterable[tuple[tf.Tensor, tf.Tensor]]],
    database: Path | None = None,
    progress: Callable[[int], object] = lambda num_photos: None,
) -> np.ndarray:
    """Passes each photo through a network once, or takes what an earlier run kept.

    Args:
        extractor: from images to features `[batch, num_features]`.
        contents: for each photo a hash of its bytes.
        make_images: from the indices of photos to batches of the contract's images, in
            the same order, each with something else.
        database: file of the memory; default: in the user's cache folder.
        progress: called with the number of photos that were just done.

    Returns:
        float32 `[num_photos, num_features]`, in the order of `contents`.
    """
    digest = digest_extractor(extractor)
    keys = [hashlib.sha256(digest + c.encode()).digest() for c in contents]
    vectors: dict[bytes, bytes] = {}
    database = database or cache.cache_dir() / "features.sqlite"
    with contextlib.closing(cache.connect(database, _SCHEMA)) as table:
        for key in keys:
            query = "SELECT vector FROM features WHERE key = ?"
            if row := cache.look_up(table, query, (key,)):
                vectors[key] = row[0]
        missing = [index for index, key in enumerate(keys) if key not in vectors]
        progress(len(keys) - len(missing))
        rows = _compute(
            extractor, make_images, [keys[index] for index in missing], missing
        )
        for batch in rows:
            cache.remember(table, "features", batch)
            vectors.update(batch)
            progress(len(batch))
    flat = b"".join(vectors[key] for key in keys)
    return np.frombuffer(flat, np.float32).reshape(len(keys), -1)


def digest_extractor(extractor: keras.Model) -> bytes:
    """Returns a digest of all that features depend on besides a photo's bytes.

    These are the network's name and input, each of its weights, the code that builds
    it and that which prepares its images, and the versions of the libraries below.
    """
    digest = hashlib.sha256()
    # oneDNN computes the same in another order.
    onednn = os.environ.get("TF_ENABLE_ONEDNN_OPTS")
    versions = keras.__version__, tf.__version__
    facts = [extractor.name, extractor.input_shape, versions, onednn]
    digest.update(repr(facts).encode())
    for source in (transfer, tf_image, augment):
        digest.update(inspect.getsource(source).encode())
    for weight in extractor.weights:
        digest.update(f"{weight.shape} {weight.dtype}".encode())
        digest.update(np.asarray(weight).tobytes())
    return digest.digest()


def make_feature_dataset(
    features: np.ndarray, labels: Sequence[int], batch_size: int
) -> tf.data.Dataset:
    """Returns the features of photos with their labels in order, for evaluation.

    Args:
        features: float32 `[num_photos, num_features]`.
        labels: of the photos.
        batch_size: photos a batch.

    Returns:
        batches of (features float32 `[batch, num_features]`, labels int32 `[batch]`).
    """
    return _feature_examples(features, labels).batch(batch_size)


def make_feature_training_dataset(
    features: np.ndarray,
    labels: Sequence[int],
    config: TrainConfig,
    initial_epoch: int = 0,
) -> tf.data.Dataset:
    """Returns epochs as `pipeline.make_training_dataset` does, of features.

    Args:
        features: float32 `[num_photos, num_features]`.
        labels: of the photos.
        config: of the run.
        initial_epoch: the first to come.
    """
    examples = _feature_examples(features, labels)

    def load(shuffled: tf.data.Dataset, epoch: tf.Tensor, size: int) -> tf.data.Dataset:
        del epoch, size
        return shuffled.map(lambda place, example: example).batch(config.batch_size)

    return pipeline.chain_epochs(examples, load, config, initial_epoch)


def _compute(
    extractor: keras.Model,
    make_images: Callable[[list[int]], Iterable[tuple[tf.Tensor, tf.Tensor]]],
    keys: Sequence[bytes],
    indices: list[int],
) -> Iterator[list[tuple[bytes, bytes]]]:
    """Yields for each batch its keys with their vectors."""
    if not indices:
        return
    left = iter(keys)
    for images, _ in make_images(indices):
        vectors = extractor.predict_on_batch(images).astype(np.float32)
        yield [(next(left), vector.tobytes()) for vector in vectors]


def _feature_examples(features: np.ndarray, labels: Sequence[int]) -> tf.data.Dataset:
    slices = (features, tf.constant(labels, tf.int32))
    return tf.data.Dataset.from_tensor_slices(slices)
