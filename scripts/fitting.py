"""What a network is trained on: images, or the features of a frozen backbone."""

import functools
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import command_line
import tqdm

from landmarks_tf import run_folder
from landmarks_tf.config import TrainConfig
from landmarks_tf.data import split_file
from landmarks_tf.data.photo_set import PhotoSet

if TYPE_CHECKING:
    import keras
    import numpy as np

    from landmarks_tf.data.pixels import PixelCache
    from landmarks_tf.training.checkpoint import Progress
    from landmarks_tf.training.hosts import Hosts


def fit_scratch(
    photos: PhotoSet, run_dir: Path, options: TrainConfig
) -> "tuple[keras.Model, Progress]":
    """Trains the whole network on images, which are decoded once."""
    from landmarks_tf.models.scratch import build_scratch_model

    trained, progress = fit_images(
        scratch_builder(photos, options),
        photos,
        run_dir,
        run_dir / run_folder.CHECKPOINTS,
        options,
    )
    model = build_scratch_model(
        options.preset,
        (options.image_size, options.image_size),
        len(photos.class_names),
        options.image_size // options.fitted_size,
    )
    model.set_weights(trained.get_weights())
    return model, progress


def fit_share(
    photos: PhotoSet, run_dir: Path, options: TrainConfig, hosts: "Hosts"
) -> None:
    """Trains a scratch network as one of several hosts; the first writes checkpoints.

    The decoded photos of those in the memory budget are kept, on no disk.
    """
    import keras

    from landmarks_tf.data import pipeline
    from landmarks_tf.training import distribution
    from landmarks_tf.training import fit

    cache = choose_cache(photos, options, None)
    with distribution.on_hosts(hosts):
        # Before anything is built: what one host draws the others must draw too.
        keras.utils.set_random_seed(options.seed)
        fit.train_model(
            scratch_builder(photos, options),
            options,
            lambda epoch: pipeline.make_training_dataset(
                photos, options, epoch, cache, hosts
            ),
            pipeline.make_validation_dataset(
                photos, options.fitted_size, options.batch_size, cache, hosts
            ),
            run_dir / run_folder.CHECKPOINTS,
            command_line.verbosity() if hosts.is_first else 0,
            hosts=hosts,
        )


def scratch_builder(
    photos: PhotoSet, options: TrainConfig
) -> Callable[[], "keras.Model"]:
    """Returns what builds a scratch network as it is trained."""
    from landmarks_tf.models.scratch import build_scratch_model

    size = None if options.training_sizes else options.fitted_size
    return functools.partial(
        build_scratch_model,
        options.preset,
        (size, size),
        len(photos.class_names),
    )


def choose_cache(
    photos: PhotoSet, options: TrainConfig, folder: Path | None
) -> "PixelCache | None":
    """Returns where decoded photos are kept; in the folder if there are too many."""
    from landmarks_tf.data.pixels import choose_cache

    return choose_cache(
        sum(len(photos.splits[name]) for name in ("train", "validation")),
        (options.decoded_size, options.decoded_size),
        folder,
    )


def fit_images(
    build: Callable[[], "keras.Model"],
    photos: PhotoSet,
    run_dir: Path,
    checkpoints_dir: Path,
    options: TrainConfig,
    keep_last: bool = False,
) -> "tuple[keras.Model, Progress]":
    """Trains all that `build` makes on images, which are decoded once."""
    from landmarks_tf.data import pipeline
    from landmarks_tf.training import fit
    from landmarks_tf.training.checkpoint import load_progress

    earlier = load_progress(checkpoints_dir)
    pixels_dir = None if earlier.is_over else run_dir / run_folder.PIXELS
    cache = choose_cache(photos, options, pixels_dir)
    size = options.fitted_size
    validation = pipeline.make_dataset(
        photos, "validation", size, options.batch_size, cache
    )
    progress = fit.train_model(
        build,
        options,
        lambda epoch: pipeline.make_training_dataset(photos, options, epoch, cache),
        validation,
        checkpoints_dir,
        command_line.verbosity(),
        keep_last=keep_last,
    )
    if cache is not None:
        cache.clear()
    return fit.load_best_model(build, checkpoints_dir), progress


