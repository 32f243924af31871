"""Is training fed sooner from shards than from a folder of files, and in what memory?

PYTHONPATH=. python benchmarks/shards.py FOLDER_WITH_TRAIN [IMAGE_SIZE]

An epoch of training images of 224x224, nothing kept: from shards of photos that were
shrunk to IMAGE_SIZE (default 256), from shards of the photos as they are, and from the
folder, which is the alternative. With the files in the system's memory, and with them
put out of it. Then the peak of memory of a process that reads the shards once, and as
if there were 4 and 16 times as many.
"""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as scripts/train.py does
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")

import numpy as np  # noqa: E402
from measuring import measure  # noqa: E402

from landmarks_tf import pipeline  # noqa: E402
from landmarks_tf import shard_reading  # noqa: E402
from landmarks_tf import shard_writing  # noqa: E402
from landmarks_tf import split_file  # noqa: E402
from landmarks_tf.catalog import Catalog  # noqa: E402
from landmarks_tf.catalog import load_catalog  # noqa: E402
from landmarks_tf.options import TrainingOptions  # noqa: E402

SIZE = 224
BATCH_SIZE = 32
NUM_HELD_OUT = 10
PHOTOS_PER_SHARD = 256
# Larger than any photo: each keeps its bytes.
AS_THEY_ARE = 100_000


def drain(photos: Catalog) -> None:
    options = TrainingOptions(image_size=SIZE, batch_size=BATCH_SIZE, epochs=1)
    for _ in pipeline.make_training_dataset(photos, options):
        pass


def load(folder: str, data_dir: Path) -> Catalog:
    shards = shard_reading.load_shard_set(folder)
    return replace(shard_reading.load_catalog(shards)[0], data_dir=data_dir)


def write(folder: str, photos: Catalog, image_size: int) -> Catalog:
    settings = {
        "image_size": image_size,
        "quality": 95,
        "photos_per_shard": PHOTOS_PER_SHARD,
        "validation_fraction": 0.1,
        "test_fraction": 0.2,
        "seed": 0,
    }
    hashes = split_file.hash_photos(photos)
    begin, before = time.perf_counter(), time.process_time()
    shard_writing.write_set(folder, photos, hashes, {}, settings)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - before
    written = load(folder, photos.data_dir)
    train = [s for s in written.shards.shards if s.split == "train"]
    megabytes = sum(shard.num_bytes for shard in train) / 1e6
    print(
        f"written at {image_size}: {shard_writing.count_photos(photos) / seconds:.0f} "
        f"photos/s, {cpu / seconds:.2f} cores busy; training photos {megabytes:.1f} MB"
    )
    return written


def forget(paths: list[str]) -> None:
    """Puts files out of the system's memory."""
    for path in paths:
        file = os.open(path, os.O_RDONLY)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def show_difference(photos: Catalog, files: Catalog) -> None:
    """Prints how far the images of shards are from those of the files."""
    order = replace(photos, shards=None, data_dir=files.data_dir)
    total, count = 0.0, 0
    for (images, _), (expected, _) in zip(
        pipeline.make_dataset(photos, "train", SIZE, BATCH_SIZE),
        pipeline.make_dataset(order, "train", SIZE, BATCH_SIZE),
    ):
        total += float(np.abs(images - expected).mean(axis=(1, 2, 3)).sum()) * 255
        count += len(images)
    print(f"images differ from those of the files by {total / count:.2f} grey levels")


def print_peak(folder: str, times: int) -> None:
    photos = load(folder, Path())
    shards = photos.shards
    shards = replace(shards, shards=shards.shards * times)
    splits = photos.splits | {"train": photos.splits["train"] * times}
    drain(replace(photos, shards=shards, splits=splits))
    status = Path("/proc/self/status").read_text()
    (peak,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    num_photos = len(splits["train"])
    print(f"peak memory, {num_photos} photos: {peak.removeprefix('VmHWM:').strip()}")


def main() -> None:
    if len(sys.argv) > 3:
        print_peak(sys.argv[1], int(sys.argv[3]))
        return
    image_size = int(sys.argv[2]) if len(sys.argv) > 2 else 256
    listing = load_catalog(sys.argv[1])
    own = listing.splits["train"]
    held_out = own[:NUM_HELD_OUT], own[NUM_HELD_OUT : 2 * NUM_HELD_OUT]
    splits = dict(zip(("train", "validation", "test"), (own, *held_out)))
    files = replace(listing, splits=splits)
    with tempfile.TemporaryDirectory() as work:
        small = write(f"{work}/small", files, image_size)
        whole = write(f"{work}/whole", files, AS_THEY_ARE)
        show_difference(small, files)
        contestants = {
            f"shards of {image_size} pixels": small,
            "shards of the photos as they are": whole,
            "the folder of files": files,
        }
        for state in ("in the system's memory", "not in the system's memory"):

            def epoch(photos: Catalog, is_cold: bool = state.startswith("not")) -> None:
                paths = photos.absolute_paths("train")
                if is_cold:
                    forget(photos.shards.paths("train") if photos.shards else paths)
                drain(photos)

            seconds = measure(
                f"an epoch of {len(own)} photos at {SIZE}x{SIZE}, {state}",
                {name: lambda p=p: epoch(p) for name, p in contestants.items()},
            )
            for name, taken in seconds.items():
                print(f"  {len(own) / taken:7.1f} photos/s  {name}")
        for times in (1, 4, 16):
            command = [sys.executable, __file__, f"{work}/small", "0", str(times)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            print(done.stdout.strip())


if __name__ == "__main__":
    main()
