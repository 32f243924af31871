"""How long does it take to list and split a million files in a thousand folders?

PYTHONPATH=. python benchmarks/catalog.py [NUM_CLASSES PHOTOS_A_CLASS]

The files are empty, so their hashes are made of their names here: contents would be all
alike, and reading them is measured in benchmarks/check_data.py.
"""

import hashlib
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from measuring import report

from landmarks_tf.config import TrainConfig
from landmarks_tf.data.photo_set import load_photos
from landmarks_tf.data.split import split_photos


def make_files(data_dir: Path, num_classes: int, num_photos: int) -> None:
    for label in range(num_classes):
        folder = data_dir / "train" / f"{label:04}"
        folder.mkdir(parents=True)
        for index in range(num_photos):
            os.close(os.open(folder / f"{index:06}.jpg", os.O_CREAT | os.O_WRONLY))


def main() -> None:
    num_classes, num_photos = map(int, sys.argv[1:] or (1000, 1000))
    with tempfile.TemporaryDirectory() as work:
        data_dir = Path(work, "photos")
        make_files(data_dir, num_classes, num_photos)
        begin = time.perf_counter()
        found = load_photos(data_dir)
        listed = time.perf_counter() - begin
        paths = [photo.path for photo in found.all_photos()]
        hashes = {path: hashlib.sha256(path.encode()).hexdigest() for path in paths}
        begin = time.perf_counter()
        photos, _ = split_photos(found, hashes, TrainConfig())
        split = time.perf_counter() - begin
        begin = time.perf_counter()
        alternative = sorted(data_dir.rglob("*.jpg"))
        pathlib_seconds = time.perf_counter() - begin
        if len(photos.all_photos()) != len(alternative):
            raise RuntimeError("a file is missing")
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report(
        f"{num_classes * num_photos:,} empty files in {num_classes:,} folders",
        {
            "list and split": listed + split,
            "list": listed,
            "pathlib's sorted(rglob), which lists alone": pathlib_seconds,
        },
        peak_megabytes=round(megabytes),
    )


if __name__ == "__main__":
    main()
