"""Writes a folder of photos as TFRecord shards, for sets that are too many files.

  python scripts/make_shards.py --data_dir=photos --output_dir=shards
  python scripts/train.py --data_dir=shards ...

A run that is stopped goes on with the same command.
"""

from pathlib import Path
from typing import Any

import command_line
import dividing
import tqdm
from absl import flags

from landmarks_tf import catalog
from landmarks_tf import run_folder
from landmarks_tf import shard_set
from landmarks_tf.options import TrainingOptions

_DEFAULTS = TrainingOptions()
flags.adopt_module_key_flags(dividing)

_DATA_DIR = flags.DEFINE_string(
    "data_dir",
    None,
    "Folder with train/ and test/, or with the class folders themselves.",
    required=True,
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir",
    None,
    "Folder of the shards, or a URL that TensorFlow writes to.",
    required=True,
)
_IMAGE_SIZE = flags.DEFINE_integer(
    "image_size",
    512,
    "Training photos are shrunk to this height and width, in pixels, at most. 512 is "
    "enough for the recipes but the reference, which sees 800.",
    lower_bound=1,
)
_QUALITY = flags.DEFINE_integer(
    "quality",
    95,
    "Of the JPEGs of photos that are shrunk.",
    lower_bound=1,
    upper_bound=100,
)
_PHOTOS_PER_SHARD = flags.DEFINE_integer(
    "photos_per_shard", 1024, "Photos in a file at most.", lower_bound=1
)
flags.DEFINE_integer("seed", _DEFAULTS.seed, "Of split and order.")


def main(arguments: list[str]) -> None:
    command_line.refuse_arguments(arguments)
    names = ("seed", "validation_fraction", "test_fraction")
    numbers: dict[str, Any] = {name: flags.FLAGS[name].value for name in names}
    options = TrainingOptions(**numbers)
    settings = numbers | {
        "image_size": _IMAGE_SIZE.value,
        "quality": _QUALITY.value,
        "photos_per_shard": _PHOTOS_PER_SHARD.value,
    }
    dividing.require_split_file()
    folder = _OUTPUT_DIR.value
    listing = catalog.load_catalog(_DATA_DIR.value)
    if not shard_set.is_url(folder):
        run_folder.refuse_overlap(Path(folder), listing.data_dir)
    command_line.load_tensorflow()

    from landmarks_tf import shard_writing

    if shard_writing.is_finished(folder, settings, listing):
        print(f"{folder} is finished: nothing to do")
        return
    photos, hashes, left_out = dividing.divide(listing, options)
    dividing.print_counts(photos)
    try:
        with tqdm.tqdm(
            desc="writing shards",
            total=shard_writing.count_photos(photos),
            unit="photo",
            disable=None,  # where stderr is no terminal
        ) as bar:
            shards = shard_writing.write_set(
                folder, photos, hashes, left_out, settings, bar.update
            )
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt("go on with the same command") from error
    num_bytes = sum(shard.num_bytes for shard in shards.shards)
    print(f"{folder}: {len(shards.shards)} shards, {num_bytes / 1e6:.1f} MB")
    print(f"next: python scripts/train.py --data_dir={folder}")


if __name__ == "__main__":
    command_line.run(main)
