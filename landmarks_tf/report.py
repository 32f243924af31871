"""The page on an evaluation: how good a run is, where it errs and where it looks.

Owns the page's form, from numbers and pictures that are there. No TensorFlow, no files.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from PIL import Image

from landmarks_tf import charts
from landmarks_tf import evaluation
from landmarks_tf import web_page
from landmarks_tf.conditions import ConditionResult
from landmarks_tf.web_page import escape

# Of photos answered wrong, and of right ones, that are shown.
MAX_SHOWN = 12
# Pixels.
THUMBNAIL_SIDE = 180
# A page must open in a browser, however many classes there are.
_MAX_CLASSES = 200
_STYLE = """
.numbers { display: flex; flex-wrap: wrap; gap: .6em 2.6em; }
.numbers b { display: block; font-size: 1.9em; line-height: 1.2; }
.numbers span { color: var(--muted); font-size: 13px; }
.photos { display: grid; gap: 1em 1.2em;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 20em), 1fr)); }
.photos figure { margin: 0; } .photos b { color: var(--text); font-size: 14px; }
.pair { display: flex; gap: 4px; align-items: flex-start; }
.pair img { max-width: calc(50% - 2px); height: auto; }
.examples { display: grid; gap: .8em 1em; margin-top: 1.2em; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); }
.examples figure { margin: 0; } .examples img { max-width: 100%; height: auto; }
th { text-align: left; font-weight: normal; color: var(--muted); font-size: 13px; }
th, td { padding: .2em 1em .2em 0; vertical-align: baseline; }
.number { text-align: right; white-space: nowrap; }
"""


@dataclass(frozen=True)
class ShownPhoto:
    """A photo with its answer.

    Attributes:
        path: relative to the data folder.
        true_name: of the landmark it shows.
        answered_name: of the most probable one.
        probability: of that, in [0, 1].
        picture: RGB, upright.
        overlay: the same with colours where the network looks; None without.
    """

    path: str
    true_name: str
    answered_name: str
    probability: float
    picture: Image.Image
    overlay: Image.Image | None = None


@dataclass(frozen=True)
class Evaluation:
    """What the page tells.

    Attributes:
        run_name: of the run.
        day: of the evaluation.
        photos: which, in a few words: test photos of landmarks50.
        names: to show, of each class.
        metrics: of `evaluation.evaluate_probabilities`.
        probabilities: float `[num_images, num_classes]`.
        labels: integers `[num_images]`.
        history: rows by epoch with `loss`, `accuracy` and `val_` of both; may be empty.
        mistakes: the most confident ones first.
        unsure: right answers, the least certain first.
        conditions: the photos as they are first; empty without.
        no_overlays: why there are none, a sentence; empty if there are.
    """

    run_name: str
    day: date
    photos: str
    names: Sequence[str]
    metrics: Mapping[str, Any]
    probabilities: np.ndarray
    labels: Sequence[int]
    history: Sequence[Mapping[str, float]] = ()
    mistakes: Sequence[ShownPhoto] = ()
    unsure: Sequence[ShownPhoto] = ()
    conditions: Sequence[ConditionResult] = ()
    no_overlays: str = ""


def build_page(found: Evaluation) -> str:
    """Returns the page, HTML that refers to nothing outside itself."""
    parts = [
        web_page.begin_page(f"How good is {found.run_name}?", charts.STYLE + _STYLE),
        _headline(found),
        *_curves(found.history),
        *_confusion(found),
        "<h2>Accuracy by landmark</h2>",
        _bars(found),
        *_reliability(found),
        *_photos("The most confident mistakes", found.mistakes, found),
        *_photos("The least certain right answers", found.unsure, found),
        *_conditions(found.conditions),
    ]
    return "\n".join(parts) + "\n"


def _headline(found: Evaluation) -> str:
    metrics = found.metrics
    low, high = metrics["top1_interval"]
    numbers = (
        (
            f"{metrics['top1']:.1%}",
            f"right at once: top-1 (95 % interval {low:.1%} to {high:.1%})",
        ),
        (f"{metrics['top5']:.1%}", "among the first five: top-5"),
        (
            f"{metrics['calibration_error']:.3f}",
            "probabilities off on average: calibration error",
        ),
        (str(metrics["num_images"]), f"photos of {len(found.names)} landmarks"),
    )
    shown = "".join(f"<div><b>{n}</b><span>{text}</span></div>" for n, text in numbers)
    return (
        f"<p>Asked on {found.day.isoformat()} about {escape(found.photos)}.</p>"
        f'<div class="numbers">{shown}</div>'
    )


def _curves(history: Sequence[Mapping[str, float]]) -> list[str]:
    if not history:
        return []
    return [
        "<h2>Training</h2>",
        f'<div class="charts">{charts.draw_curves(history, "loss")}'
        f'{charts.draw_curves(history, "accuracy", is_share=True)}</div>',
    ]


def _confusion(found: Evaluation) -> list[str]:
    order = evaluation.order_by_confusion(found.probabilities, found.labels)
    matrix = evaluation.confusion_matrix(found.probabilities, found.labels)
    text = (
        "A row for each landmark, a column for each answer: right ones blue, mistakes "
        "red. Landmarks that are easily confused stand side by side."
    )
    if len(order) > _MAX_CLASSES:
        mistakes = matrix - np.diag(np.diag(matrix))
        is_confused = mistakes.any(axis=0) | mistakes.any(axis=1)
        order = [label for label in order if is_confused[label]][:_MAX_CLASSES]
        text += f" Of {len(found.names)}, {len(order)} are shown that are confused."
    names = [found.names[label] for label in order]
    drawn = charts.draw_confusion(matrix[np.ix_(order, order)], names)
    return ["<h2>Which landmark is taken for which</h2>", f"<p>{text}</p>", drawn]


def _bars(found: Evaluation) -> str:
    classes = zip(found.names, found.metrics["per_class"].values())
    rows = [(name, row["accuracy"], row["num_images"]) for name, row in classes]
    known = [row for row in rows if row[2]]
    # Of equal ones, that of more photos is the surer.
    known.sort(key=lambda row: (row[1], -row[2]))
    rest, missing = len(known) - _MAX_CLASSES, len(found.names) - len(known)
    note = f"<p>And {rest} more, which are better.</p>" if rest > 0 else ""
    if missing:
        note += f"<p>No photos of {missing} landmarks.</p>"
    return charts.draw_bars(known[:_MAX_CLASSES]) + note


def _reliability(found: Evaluation) -> list[str]:
    bins = evaluation.calibration_bins(found.probabilities, found.labels)
    return [
        "<h2>Is it right as often as it says?</h2>",
        "<p>Bars on the broken line: a probability is what it says. Above, the network "
        "is too modest, below, too sure. Under each bar, how many photos.</p>",
        f'<div class="charts">{charts.draw_reliability(*bins)}</div>',
    ]


def _photos(title: str, photos: Sequence[ShownPhoto], found: Evaluation) -> list[str]:
    if not photos:
        return [f"<h2>{title}</h2>", "<p>None.</p>"]
    text = found.no_overlays or (
        "Beside each photo, in warm colours, what speaks for the answer (Grad-CAM)."
    )
    figures = "".join(map(_photo, photos))
    return [
        f"<h2>{title}</h2>",
        f"<p>{escape(text)}</p>",
        f'<div class="photos">{figures}</div>',
    ]


def _photo(photo: ShownPhoto) -> str:
    pictures = _thumbnail(photo.picture, f"photo {photo.path}")
    if photo.overlay is not None:
        pictures += _thumbnail(photo.overlay, "where the network looks")
    answer = f"<b>{escape(photo.answered_name)}</b> {photo.probability:.1%}"
    if photo.true_name != photo.answered_name:
        answer += f"; it is <b>{escape(photo.true_name)}</b>"
    path = escape(photo.path).replace("/", "/<wbr>")
    caption = f"{answer}<br>{path}"
    return web_page.show_figure(f'<div class="pair">{pictures}</div>', caption)


def _conditions(results: Sequence[ConditionResult]) -> list[str]:
    if not results:
        return []
    usual = results[0]
    rows = "".join(_condition(result, usual) for result in results)
    examples = "".join(
        web_page.show_figure(
            _thumbnail(result.example, result.name),
            f"{escape(result.name)}, "
            f"{result.example.width}&times;{result.example.height}",
        )
        for result in results
    )
    return [
        "<h2>When photos are worse</h2>",
        f"<p>The same {usual.num_images} photos, changed before they are resized to "
        "what the network takes. Points: the difference from the first line.</p>",
        '<div class="scroll"><table><tr><th>photos<th class="number">accuracy'
        '<th class="number">95 % interval<th class="number">points</tr>'
        f"{rows}</table></div>",
        f'<div class="examples">{examples}</div>',
    ]


def _condition(result: ConditionResult, usual: ConditionResult) -> str:
    accuracy = result.num_right / result.num_images
    low, high = evaluation.wilson_interval(result.num_right, result.num_images)
    points = 100 * (accuracy - usual.num_right / usual.num_images)
    change = f"{points:+.1f}".replace("-", "\u2212") if points else "0"
    return (
        f"<tr><td>{escape(result.name)}"
        f'<td class="number">{accuracy:.1%}'
        f'<td class="number">{100 * low:.1f}&ndash;{high:.1%}'
        f'<td class="number">{"" if result is usual else change}</tr>'
    )


def _thumbnail(picture: Image.Image, description: str) -> str:
    data = web_page.encode_thumbnail(picture, THUMBNAIL_SIDE)
    return web_page.show_picture(data, description)