def fit_transfer(
    photos: PhotoSet, run_dir: Path, options: TrainConfig
) -> "tuple[keras.Model, Progress]":
    """Trains a head on what the frozen backbone sees, which it sees once."""
    import keras

    from landmarks_tf.models import transfer
    from landmarks_tf.training import fit
    from landmarks_tf.training.features import make_feature_dataset
    from landmarks_tf.training.features import make_feature_training_dataset

    image_size = (options.image_size, options.image_size)
    # Before the networks are built: their dropout and random weights are drawn then.
    keras.utils.set_random_seed(options.seed)
    build = functools.partial(
        transfer.build_feature_extractor, options.backbone, options.backbone_weights
    )
    extractor = build(image_size)
    if options.fine_tuning_epochs:
        # Before any work: it may be refused.
        any_size = build((None, None)) if options.training_sizes else build(image_size)
        head = transfer.build_head(any_size.output_shape[-1], len(photos.class_names))
        trainable = transfer.join_head(any_size, head)
        transfer.unfreeze(trainable, options.fine_tuning_from)
    features = {
        name: extract(extractor, photos, run_dir, name, options)
        for name in ("train", "validation")
    }
    checkpoints_dir = run_dir / run_folder.CHECKPOINTS
    validation = make_feature_dataset(
        features["validation"], photos.labels("validation"), options.batch_size
    )
    build_head = functools.partial(
        transfer.build_head, extractor.output_shape[-1], len(photos.class_names)
    )
    progress = fit.train_model(
        build_head,
        options,
        lambda epoch: make_feature_training_dataset(
            features["train"], photos.labels("train"), options, epoch
        ),
        validation,
        checkpoints_dir,
        command_line.verbosity(),
    )
    head = fit.load_best_model(build_head, checkpoints_dir)
    model = transfer.join_head(extractor, head)
    if options.fine_tuning_epochs:
        progress = fine_tune(model, trainable, progress, photos, run_dir, options)
    return model, progress


def fine_tune(
    model: "keras.Model",
    trainable: "keras.Model",
    probe: "Progress",
    photos: PhotoSet,
    run_dir: Path,
    options: TrainConfig,
) -> "Progress":
    """Trains the backbone too of a transfer model whose head is trained.

    Args:
        model: takes what comes of it, if validation is better for it.
        trainable: the same network, with any weights, for images of any size.
        probe: the progress of the head.
        photos: the catalog.
        run_dir: of the run.
        options: of the run.

    Returns:
        the progress of both stages.
    """
    from landmarks_tf.models.surgery import copy_weights

    copy_weights(model, trainable)
    print(
        f"the head is trained; fine-tuning from {options.fine_tuning_from}", flush=True
    )
    tuned, progress = fit_images(
        lambda: trainable,
        photos,
        run_dir,
        run_dir / run_folder.CHECKPOINTS / "fine_tuning",
        options.fine_tuning,
        # At its end the rate is 0. To choose among its epochs by some hundred photos is
        # to choose by chance: docs/experiments.md.
        keep_last=True,
    )
    own_weights = model.get_weights()
    before = validation_loss(model, photos, options)
    model.set_weights(tuned.get_weights())
    after = validation_loss(model, photos, options)
    is_better = after < before
    if not is_better:
        model.set_weights(own_weights)
    progress = probe.followed_by(progress, is_better)
    print(
        f"fine-tuning: calibrated validation loss {before:.4f}, then {after:.4f}: "
        f"{'kept' if is_better else 'not kept'}",
        flush=True,
    )
    return progress


def validation_loss(
    model: "keras.Model", photos: PhotoSet, options: TrainConfig
) -> float:
    """Returns the loss on validation photos that will be left when it is calibrated.

    Fairer than the loss, which depends on how sure a network is; and finer than the
    accuracy, of which a photo or two decide.
    """
    from landmarks_tf.evaluation import calibration
    from landmarks_tf.models.surgery import build_logits_model

    logits = answer(build_logits_model(model), photos, "validation", options)
    return calibration.calibrated_loss(logits, photos.labels("validation"))


def answer(
    model: "keras.Model", photos: PhotoSet, name: str, options: TrainConfig
) -> "np.ndarray":
    """Returns what a model has for a split's photos, at its size."""
    from landmarks_tf.data import pipeline

    dataset = pipeline.make_dataset(
        photos, name, model.input_shape[1:3], options.batch_size
    )
    return model.predict(dataset, verbose=0)


def extract(
    extractor: "keras.Model",
    photos: PhotoSet,
    run_dir: Path,
    name: str,
    options: TrainConfig,
) -> "np.ndarray":
    """Returns the features of a split, with a progress bar on a terminal.

    Returns:
        float32 `[num_photos, num_features]`.
    """
    from landmarks_tf.data import pipeline
    from landmarks_tf.training import features

    hashes = split_file.load_hashes(run_dir / run_folder.SPLIT)
    own = photos.splits[name]

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
