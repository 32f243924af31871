"""How often does the client of phones answer as the model does?

  python benchmarks/client.py RUN [data_dir]

MediaPipe's image classifier (extra `long-test`) runs in a process of its own. It is
asked about the run's test photos by each of its TFLite files: with the photos as they
are, which MediaPipe shrinks by picking pixels, and shrunk to the model's size first.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from measuring import tell

from landmarks_tf.data import split_file
from landmarks_tf.inference.classifier import load_classifier
from landmarks_tf.run import Run

CLIENT = Path(__file__).parents[1] / "tests" / "export" / "mediapipe_client.py"


def ask(model: Path, photos: list[str], side: int) -> list[int]:
    """Returns MediaPipe's first answers as labels, whatever the threshold."""
    done = subprocess.run(
        [sys.executable, CLIENT, model],
        input="\n".join(photos),
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"SIDE": str(side), "THRESHOLD": "1e-6"},
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return [answer[0][0] for answer in answers]


def main(run_dir: Path, data_dir: Path | None) -> None:
    run = Run(run_dir)
    names = ["test"]
    photos = split_file.load_split(run.split_path, run.class_names, data_dir, names)
    files, labels = photos.absolute_paths("test"), np.array(photos.labels("test"))
    classifier = load_classifier(run_dir)
    answers = classifier.predict_photos([Path(file) for file in files])
    rows = np.stack([row for _, row in answers if isinstance(row, np.ndarray)])
    expected = rows.argmax(axis=1)
    for path in sorted(run_dir.glob("*.tflite")):
        for what, side in (("as they are", 0), ("shrunk", classifier.image_size[0])):
            found = np.array(ask(path, files, side))
            tell(
                f"MediaPipe on {path.name}, photos {what}",
                photos=len(files),
                as_model_keras=int(np.sum(found == expected)),
                right=int(np.sum(found == labels)),
                model_keras_right=int(np.sum(expected == labels)),
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
