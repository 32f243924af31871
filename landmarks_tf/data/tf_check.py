"""Which photos TensorFlow cannot decode, though Pillow may. Owns that one question."""

import tensorflow as tf

from landmarks_tf.data import tf_image
from landmarks_tf.data.cache import Passing
from landmarks_tf.data.cache import map_files
from landmarks_tf.data.photo import unreadable_reason
from landmarks_tf.data.photo_set import PhotoSet


def find_unreadable(photos: PhotoSet) -> dict[str, str]:
    """Decodes every photo as training will, in parallel, or remembers it.

    Returns:
        for each photo that cannot be decoded, the reason in a few words by its
        relative path, in the catalog's order.
    """
    # As a graph: step by step in Python, this takes ten times as long.
    decode = tf.function(
        tf_image.decode, input_signature=[tf.TensorSpec([], tf.string)]
    )

    def find_reason(path: str) -> str:
        try:
            with open(path, "rb") as file:
                decode(file.read())
        except OSError as error:
            return Passing(error.strerror or error)
        except tf.errors.InvalidArgumentError:
            # Pillow knows the words for it.
            reason = unreadable_reason(path)
            return reason or "TensorFlow cannot decode it"
        return ""

    names = [photo.path for photo in photos.all_photos()]
    files = [str(photos.data_dir / name) for name in names]
    question = f"decode 1, TensorFlow {tf.__version__}"
    reasons = map_files(find_reason, files, question)
    return {name: reason for name, reason in zip(names, reasons) if reason}
