"""How long does the search for near-duplicates take, beside comparing all pairs?

PYTHONPATH=. python benchmarks/duplicates.py [NUM_PHOTOS]

Among 10,000 hashes unless told otherwise, and twice as many. The search alone is
measured on a hundred times as many too.
"""

import sys

import numpy as np
from measuring import measure

from landmarks_tf.data.duplicates import MAX_DISTANCE
from landmarks_tf.data.duplicates import find_near


def all_pairs(rows: np.ndarray) -> int:
    """Compares each hash with those before it, in NumPy."""
    return sum(
        int((np.bitwise_count(rows[:i] ^ rows[i]).sum(axis=1) <= MAX_DISTANCE).sum())
        for i in range(1, len(rows))
    )


def main() -> None:
    smallest = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    for num_photos in (smallest, 2 * smallest):
        rows = np.random.default_rng(0).integers(0, 256, (num_photos, 32), np.uint8)
        hashes = [row.tobytes() for row in rows]
        measure(
            f"near-duplicates among {num_photos:,} hashes",
            {
                "duplicates.find_near": lambda: find_near(hashes),
                f"all pairs, NumPy {np.__version__}": lambda: all_pairs(rows),
            },
        )
    many = 100 * smallest
    rows = np.random.default_rng(0).integers(0, 256, (many, 32), np.uint8)
    hashes = [row.tobytes() for row in rows]
    measure(
        f"near-duplicates among {many:,} hashes",
        {"duplicates.find_near": lambda: find_near(hashes)},
        num_runs=1,
    )


if __name__ == "__main__":
    main()
