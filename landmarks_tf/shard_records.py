"""What a shard is made of: records, each a photo with its label and path.

Owns their format, written and read. Knows no set and no manifest (`shard_reading`).
"""

import os

import tensorflow as tf
from google.protobuf.message import DecodeError

_FEATURES = {
    "photo": tf.io.FixedLenFeature([], tf.string),
    "label": tf.io.FixedLenFeature([], tf.int64),
    "path": tf.io.FixedLenFeature([], tf.string),
}
# Read in turn, so that photos meet others than those of their shard.
_NUM_OPEN = 8
# Records taken from one before the next has its turn.
_NUM_IN_TURN = 16
# Read ahead in each open file: a request to a remote one takes as long as this.
_BUFFER_BYTES = 2**20


def make_record(contents: bytes, label: int, path: str) -> bytes:
    """Returns a photo as a record: a `tf.train.Example` of photo, label and path."""
    values = {
        "photo": tf.train.Feature(bytes_list=tf.train.BytesList(value=[contents])),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
        # As bytes: file names need not be UTF-8.
        "path": tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[os.fsencode(path)])
        ),
    }
    features = tf.train.Features(feature=values)
    return tf.train.Example(features=features).SerializeToString(deterministic=True)


def parse_record(record: tf.Tensor, num_classes: int) -> dict[str, tf.Tensor]:
    """Returns what a record holds: `photo` and `path` strings, `label` int32."""
    values = tf.io.parse_single_example(record, _FEATURES)
    label = values["label"]
    # A one-hot label out of range would be zeros.
    in_range = tf.debugging.Assert((0 <= label) & (label < num_classes), [label])
    with tf.control_dependencies([] if in_range is None else [in_range]):
        return values | {"label": tf.cast(label, tf.int32)}


def read_record(record: bytes, num_classes: int) -> tuple[str, int, bytes] | None:
    """Returns path, label and photo of a record, or None if it is none."""
    try:
        values = tf.train.Example.FromString(record).features.feature
        (path,), (label,), (photo,) = (
            values["path"].bytes_list.value,
            values["label"].int64_list.value,
            values["photo"].bytes_list.value,
        )
    except (DecodeError, ValueError):
        return None
    return (os.fsdecode(path), label, photo) if 0 <= label < num_classes else None


def stream_records(
    files: tf.data.Dataset, num_open: int = _NUM_OPEN
) -> tf.data.Dataset:
    """Returns the records of shards, of a few at a time in turn, always in one order.

    Args:
        files: paths or URLs.
        num_open: how many are read in turn; 1 for one after another.
    """
    return files.interleave(
        lambda path: tf.data.TFRecordDataset(path, buffer_size=_BUFFER_BYTES),
        cycle_length=num_open,
        block_length=_NUM_IN_TURN,
        num_parallel_calls=num_open,  # which wait for a disk, not for a core
        deterministic=True,
    )


def count_records(path: str) -> int:
    """Returns how many records a shard has; -1 if one of them is damaged."""
    try:
        return sum(1 for _ in tf.data.TFRecordDataset(path))
    except tf.errors.OpError:
        return -1
