"""How many photos a second does the input pipeline give, beside Keras's utility?

PYTHONPATH=. python benchmarks/input_pipeline.py [FOLDER_OF_CLASS_FOLDERS [NUM_PHOTOS]]

The alternative is `keras.utils.image_dataset_from_directory` with its defaults, divided
by 255: in a process of its own with TensorFlow as it comes, and in ours, where oneDNN
is on, whose allocator keeps large buffers. Beside them stand the decoder alone and the
peak of memory with the cache on disk. Without a folder, the drawn sample set is used.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

AS_IT_COMES = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as scripts/train.py does

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from measuring import NUM_RUNS  # noqa: E402
from measuring import measure  # noqa: E402
from measuring import median  # noqa: E402
from measuring import report  # noqa: E402

from landmarks_tf.config import TrainConfig  # noqa: E402
from landmarks_tf.data import pipeline  # noqa: E402
from landmarks_tf.data.photo import load_images  # noqa: E402
from landmarks_tf.data.photo_set import PhotoSet  # noqa: E402
from landmarks_tf.data.photo_set import load_photos  # noqa: E402
from landmarks_tf.data.pixels import DiskCache  # noqa: E402
from landmarks_tf.data.pixels import MemoryCache  # noqa: E402
from landmarks_tf.data.pixels import PixelCache  # noqa: E402
from landmarks_tf.samples import sample_set  # noqa: E402

SIZE = 800
BATCH_SIZE = 8
MAX_PHOTOS = 496
# Batches in an idle pipeline: those prefetched and those that its threads hold.
NUM_AHEAD = 4 + (os.cpu_count() or 1)
# Grey levels on average: Keras decodes with the faster, rougher inverse transform.
MAX_DIFFERENCE = {"definition": 0.5, "keras": 1.5}


def drain(dataset: Iterable) -> None:
    for _ in dataset:
        pass


def train_on(
    photos: PhotoSet, cache: PixelCache | None, epochs: int
) -> tf.data.Dataset:
    options = TrainConfig(image_size=SIZE, batch_size=BATCH_SIZE, epochs=epochs)
    return pipeline.make_training_dataset(photos, options, cache=cache)


def keras_utility(data_dir: Path, num_photos: int, **arguments) -> tf.data.Dataset:
    dataset = keras.utils.image_dataset_from_directory(
        data_dir,
        image_size=(SIZE, SIZE),
        batch_size=BATCH_SIZE,
        verbose=False,
        **arguments,
    )
    dataset = dataset.map(lambda images, labels: (images / 255, labels))
    return dataset.take(-(-num_photos // BATCH_SIZE))


def decoder_alone(files: list[str]) -> tf.data.Dataset:
    def decode(path: tf.Tensor) -> tf.Tensor:
        return tf.shape(tf.io.decode_jpeg(tf.io.read_file(path), channels=3))

    dataset = tf.data.Dataset.from_tensor_slices(files)
    return dataset.map(decode, num_parallel_calls=tf.data.AUTOTUNE).prefetch(8)


def check_images(photos: PhotoSet, data_dir: Path) -> None:
    """Both sides show the same images, ours those of the definition."""
    ours, _ = next(iter(pipeline.make_dataset(photos, "train", SIZE, 32)))
    theirs, _ = next(iter(keras_utility(data_dir, 32, shuffle=False).rebatch(32)))
    files = sorted(photos.absolute_paths("train"))[:32]
    if files != photos.absolute_paths("train")[:32]:
        raise RuntimeError("the two list the files in other orders")
    definition = load_images(files, SIZE)
    # The utility shows the whole folder.
    pairs = (("definition", definition), ("keras", theirs[: len(ours)]))
    for name, images in pairs:
        difference = np.abs(ours - images).mean() * 255
        print(f"mean difference from {name}: {difference:.3f} grey levels")
        if difference > MAX_DIFFERENCE[name]:
            raise RuntimeError(f"not the same images as {name}")


def later_epochs(photos: PhotoSet, cache: PixelCache | None):
    """Returns what drains one epoch more of a run whose first epoch is over."""
    num_batches = -(-len(photos.splits["train"]) // BATCH_SIZE)
    # More by what was fetched ahead while the others had their turns.
    num_drained = num_batches + NUM_AHEAD
    # Here and in `measure`: the first epoch, the warm-up and the runs.
    num_epochs = -(-num_drained * (NUM_RUNS + 2) // num_batches)
    batches = iter(train_on(photos, cache, num_epochs))

    def drain_one() -> None:
        for _ in range(num_drained):
            next(batches)

    drain_one()
    return drain_one


def run_apart(
    question: str, data_dir: Path, num_photos: int, **environment: str
) -> str:
    """Answers a question in a process of its own."""
    command = [sys.executable, __file__, str(data_dir), str(num_photos), question]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | environment,
    )
    return done.stdout.strip()


def peak_memory(photos: PhotoSet) -> str:
    """Trains three epochs long with the cache on disk."""
    with tempfile.TemporaryDirectory() as folder:
        drain(train_on(photos, DiskCache(Path(folder)), 3))
    status = Path("/proc/self/status").read_text()
    (peak,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return peak.removeprefix("VmHWM:").strip()


def utility_alone(data_dir: Path, num_photos: int) -> str:
    seconds = []
    for _ in range(NUM_RUNS + 1):
        begin = time.perf_counter()
        drain(keras_utility(data_dir, num_photos))
        seconds.append(time.perf_counter() - begin)
    return str(median(seconds))


def main() -> None:
    if len(sys.argv) > 1:
        data_dir = Path(sys.argv[1])
    else:
        data_dir = sample_set.load_sample_set() / "test"
    listing = load_photos(data_dir)
    num_photos = int(sys.argv[2]) if len(sys.argv) > 2 else MAX_PHOTOS
    chosen = tuple(listing.all_photos())[:num_photos]
    photos = replace(listing, splits={"train": chosen, "validation": (), "test": ()})
    if len(sys.argv) > 3:
        by_name = {"memory": lambda: peak_memory(photos)}
        by_name["utility"] = lambda: utility_alone(data_dir, num_photos)
        print(by_name[sys.argv[3]]())
        return
    check_images(photos, data_dir)

    def first_epoch(on_disk: bool) -> None:
        with tempfile.TemporaryDirectory() as folder:
            cache = DiskCache(Path(folder)) if on_disk else MemoryCache()
            drain(train_on(photos, cache, 1))
            cache.clear()

    with tempfile.TemporaryDirectory() as kept:
        seconds = measure(
            f"an epoch of {len(chosen)} photos of {data_dir.absolute().parent.name}, "
            f"{SIZE}x{SIZE}, batches of {BATCH_SIZE}",
            {
                "first epoch, to be kept in memory": lambda: first_epoch(False),
                "first epoch, to be kept on disk": lambda: first_epoch(True),
                "later epoch, from memory": later_epochs(photos, MemoryCache()),
                "later epoch, from disk": later_epochs(photos, DiskCache(Path(kept))),
                "later epoch, nothing kept": later_epochs(photos, None),
                "the decoder alone": lambda: drain(
                    decoder_alone(photos.absolute_paths("train"))
                ),
                f"image_dataset_from_directory, Keras {keras.__version__}": (
                    lambda: drain(keras_utility(data_dir, len(chosen)))
                ),
            },
        )
    answer = run_apart(
        "utility", data_dir, len(chosen), TF_ENABLE_ONEDNN_OPTS=AS_IT_COMES
    )
    seconds["the utility, TensorFlow as it comes"] = float(answer)
    report("the same, beside the utility in a process of its own", seconds)
    for name, taken in seconds.items():
        print(f"  {len(chosen) / taken:7.1f} photos/s  {name}")
    counts = (len(chosen) // 4, len(chosen))
    for count in counts if NUM_RUNS else counts[1:]:
        peak = run_apart("memory", data_dir, count)
        print(f"peak memory, cache on disk, {count} photos: {peak}")


if __name__ == "__main__":
    main()
