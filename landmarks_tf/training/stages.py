"""What a network is trained on: images, or the features of a frozen backbone."""

import dataclasses
import functools
import time
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from landmarks_tf.config import TrainConfig
from landmarks_tf.data import pipeline
from landmarks_tf.data import pixels
from landmarks_tf.data.photo_set import PhotoSet
from landmarks_tf.evaluation import calibration
from landmarks_tf.evaluation.evaluate import predict_split
from landmarks_tf.models import surgery
from landmarks_tf.models import transfer
from landmarks_tf.models.scratch import build_scratch_model
from landmarks_tf.training import checkpoint
from landmarks_tf.training import distribution
from landmarks_tf.training import features
from landmarks_tf.training import fit
from landmarks_tf.training.distribution import Hosts


def fit_scratch(job: fit.Job) -> tuple[keras.Model, checkpoint.TrainingState]:
    """Trains the whole network on images, which are decoded once."""
    config = job.config
    build = _scratch_builder(job.photos, config)
    trained, state = fit_images(job, build, config, job.run.checkpoints_dir)
    model = build_scratch_model(
        config.preset,
        (config.image_size, config.image_size),
        len(job.photos.class_names),
        config.image_size // config.fitted_size,
    )
    model.set_weights(trained.get_weights())
    return model, state


def fit_share(job: fit.Job, hosts: Hosts) -> None:
    """Trains a scratch network as one of several hosts; the first writes checkpoints.

    The decoded photos of those in the memory budget are kept, on no disk.
    """
    photos, config = job.photos, job.config
    cache = _choose_cache(photos, config, None)
    with distribution.on_hosts(hosts):
        # Before anything is built: what one host draws the others must draw too.
        keras.utils.set_random_seed(config.seed)
        stage = fit.Stage(
            _scratch_builder(photos, config),
            config,
            lambda epoch: pipeline.make_training_dataset(
                photos, config, epoch, cache, hosts
            ),
            pipeline.make_validation_dataset(
                photos, config.fitted_size, config.batch_size, cache, hosts
            ),
            job.run.checkpoints_dir,
        )
        fit.train_model(stage, _callbacks(job, "network"), job.progress, hosts)


def fit_images(
    job: fit.Job,
    build: Callable[[], keras.Model],
    config: TrainConfig,
    checkpoints_dir: Path,
    keep_last: bool = False,
) -> tuple[keras.Model, checkpoint.TrainingState]:
    """Trains all that `build` makes on images, which are decoded once.

    Args:
        job: whose photos.
        build: makes the network, uncompiled.
        config: of this stage.
        checkpoints_dir: of this stage.
        keep_last: whether the last epoch is kept, and not the best on validation.
    """
    photos = job.photos
    is_over = checkpoint.load_state(checkpoints_dir).is_over
    cache = _choose_cache(photos, config, None if is_over else job.run.pixels_dir)
    stage = fit.Stage(
        build,
        config,
        lambda epoch: pipeline.make_training_dataset(photos, config, epoch, cache),
        pipeline.make_dataset(
            photos, "validation", config.fitted_size, config.batch_size, cache
        ),
        checkpoints_dir,
        keep_last,
    )
    name = "fine_tuning" if keep_last else "network"
    state = fit.train_model(stage, _callbacks(job, name), job.progress)
    if cache is not None:
        cache.clear()
    return fit.load_best_model(build, checkpoints_dir), state


def fit_transfer(job: fit.Job) -> tuple[keras.Model, checkpoint.TrainingState]:
    """Trains a head on what the frozen backbone sees, which it sees once."""
    photos, config = job.photos, job.config
    image_size = (config.image_size, config.image_size)
    # Before the networks are built: their dropout and random weights are drawn then.
    keras.utils.set_random_seed(config.seed)
    build = functools.partial(
        transfer.build_feature_extractor, config.backbone, config.backbone_weights
    )
    extractor = build(image_size)
    if config.fine_tuning_epochs:
        # Before any work: it may be refused.
        any_size = build((None, None)) if config.training_sizes else build(image_size)
        head = transfer.build_head(any_size.output_shape[-1], len(photos.class_names))
        trainable = transfer.join_head(any_size, head)
        transfer.unfreeze(trainable, config.fine_tuning_from)
    rows = {name: _extract(job, extractor, name) for name in ("train", "validation")}
    make_head = functools.partial(
        transfer.build_head, extractor.output_shape[-1], len(photos.class_names)
    )
    stage = fit.Stage(
        make_head,
        config,
        lambda epoch: features.make_feature_training_dataset(
            rows["train"], photos.labels("train"), config, epoch
        ),
        features.make_feature_dataset(
            rows["validation"], photos.labels("validation"), config.batch_size
        ),
        job.run.checkpoints_dir,
    )
    state = fit.train_model(stage, _callbacks(job, "head"), job.progress)
    head = fit.load_best_model(make_head, job.run.checkpoints_dir)
    model = transfer.join_head(extractor, head)
    if config.fine_tuning_epochs:
        state = fine_tune(job, model, trainable, state)
    return model, state


