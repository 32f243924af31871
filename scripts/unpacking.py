"""Shards as the data of a run: checked before training, and partly unpacked."""

import sys
from dataclasses import replace
from pathlib import Path

import command_line
import dividing
import tqdm

from landmarks_tf import run_folder
from landmarks_tf import shard_set
from landmarks_tf import split_file
from landmarks_tf.catalog import Catalog
from landmarks_tf.errors import InvalidInput
from landmarks_tf.options import TrainingOptions
from landmarks_tf.shard_set import ShardSet


def list_shards(data_dir: str, options: TrainingOptions) -> Catalog:
    """Reads what a set of shards says of itself, and sees that each file is whole.

    Raises:
        InvalidInput: if one is not, or the set is not for this run.
    """
    dividing.refuse_split_file()
    command_line.load_tensorflow()

    from landmarks_tf import shard_reading

    shards = shard_reading.load_shard_set(data_dir)
    num_shards = len(shards.shards)
    print(f"{data_dir}: {len(shards.class_names)} classes, {num_shards} shards")
    _require_fit(shards, options)
    shard_reading.require_sizes(shards)
    listing, _, _ = shard_reading.load_catalog(shards)
    with tqdm.tqdm(
        desc="checking shards",
        total=sum(shard.num_bytes for shard in shards.shards),
        unit="B",
        unit_scale=True,
        leave=False,
        disable=None,
    ) as bar:
        for shard in shard_reading.verify(shards):
            bar.update(shard.num_bytes)
    return listing


def unpack(
    listing: Catalog, shards: ShardSet, run_dir: Path, output_dir: Path
) -> Catalog:
    """Writes the photos that are not streamed into a run's folder, or finds them there.

    Args:
        listing: of `list_shards`.
        shards: of it.
        run_dir: of the run that is going on.
        output_dir: where it will be.

    Returns:
        the catalog, of which all but the most training photos are files.
    """
    from landmarks_tf import shard_reading

    split_path = run_dir / run_folder.SPLIT
    photos_dir = run_dir / run_folder.PHOTOS
    if split_path.exists():
        if split_file.load_manifest_sha256(split_path) != shards.sha256:
            raise InvalidInput(f"{shards.folder} has changed since the run began")
        split_file.load_split(split_path, listing.class_names)
        return replace(listing, data_dir=photos_dir)
    _, hashes, skipped = shard_reading.load_catalog(shards)
    for _ in tqdm.tqdm(
        shard_reading.unpack(shards, listing, hashes, photos_dir),
        desc="unpacking photos",
        total=shards.num_photos(*shard_set.WHOLE_SPLITS),
        unit="photo",
        leave=False,
        disable=None,
    ):
        pass
    run_folder.write_class_names(run_dir / run_folder.LABELS, listing.class_names)
    final = replace(listing, data_dir=output_dir / run_folder.PHOTOS)
    split_file.write_split(split_path, final, hashes, skipped)
    dividing.print_counts(listing)
    return replace(listing, data_dir=photos_dir)


def _require_fit(shards: ShardSet, options: TrainingOptions) -> None:
    """Raises InvalidInput if a run asks for what the shards do not have."""
    defaults = TrainingOptions()
    for name in ("validation_fraction", "test_fraction"):
        value, own = getattr(options, name), shards.settings[name]
        if value not in (own, getattr(defaults, name)):
            raise InvalidInput(
                f"`{name}` is for make_shards.py: {shards.folder} was made with {own}. "
                f"Received: {name}={value}"
            )
    size, shown = shards.settings["image_size"], options.largest_shown_size
    if size < shown:
        raise InvalidInput(
            f"`data_dir` must have photos of {shown} pixels, to which `image_size`, "
            f"`network_size` and `training_sizes` amount: make_shards.py "
            f"--image_size={shown}. Received: {shards.folder} with {size}"
        )
    if size < options.decoded_size:
        print(
            f"warning: parts of photos are less sharp than from a folder: {size} "
            f"pixels of {options.decoded_size}",
            file=sys.stderr,
        )
