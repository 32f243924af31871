"""The main job: from a data folder to a run folder."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from landmarks_tf import flagfile
from landmarks_tf.config import TrainConfig
from landmarks_tf.data import photo_set
from landmarks_tf.data import split
from landmarks_tf.data import split_file
from landmarks_tf.data.photo_set import PhotoSet
from landmarks_tf.errors import require_extra
from landmarks_tf.evaluation.outliers import find_outliers
from landmarks_tf.progress import Listener
from landmarks_tf.progress import Progress
from landmarks_tf.run import Run
from landmarks_tf.run import describe_environment
from landmarks_tf.samples import sample_set
from landmarks_tf.training import hosts

if TYPE_CHECKING:
    import keras

    from landmarks_tf.training.fit import Job


def train(
    data_dir: Path | str | None,
    config: TrainConfig | str,
    output_dir: Path | str,
    *,
    callbacks: "Sequence[keras.callbacks.Callback]" = (),
    progress: Listener | None = None,
    on_existing: str = "refuse",
) -> Run:
    """Trains a network on a folder of photos, tests it and exports it.

    Args:
        data_dir: holds `train/` and, optionally, `test/`, each with a folder of photos
            for every class; or holds the class folders themselves, which are then
            split. None draws a sample set.
        config: of the run, or the name of a recipe.
        output_dir: the run folder, which appears when it is whole.
        callbacks: of Keras, for every call of `fit`.
        progress: hears what is done; `print` shows it.
        on_existing: "refuse" a run that is there, whole or stopped; "resume" one that
            was stopped, with the same settings; or "overwrite" either.

    Returns:
        the run. Below `config.min_accuracy` nothing is exported; `run.parity` says
        which file did not predict as the model does, and so is not there.

    Raises:
        InvalidInput: if the data, a setting or the folder cannot be used.
        OSError: if a file cannot be read or written, or another host is gone.
    """
    output_dir, progress = Path(output_dir), Progress(progress)
    config = TrainConfig.recipe(config) if isinstance(config, str) else config
    host = hosts.find_host(config)
    run = Run(output_dir)
    if on_existing == "resume" and run.is_finished:
        progress.tell(f"{output_dir} is finished: nothing to resume")
        return run.tidy()
    outliers = _require_parts(config, on_existing)
    listed = _list_photos(data_dir, progress)
    run.refuse_overlap(listed.data_dir)
    places = _name_places(data_dir, output_dir)
    if host and host.process_index:
        hosts.train_beside(host, config, listed.data_dir, places, progress)
        return run
    run = Run.begin(output_dir, on_existing)
    try:
        flagfile.write_flags(run.flags_path, config, **places)
        _prepare_tensorflow(config)
        photos = _divide(run, listed, config, progress)
        if host:  # what is trained beside is found finished here
            hosts.train_beside(host, config, listed.data_dir, places, progress)
        from landmarks_tf.training.fit import Job

        _complete(Job(run, photos, config, callbacks, progress), outliers)
        return run.publish(output_dir)
    finally:
        run.release()


def _require_parts(config: TrainConfig, on_existing: str) -> list[Path]:
    """Refuses before any work what cannot be had, and returns the outliers."""
    if config.tensorboard:
        require_extra("tensorboard", "tensorboard", "--tensorboard")
    if config.split_file and on_existing != "resume":
        split_file.load_hashes(Path(config.split_file))
    return find_outliers(config.outliers_dir)


def _name_places(data_dir: Path | str | None, output_dir: Path) -> dict[str, str]:
    """Returns the flags that `run.flags` has besides the settings, and their values."""
    return {
        "data_dir": str(data_dir or ""),
        "output_dir": str(output_dir),
        # Who repeats the run by its flags, repeats its split.
        "split_file": str(Run(output_dir).split_path),
    }


def _list_photos(data_dir: Path | str | None, progress: Progress) -> PhotoSet:
    """Lists the data folder, drawing one where none is given."""
    if data_dir is None:
        progress.tell("no --data_dir: drawing a sample set (once), as quickstart has")
        data_dir = sample_set.load_sample_set()
    photos = photo_set.load_photos(data_dir)
    progress.tell(f"{data_dir}: {len(photos.class_names)} classes")
    if ignored := photos.visible_ignored():
        text = f"ignored {len(ignored)} files that are not photos, the first: "
        if len(ignored) == 1:
            text = "ignored 1 file that is not a photo: "
        progress.tell(text + ignored[0])
    return photos


def _prepare_tensorflow(config: TrainConfig) -> None:
    """Sets what must be set before TensorFlow computes."""
    if config.distribution == "hosts":
        # Else it takes all memory of the GPUs, which the process beside needs.
        os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
    import tensorflow as tf

    tf.config.list_logical_devices()
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()


def _divide(
    run: Run, listed: PhotoSet, config: TrainConfig, progress: Progress
) -> PhotoSet:
    """Divides the readable photos, or takes the division of the run resumed."""
    if not run.split_path.exists():
        photos = split.divide(listed, config, progress)
        run.write_class_names(photos.class_names)
        split_file.write_split(run.split_path, photos)
        return photos
    new = split_file.find_new(run.split_path, listed)
    if new:
        progress.tell(f"left out {len(new)} photos that are new, the first: {new[0]}")
    return split_file.load_split(run.split_path, run.class_names, listed.data_dir)


def _complete(job: "Job", outliers: Sequence[Path]) -> None:
    """Trains, calibrates, tests and exports."""
    from landmarks_tf.export import export

    run, photos, config, progress = job.run, job.photos, job.config, job.progress
    model = _fit(job)
    metrics = export.write_model(
        run, model, photos, config.batch_size, outliers, progress
    )
    if metrics.top1 >= config.min_accuracy:
        export.write_files(run, photos, config, progress)
    else:
        wanted = f"--min_accuracy={config.min_accuracy}"
        progress.warn(
            f"error: top-1 {metrics.top1:.1%} is below {wanted}; nothing is exported"
        )


def _fit(job: "Job") -> "keras.Model":
    """Trains, and writes the history."""
    from landmarks_tf import plots
    from landmarks_tf.training import distribution
    from landmarks_tf.training import stages
    from landmarks_tf.training.fit import describe_training

    run, config = job.run, job.config
    kinds = {"scratch": stages.fit_scratch, "transfer": stages.fit_transfer}
    devices = distribution.list_devices() if config.distribution == "auto" else []
    if len(devices) > 1:
        hosts.require_divided(config, len(devices), "devices")
        job.progress.tell(f"training on {len(devices)} devices at a time")
    with distribution.on_devices(devices):
        model, state = kinds[config.model](job)
    if len(devices) > 1:
        model = distribution.to_one_device(model)
    run.write_history(state.history)
    plots.write_curves(run.curves_path, state.history)
    record = describe_training(state, len(job.photos.splits["train"]))
    run.write_metrics(environment=describe_environment(), training=record)
    job.progress.tell(
        f"training: {record.epochs} epochs, the best is {record.best_epoch}, "
        f"{record.seconds} s, {record.images_per_second} images/s"
    )
    return model
