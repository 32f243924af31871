"""How soon does `predict.py` answer, and how many photos a second?

PYTHONPATH=. python benchmarks/answers.py RUN_FOLDER FOLDER_OF_PHOTOS

Cold, one photo of 12 megapixels: the script with the TFLite file beside the same script
with model.keras, whose answer must be the same. Warm, all photos of the folder: the
script's rate beside LiteRT alone on images that are in memory. Warm, one photo at a
time: `keras.Model.predict` beside a compiled call and LiteRT.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from measuring import measure
from PIL import Image

from landmarks_tf.data.photo import load_images
from landmarks_tf.data.photo_set import find_photos
from landmarks_tf.inference.classifier import load_classifier
from landmarks_tf.run import EXPORTS
from landmarks_tf.run import Run

SCRIPT = Path(__file__).parents[1] / "scripts" / "predict.py"
LARGE = (4000, 3000)
# Of probabilities.
MAX_DIFFERENCE = 1e-4
NUM_CALLS = 20
# More than there are landmarks.
ALL = 1000


def predict(model: Path, *photos: Path, top_k: int = 3) -> dict:
    """Returns the probability of each photo and class, as the script prints them."""
    command = [sys.executable, str(SCRIPT), f"--model={model}", "--output=json"]
    done = subprocess.run(
        [*command, f"--top_k={top_k}", *map(str, photos)],
        capture_output=True,
        text=True,
        check=True,
    )
    return {
        (record["photo"], landmark["class_name"]): landmark["probability"]
        for record in map(json.loads, done.stdout.splitlines())
        for landmark in record["landmarks"]
    }


def require_same(one: dict, other: dict) -> None:
    difference = max(abs(one[key] - other[key]) for key in one | other)
    if difference > MAX_DIFFERENCE:
        raise RuntimeError(f"not the same answers: {difference}")
    print(f"{len(one)} probabilities, largest difference {difference:.1e}")


def first_answer(keras_file: Path, tflite_file: Path, photo: Path, work: Path) -> None:
    large = work / "large.jpg"
    with Image.open(photo) as image:
        image.convert("RGB").resize(LARGE, Image.Resampling.BICUBIC).save(large)
    answers = {}

    def ask(model: Path) -> None:
        answers[model] = predict(model, large, top_k=ALL)

    measure(
        f"first answer, cold, a photo of {LARGE[0]}x{LARGE[1]}",
        {
            "predict.py, TFLite": lambda: ask(tflite_file),
            "predict.py, model.keras": lambda: ask(keras_file),
        },
    )
    require_same(*answers.values())


def litert_alone(tflite_file: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Returns the runtime's own call, on all cores, as its documentation has it."""
    interpreter = Interpreter(str(tflite_file), num_threads=os.cpu_count())
    interpreter.allocate_tensors()
    given = interpreter.get_input_details()[0]["index"]
    got = interpreter.get_output_details()[0]["index"]

    def answer(image: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(given, image[np.newaxis])
        interpreter.invoke()
        return interpreter.get_tensor(got)[0]

    return answer


def many_photos(tflite_file: Path, photos: list[Path]) -> None:
    classifier = load_classifier(tflite_file)
    images = load_images(photos, classifier.image_size)
    alone = litert_alone(tflite_file)
    answers = np.stack([answer for _, answer in classifier.predict_photos(photos)])
    difference = np.abs(answers - [alone(image) for image in images]).max()
    if difference > MAX_DIFFERENCE:
        raise RuntimeError(f"not the same answers: {difference}")
    seconds = measure(
        f"{len(photos)} photos",
        {
            "predict.py, from the shell": lambda: predict(tflite_file, *photos),
            "predict_photos, from files": lambda: list(
                classifier.predict_photos(photos)
            ),
            "LiteRT alone, one interpreter a core": lambda: classifier.predict(images),
            "LiteRT alone, images in memory": lambda: [alone(i) for i in images],
        },
    )
    for name, taken in seconds.items():
        print(f"  {len(photos) / taken:7.1f} photos/s  {name}")


def one_at_a_time(keras_file: Path, tflite_file: Path, photo: Path) -> None:
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    import keras
    import tensorflow as tf

    model = keras.models.load_model(keras_file, compile=False)
    litert = load_classifier(tflite_file)
    images = load_images(photo, litert.image_size)
    compiled = tf.function(model, input_signature=[tf.TensorSpec(images.shape)])
    ways = {
        "compiled call": lambda: compiled(images).numpy(),
        "LiteRT": lambda: litert.predict(images),
        "keras.Model.predict": lambda: model.predict(images, verbose=0),
    }
    answers = [way() for way in ways.values()]
    if max(np.abs(answer - answers[0]).max() for answer in answers) > MAX_DIFFERENCE:
        raise RuntimeError("not the same answers")

    def repeat(way):
        return lambda: [way() for _ in range(NUM_CALLS)]

    measure(
        f"{NUM_CALLS} calls with one photo",
        {name: repeat(way) for name, way in ways.items()},
    )


def main() -> None:
    run_dir, folder = map(Path, sys.argv[1:3])
    keras_file = Run(run_dir).model_path
    tflite_file = run_dir / EXPORTS["float32"]
    photos = find_photos([str(folder)])
    with tempfile.TemporaryDirectory() as work:
        first_answer(keras_file, tflite_file, photos[0], Path(work))
    many_photos(tflite_file, photos)
    one_at_a_time(keras_file, tflite_file, photos[0])


if __name__ == "__main__":
    main()
