"""Shards of the coloured photos, made in this process."""

import dataclasses

import tensorflow as tf

from landmarks_tf import shard_reading
from landmarks_tf import shard_set
from landmarks_tf import shard_writing
from landmarks_tf import split_file
from landmarks_tf.catalog import load_catalog

SETTINGS = {
    "image_size": 512,
    "quality": 95,
    "photos_per_shard": 8,
    "validation_fraction": 0.1,
    "test_fraction": 0.2,
    "seed": 0,
}


def divided(colored_dir):
    """The coloured photos, 31 to train on, 6 to validate and 15 to test."""
    photos = load_catalog(colored_dir)
    train = photos.splits["train"]
    splits = {
        "train": tuple(p for i, p in enumerate(train) if i % 6),
        "validation": train[::6][:6],
        "test": photos.splits["test"],
    }
    splits["train"] += train[::6][6:]
    return dataclasses.replace(photos, splits=splits)


def make_shards(colored_dir, folder, **settings):
    """Writes shards of `divided`; returns the set as it is read."""
    photos = divided(colored_dir)
    hashes = split_file.hash_photos(photos)
    shard_writing.write_set(folder, photos, hashes, {}, SETTINGS | settings)
    return shard_reading.load_shard_set(folder)


def copy_set(shards, folder):
    """Copies a set's files; returns the copy as it is read."""
    tf.io.gfile.makedirs(folder)
    for name in tf.io.gfile.listdir(shards.folder):
        source, target = (shard_set.join(f, name) for f in (shards.folder, folder))
        tf.io.gfile.copy(source, target, overwrite=True)
    return shard_reading.load_shard_set(folder)


def rewrite(path, change):
    """Writes a file anew, with its bytes changed."""
    with tf.io.gfile.GFile(path, "rb") as file:
        contents = file.read()
    tf.io.gfile.remove(path)  # to a file of ram://, writing adds
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(change(contents))


def flip_a_bit(contents):
    """In the middle of the last record."""
    place = len(contents) - 100
    return contents[:place] + bytes([contents[place] ^ 1]) + contents[place + 1 :]
