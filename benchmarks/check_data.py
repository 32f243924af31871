"""How long does check_data.py take on photos of 0.3 megapixels?

PYTHONPATH=. python benchmarks/check_data.py [NUM_PHOTOS]

Draws 3,000 photos unless told otherwise.
"""

import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import PIL
from measuring import measure
from PIL import Image

from landmarks_tf.samples.picture import CLASS_NAMES
from landmarks_tf.samples.picture import draw_photo

NUM_PHOTOS = 3000
SIZE = (640, 480)
SCRIPT = Path(__file__).parents[1] / "scripts" / "check_data.py"


def draw(data_dir: Path, num_photos: int) -> None:
    rng = random.Random(0)
    for index in range(num_photos):
        label = index % len(CLASS_NAMES)
        folder = data_dir / "train" / CLASS_NAMES[label]
        folder.mkdir(parents=True, exist_ok=True)
        photo = draw_photo(label, rng).resize(SIZE)
        photo.save(folder / f"{index:04}.jpg", quality=90)


def main() -> None:
    num_photos = int(sys.argv[1]) if len(sys.argv) > 1 else NUM_PHOTOS
    with tempfile.TemporaryDirectory() as work:
        data_dir = Path(work, "photos")
        draw(data_dir, num_photos)
        files = sorted(data_dir.rglob("*.jpg"))

        def check(cache: str) -> None:
            environment = os.environ | {"XDG_CACHE_HOME": os.path.join(work, cache)}
            command = [sys.executable, SCRIPT, f"--data_dir={data_dir}"]
            done = subprocess.run(
                [*command, f"--output_dir={work}"],
                env=environment,
                stdout=subprocess.DEVNULL,
            )
            if done.returncode not in (0, 1):  # 1: some photo has a problem
                raise RuntimeError("the photos were not checked")

        def decode() -> None:
            for file in files:
                with Image.open(file) as image:
                    image.load()

        runs = iter(range(100))
        measure(
            f"check of {num_photos:,} photos of {SIZE[0]}x{SIZE[1]}, files warm",
            {
                "check_data.py, nothing remembered": lambda: check(f"{next(runs)}"),
                "check_data.py, remembered": lambda: check("kept"),
                f"Pillow {PIL.__version__} decoding, one after another": decode,
            },
        )


if __name__ == "__main__":
    main()
