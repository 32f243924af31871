"""The model card of a run: what is known of it, for who is to use it. No TensorFlow."""

import string
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import landmarks_tf
from landmarks_tf import run_folder
from landmarks_tf import split_file
from landmarks_tf import wording
from landmarks_tf.web_page import escape_markdown

_UNKNOWN = "unknown"
_NUM_WEAKEST = 5


def build_card(
    template: str,
    run_dir: Path,
    name: str,
    milliseconds: Mapping[str, float],
    num_timings: int,
    author: str,
    licence: str,
) -> str:
    """Returns the card of a run.

    Args:
        template: text in which `$` names what is filled in.
        run_dir: the folder.
        name: of the run.
        milliseconds: by format, of the TFLite files.
        num_timings: of which they are the medians.
        author: of the model.
        licence: of the model.
    """
    metrics = run_folder.load_metrics(run_dir)
    parity = run_folder.load_parity(run_dir)
    environment = metrics.get("environment", {})
    here = run_folder.environment()
    record = split_file.load_counts(run_dir / run_folder.SPLIT)
    entrances = [x for found in parity.values() for x in found["entrances"].values()]
    values = {
        "name": name,
        "version": landmarks_tf.__version__,
        "date": date.today().isoformat(),
        "author": author,
        "licence": licence,
        "num_classes": len(run_folder.load_class_names(run_dir / run_folder.LABELS)),
        **{f"{split}_photos": count for split, count in record.items()},
        **_accuracy(metrics.get("test", {})),
        **_sureness(metrics.get("calibration", {}), metrics.get("threshold", {})),
        "files": _table(run_dir, parity, milliseconds),
        "parity_photos": entrances[0]["num_photos"] if entrances else 0,
        "num_timings": num_timings,
        **{
            key: environment.get(key, _UNKNOWN)
            for key in ("python", "tensorflow", "keras")
        },
        "platform": here["platform"],
        "cpu_count": here["cpu_count"],
    }
    return string.Template(template).substitute(values)


def _accuracy(test: dict) -> dict[str, str]:
    if not test:
        return dict.fromkeys(("top1", "low", "high", "top5", "weakest"), _UNKNOWN)
    low, high = test["top1_interval"]
    names = wording.human_names(list(test["per_class"]))
    known = [
        (row["accuracy"], name, row["num_images"])
        for name, row in zip(names, test["per_class"].values())
        if row["accuracy"] is not None
    ]
    weakest = [
        f"{escape_markdown(name)} ({accuracy:.0%} of {count})"
        for accuracy, name, count in sorted(known)[:_NUM_WEAKEST]
    ]
    return {
        "top1": f"{test['top1']:.1%}",
        "low": f"{low:.1%}",
        "high": f"{high:.1%}",
        "top5": f"{test['top5']:.1%}",
        "weakest": ", ".join(weakest),
    }


def _sureness(calibration: dict, threshold: dict) -> dict[str, str]:
    errors = calibration.get("test", {})
    sure = "Whether the probabilities come true was not measured."
    if errors:
        sure = (
            "The probabilities were made to come true by a temperature of "
            f"{calibration['temperature']:.2f}: their calibration error on the test "
            f"photos is {errors['error_after']:.3f}; before, it was "
            f"{errors['error_before']:.3f}."
        )
    outliers = (
        "How it takes photos of other things was not measured (`--outliers_dir`)."
    )
    if "unknown_accepted" in threshold:
        outliers = (
            f"So do {threshold['unknown_accepted']:.1%} of {threshold['outliers']} "
            "photos of other things, on which it was not chosen."
        )
    known = "There is no threshold: every photo gets a landmark."
    if threshold:
        known = (
            f"Below a probability of {threshold['value']:.1%} the answer is \"no known "
            f"landmark\": {threshold['known_accepted']:.1%} of the test photos reach "
            "it."
        )
    return {"sureness": "\n".join((sure, known, outliers))}


def _table(run_dir: Path, parity: dict, milliseconds: Mapping[str, float]) -> str:
    lines = [
        "| file | MB | ms | first answers as the model's | accuracy | furthest off |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, found in parity.items():
        file = run_folder.EXPORTS[name]
        if found["faults"]:
            lines.append(f"| `{file}` not written: {'; '.join(found['faults'])} |||||")
            continue
        megabytes = run_folder.count_bytes(run_dir / file) / 1e6
        took = f"{milliseconds[name]:.1f}" if name in milliseconds else ""
        entrances = list(found["entrances"].values())
        difference = max(entrance["max_difference"] for entrance in entrances)
        lines.append(
            f"| `{file}` | {megabytes:.1f} | {took} | {found['agreement']:.1%} "
            f"| {entrances[0]['top1']:.1%} | {difference:.1g} |"
        )
    return "\n".join(lines)