def fine_tune(
    job: fit.Job,
    model: keras.Model,
    trainable: keras.Model,
    probe: checkpoint.TrainingState,
) -> checkpoint.TrainingState:
    """Trains the backbone too of a transfer model whose head is trained.

    Args:
        job: whose photos.
        model: takes what comes of it, if validation is better for it.
        trainable: the same network, with any weights, for images of any size.
        probe: the state of the head's training.

    Returns:
        the state of both stages.
    """
    config = job.config
    surgery.copy_weights(model, trainable)
    begin = config.fine_tuning_from
    job.progress.tell(f"the head is trained; fine-tuning from {begin}")
    tuned, state = fit_images(
        job,
        lambda: trainable,
        config.fine_tuning,
        job.run.checkpoints_dir / "fine_tuning",
        # At its end the rate is 0. To choose among its epochs by some hundred photos is
        # to choose by chance: docs/experiments.md.
        keep_last=True,
    )
    own_weights = model.get_weights()
    before = validation_loss(model, job.photos, config.batch_size)
    model.set_weights(tuned.get_weights())
    after = validation_loss(model, job.photos, config.batch_size)
    is_better = after < before
    if not is_better:
        model.set_weights(own_weights)
    kept = "kept" if is_better else "not kept"
    losses = f"calibrated validation loss {before:.4f}, then {after:.4f}"
    job.progress.tell(f"fine-tuning: {losses}: {kept}")
    return probe.followed_by(state, is_better)


def validation_loss(model: keras.Model, photos: PhotoSet, batch_size: int) -> float:
    """Returns the loss on validation photos that will be left when it is calibrated.

    Fairer than the loss, which depends on how sure a network is; and finer than the
    accuracy, of which a photo or two decide.
    """
    network = surgery.build_logits_model(model)
    logits = predict_split(network, photos, "validation", batch_size)
    return calibration.calibrated_loss(logits, photos.labels("validation"))


def _scratch_builder(
    photos: PhotoSet, config: TrainConfig
) -> Callable[[], keras.Model]:
    """Returns what builds a scratch network as it is trained."""
    size = None if config.training_sizes else config.fitted_size
    return functools.partial(
        build_scratch_model, config.preset, (size, size), len(photos.class_names)
    )


def _choose_cache(
    photos: PhotoSet, config: TrainConfig, folder: Path | None
) -> pixels.PixelCache | None:
    """Returns where decoded photos are kept; in the folder if there are too many."""
    return pixels.choose_cache(
        sum(len(photos.splits[name]) for name in ("train", "validation")),
        (config.decoded_size, config.decoded_size),
        folder,
    )


def _callbacks(job: fit.Job, stage: str) -> Sequence[keras.callbacks.Callback]:
    """Returns the user's callbacks and, where it is asked for, TensorBoard's."""
    if not job.config.tensorboard:
        return job.callbacks
    log_dir = str(job.run.path / "tensorboard" / stage)
    return [*job.callbacks, keras.callbacks.TensorBoard(log_dir)]


def _extract(job: fit.Job, extractor: keras.Model, split: str) -> np.ndarray:
    """Returns the features of a split, float32 `[num_photos, num_features]`."""
    config = job.config
    photos = job.photos.splits[split]

    def make_images(indices: list[int]):
        chosen = {split: tuple(photos[index] for index in indices)}
        return pipeline.make_dataset(
            dataclasses.replace(job.photos, splits=chosen),
            split,
            config.image_size,
            config.batch_size,
        )

    done = 0

    def tell(num_photos: int) -> None:
        nonlocal done
        done += num_photos
        job.progress.step(f"features of {split}", done, len(photos))

    begin = time.monotonic()
    rows = features.extract_features(
        extractor,
        [job.photos.hashes[photo.path] for photo in photos],
        make_images,
        progress=tell,
    )
    seconds = time.monotonic() - begin
    job.progress.tell(f"features of {len(photos)} {split} photos: {seconds:.1f} s")
    return rows
