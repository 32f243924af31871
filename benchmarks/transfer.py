"""How much sooner is a head trained on features kept than through the whole backbone?

PYTHONPATH=. python benchmarks/transfer.py PHOTOS WEIGHTS [EPOCHS]

Both begin with photo files and end with a model saved; no features are remembered
from before. The alternative is Keras's plain `fit` of the whole model with its backbone
frozen, on images that are decoded once and kept in memory.
"""

import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as scripts/train.py does

import keras  # noqa: E402
from measuring import report  # noqa: E402

from landmarks_tf.config import TrainConfig  # noqa: E402
from landmarks_tf.data import pipeline  # noqa: E402
from landmarks_tf.data import split  # noqa: E402
from landmarks_tf.data import split_file  # noqa: E402
from landmarks_tf.data.photo_set import PhotoSet  # noqa: E402
from landmarks_tf.data.photo_set import load_photos  # noqa: E402
from landmarks_tf.data.pixels import MemoryCache  # noqa: E402
from landmarks_tf.models.transfer import build_feature_extractor  # noqa: E402
from landmarks_tf.models.transfer import build_head  # noqa: E402
from landmarks_tf.models.transfer import build_transfer_model  # noqa: E402
from landmarks_tf.models.transfer import join_head  # noqa: E402
from landmarks_tf.training import features  # noqa: E402
from landmarks_tf.training.features import make_feature_dataset  # noqa: E402
from landmarks_tf.training.features import make_feature_training_dataset  # noqa: E402

# Between validation accuracies: the two draw other dropout masks. At least one photo.
MAX_DIFFERENCE = 0.02


def fit(model: keras.Model, training, validation, options: TrainConfig) -> float:
    """Trains and returns the last validation accuracy."""
    model.compile(
        optimizer=keras.optimizers.Adam(options.learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy"],
    )
    steps = len(training) // options.epochs
    history = model.fit(
        training,
        epochs=options.epochs,
        steps_per_epoch=steps,
        validation_data=validation,
        shuffle=False,
        verbose=2,
    )
    return history.history["val_accuracy"][-1]


def with_features(
    photos: PhotoSet, hashes: dict[str, str], options: TrainConfig, work: Path
) -> float:
    size = (options.image_size, options.image_size)
    extractor = build_feature_extractor(
        options.backbone, options.backbone_weights, size
    )
    rows = {}
    for name in ("train", "validation"):
        own = photos.splits[name]

        def make_images(indices: list[int]):
            chosen = {name: tuple(own[index] for index in indices)}
            return pipeline.make_dataset(
                replace(photos, splits=chosen), name, size, options.batch_size
            )

        contents = [hashes[photo.path] for photo in own]
        rows[name] = features.extract_features(
            extractor, contents, make_images, work / "features.sqlite"
        )
    head = build_head(extractor.output_shape[-1], len(photos.class_names))
    accuracy = fit(
        head,
        make_feature_training_dataset(rows["train"], photos.labels("train"), options),
        make_feature_dataset(
            rows["validation"], photos.labels("validation"), options.batch_size
        ),
        options,
    )
    join_head(extractor, head).save(work / "features.keras")
    return accuracy


def plain(photos: PhotoSet, options: TrainConfig, work: Path) -> float:
    cache = MemoryCache()
    size = (options.image_size, options.image_size)
    model = build_transfer_model(
        options.backbone, options.backbone_weights, size, len(photos.class_names)
    )
    accuracy = fit(
        model,
        pipeline.make_training_dataset(photos, options, cache=cache),
        pipeline.make_dataset(photos, "validation", size, options.batch_size, cache),
        options,
    )
    model.save(work / "plain.keras")
    return accuracy


def main() -> None:
    data_dir, weights = sys.argv[1:3]
    epochs = int(sys.argv[3]) if len(sys.argv) > 3 else 20
    options = TrainConfig(
        model="transfer",
        backbone_weights=weights,
        image_size=224,
        batch_size=32,
        epochs=epochs,
        learning_rate=3e-3,
    )
    listing = load_photos(data_dir)
    hashes = split_file.hash_photos(listing)
    photos, _ = split.split_photos(listing, hashes, TrainConfig())
    seconds, accuracy = {}, {}
    with tempfile.TemporaryDirectory() as work:
        for name, train in (
            (
                "features kept",
                lambda: with_features(photos, hashes, options, Path(work)),
            ),
            (
                f"whole model in every epoch, Keras {keras.__version__}",
                lambda: plain(photos, options, Path(work)),
            ),
        ):
            keras.utils.set_random_seed(0)
            begin = time.perf_counter()
            accuracy[name] = train()
            seconds[name] = time.perf_counter() - begin
    one, other = accuracy.values()
    allowed = max(MAX_DIFFERENCE, 1.01 / len(photos.splits["validation"]))
    if abs(one - other) > allowed:
        raise RuntimeError(f"not the same network: {accuracy}")
    report(
        f"MobileNetV2 at 224, {epochs} epochs, {len(photos.splits['train'])} photos, "
        "one run",
        seconds,
        validation_accuracy=accuracy,
    )


if __name__ == "__main__":
    main()
