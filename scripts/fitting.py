"""What a network is trained on: images, or the features of a frozen backbone."""

import functools
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import command_line
import tqdm

from landmarks_tf import run_folder
from landmarks_tf import split_file
from landmarks_tf.catalog import Catalog
from landmarks_tf.options import TrainingOptions

if TYPE_CHECKING:
    import keras
    import numpy as np

    from landmarks_tf.checkpoints import Progress


def fit_scratch(
    photos: Catalog, run_dir: Path, options: TrainingOptions
) -> "tuple[keras.Model, Progress]":
    """Trains the whole network on images."""
    from landmarks_tf import checkpoints
    from landmarks_tf import models
    from landmarks_tf import pipeline
    from landmarks_tf import training

    checkpoints_dir = run_dir / run_folder.CHECKPOINTS
    num_epochs = checkpoints.load_progress(checkpoints_dir).num_epochs
    size, num_classes = options.image_size, len(photos.class_names)
    return training.train_model(
        functools.partial(
            models.build_scratch_model, options.preset, (size, size), num_classes
        ),
        options,
        pipeline.make_training_dataset(photos, options, num_epochs),
        pipeline.make_dataset(photos, "validation", size, options.batch_size),
        checkpoints_dir,
        command_line.verbosity(),
    )


def fit_transfer(
    photos: Catalog, run_dir: Path, options: TrainingOptions
) -> "tuple[keras.Model, Progress]":
    """Trains a head on what the frozen backbone sees, which it sees once."""
    from landmarks_tf import checkpoints
    from landmarks_tf import models
    from landmarks_tf import pipeline
    from landmarks_tf import training

    image_size = (options.image_size, options.image_size)
    extractor = models.build_feature_extractor(
        options.backbone, options.backbone_weights, image_size
    )
    features = {
        name: extract(extractor, photos, run_dir, name, options)
        for name in ("train", "validation")
    }
    checkpoints_dir = run_dir / run_folder.CHECKPOINTS
    num_epochs = checkpoints.load_progress(checkpoints_dir).num_epochs
    head, progress = training.train_model(
        functools.partial(
            models.build_head, extractor.output_shape[-1], len(photos.class_names)
        ),
        options,
        pipeline.make_feature_training_dataset(
            features["train"], photos.labels("train"), options, num_epochs
        ),
        pipeline.make_feature_dataset(
            features["validation"], photos.labels("validation"), options.batch_size
        ),
        checkpoints_dir,
        command_line.verbosity(),
    )
    return models.join_head(extractor, head), progress


def extract(
    extractor: "keras.Model",
    photos: Catalog,
    run_dir: Path,
    name: str,
    options: TrainingOptions,
) -> "np.ndarray":
    """Returns the features of a split, with a progress bar on a terminal."""
    from landmarks_tf import features
    from landmarks_tf import pipeline

    own = photos.splits[name]
    hashes = split_file.load_hashes(run_dir / run_folder.SPLIT)

    def make_images(indices: list[int]):
        chosen = {name: tuple(own[index] for index in indices)}
        return pipeline.make_dataset(
            replace(photos, splits=chosen), name, options.image_size, options.batch_size
        )

    begin = time.monotonic()
    with tqdm.tqdm(
        desc=f"features of {name}", total=len(own), leave=False, disable=None
    ) as bar:
        rows = features.extract_features(
            extractor,
            [hashes[photo.path] for photo in own],
            make_images,
            progress=bar.update,
        )
    seconds = time.monotonic() - begin
    print(f"features of {len(own)} {name} photos: {seconds:.1f} s", flush=True)
    return rows
