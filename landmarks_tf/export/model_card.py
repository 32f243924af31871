"""The model card of a run: what is known of it, for who is to use it.

Owns the figures; the text is in `templates/model_card.md`. No TensorFlow.
"""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import landmarks_tf
from landmarks_tf import page
from landmarks_tf import run_folder
from landmarks_tf.data import split_file
from landmarks_tf.names import human_names

_NUM_WEAKEST = 5


def build_card(
    run_dir: Path,
    name: str,
    milliseconds: Mapping[str, float],
    num_timings: int,
    author: str,
    licence: str,
) -> str:
    """Returns the card of a run, in Markdown.

    Args:
        run_dir: the folder.
        name: of the run.
        milliseconds: by format, of the TFLite files.
        num_timings: of which they are the medians.
        author: of the model.
        licence: of the model.
    """
    metrics = run_folder.load_metrics(run_dir)
    parity = run_folder.load_parity(run_dir)
    written = [key for key, record in parity.items() if not record["faults"]]
    paths = {key: run_dir / run_folder.EXPORTS[key] for key in written}
    entrances = [x for found in parity.values() for x in found["entrances"].values()]
    return page.render(
        "model_card.md",
        name=name,
        version=landmarks_tf.__version__,
        day=date.today().isoformat(),
        author=author,
        licence=licence,
        num_classes=len(run_folder.load_class_names(run_dir / run_folder.LABELS)),
        num_photos=split_file.load_counts(run_dir / run_folder.SPLIT),
        test=metrics.get("test", {}),
        weakest=_weakest_classes(metrics.get("test", {}).get("per_class", {})),
        calibration=metrics.get("calibration", {}),
        threshold=metrics.get("threshold", {}),
        parity=parity,
        files=run_folder.EXPORTS,
        num_bytes={key: run_folder.count_bytes(path) for key, path in paths.items()},
        milliseconds=milliseconds,
        num_parity_photos=entrances[0]["num_photos"] if entrances else 0,
        num_timings=num_timings,
        trained_with=metrics.get("environment", {}),
        machine=run_folder.environment(),
    )


def _weakest_classes(per_class: Mapping[str, Mapping]) -> list[tuple[float, str, int]]:
    """Returns accuracy, name and number of photos of the classes known least."""
    known = [
        (row["accuracy"], name, row["num_images"])
        for name, row in zip(human_names(list(per_class)), per_class.values())
        if row["accuracy"] is not None
    ]
    return sorted(known)[:_NUM_WEAKEST]
