"""Which photos TensorFlow cannot decode, though Pillow may. Owns that one question."""

import tensorflow as tf

from landmarks_tf import file_cache
from landmarks_tf import graph_preprocessing
from landmarks_tf import preprocessing
from landmarks_tf.catalog import Catalog


def find_unreadable(photos: Catalog) -> dict[str, str]:
    """Decodes every photo as training will, in parallel, or remembers it.

    Returns:
        for each photo that cannot be decoded, the reason in a few words by its
        relative path, in the catalog's order.
    """
    # As a graph: step by step in Python, this takes ten times as long.
    decode = tf.function(
        graph_preprocessing.decode, input_signature=[tf.TensorSpec([], tf.string)]
    )

    def unreadable_reason(path: str) -> str:
        try:
            with open(path, "rb") as file:
                decode(file.read())
        except OSError as error:
            return file_cache.Passing(error.strerror or error)
        except tf.errors.InvalidArgumentError:
            # Pillow knows the words for it.
            reason = preprocessing.unreadable_reason(path)
            return reason or "TensorFlow cannot decode it"
        return ""

    names = [photo.path for photo in photos.all_photos()]
    files = [str(photos.data_dir / name) for name in names]
    question = f"decode 1, TensorFlow {tf.__version__}"
    reasons = file_cache.map_files(unreadable_reason, files, question)
    return {name: reason for name, reason in zip(names, reasons) if reason}
