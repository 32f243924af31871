"""What does reading EXIF orientation in the graph cost the input pipeline?

PYTHONPATH=. python benchmarks/orientation.py FOLDER_WITH_JPEGS

The alternatives: not to read it, and to read all headers with Pillow before the graph.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tensorflow as tf
from measuring import measure
from PIL import Image

from landmarks_tf import graph_preprocessing
from landmarks_tf.preprocessing import read_orientation

IMAGE_SIZE = (800, 800)
MAX_PHOTOS = 500


def make_dataset(files: list[str], reads: bool) -> tf.data.Dataset:
    in_graph = graph_preprocessing.read_orientation
    if not reads:
        graph_preprocessing.read_orientation = lambda contents: tf.constant(1)

    def load(path: tf.Tensor) -> tf.Tensor:
        contents = tf.io.read_file(path)
        return graph_preprocessing.preprocess(contents, IMAGE_SIZE)

    dataset = tf.data.Dataset.from_tensor_slices(files)
    dataset = dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE)
    dataset = dataset.batch(8).map(graph_preprocessing.normalize)
    graph_preprocessing.read_orientation = in_graph
    return dataset.prefetch(tf.data.AUTOTUNE)


def read_header(path: str) -> int:
    with Image.open(path) as image:
        return read_orientation(image)


def main() -> None:
    files = sorted(map(str, Path(sys.argv[1]).rglob("*.jpg")))[:MAX_PHOTOS]
    datasets = {reads: make_dataset(files, reads) for reads in (True, False)}

    def drain(reads: bool) -> None:
        for _ in datasets[reads]:
            pass

    def read_headers() -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(read_header, files))

    measure(
        f"{len(files)} JPEGs to {IMAGE_SIZE}, batches of 8",
        {
            "orientation in the graph": lambda: drain(True),
            "headers alone, with Pillow": read_headers,
            "no orientation": lambda: drain(False),
        },
    )


if __name__ == "__main__":
    main()
