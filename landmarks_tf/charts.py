"""Pictures of numbers for pages: SVG and HTML, sharp at every width.

In the colours of the page, light or dark. No arithmetic beyond what is drawn. As PNG
files, see `plots`.
"""

import math
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from landmarks_tf.web_page import escape

# Of what is drawn here, for the page around it.
STYLE = """
.charts { display: flex; flex-wrap: wrap; gap: 1em 2em; }
.charts svg { max-width: 100%; height: auto; }
.scroll { overflow-x: auto; max-width: 100%; }
.matrix { display: flex; }
.matrix svg { flex: none; }
.matrix .names { position: sticky; left: 0; background: var(--page); }
.bars { display: grid; gap: .1em .8em; max-width: 46em; align-items: center;
  grid-template-columns: fit-content(14em) minmax(4em, 1fr) max-content; }
.bars > * { min-width: 0; overflow-wrap: anywhere; line-height: 1.25; }
.track { background: var(--faint); height: .8em; border-radius: 2px; }
.track i { display: block; height: 100%; background: var(--blue);
  border-radius: 2px; }
"""
_WIDTH = 400
_HEIGHT = 260
_LEFT, _TOP, _RIGHT, _BOTTOM = 42, 20, 10, 40
_PLOT_WIDTH = _WIDTH - _LEFT - _RIGHT
_PLOT_HEIGHT = _HEIGHT - _TOP - _BOTTOM
# Of more epochs, single ones are not marked.
_MAX_MARKED = 40
# Up to so many classes the cells of a matrix are large.
_MAX_LARGE = 15
_MAX_NAME = 26
# A single mistake is to be seen beside a row of right answers.
_MIN_OPACITY = 0.3
# In a cell, whose label is to show under the pointer.
_NUMBER = "font-size:10px;pointer-events:none;fill:var(--"
_LINES = {"training": "blue", "validation": "orange"}


def draw_curves(
    history: Sequence[Mapping[str, float]], metric: str, is_share: bool = False
) -> str:
    """Returns a chart of a metric by epoch, of training and validation.

    Args:
        history: for each epoch the metric and `val_` of it.
        metric: its name.
        is_share: whether it is in [0, 1].
    """
    rows = {"training": metric, "validation": f"val_{metric}"}
    curves = {
        label: [row.get(name, math.nan) for row in history]
        for label, name in rows.items()
    }
    finite = [v for values in curves.values() for v in values if math.isfinite(v)]
    top = 1.0 if is_share else _round_up(max(finite, default=1.0))
    last = max(len(history), 2)
    parts = [_axes(top, is_share), _x_labels("1", "epoch", str(last))]
    for place, (label, values) in enumerate(curves.items()):
        color = _LINES[label]
        points = [
            (_x((epoch - 1) / (last - 1)), _y(value / top))
            for epoch, value in enumerate(values, start=1)
            if math.isfinite(value)
        ]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(
            f'<polyline points="{line}" style="fill:none;stroke:var(--{color});'
            'stroke-width:1.8"/>'
        )
        if len(points) <= _MAX_MARKED:
            parts += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2" style="fill:var(--{color})"'
                "/>"
                for x, y in points
            ]
        parts.append(
            f'<text x="{_LEFT + 90 * place}" y="12" style="fill:var(--{color})">'
            f"{label}</text>"
        )
    parts.append(_text(_WIDTH - _RIGHT, 12, metric, "end"))
    return _svg(_WIDTH, _HEIGHT, f"{metric} by epoch", parts)


def draw_reliability(
    counts: np.ndarray, confidences: np.ndarray, accuracies: np.ndarray
) -> str:
    """Returns a chart of how often answers are right by how sure they are.

    Takes what `evaluation.calibration_bins` returns.
    """
    width = 1 / len(counts)
    parts = [_axes(1.0, True), _x_labels("0%", "confidence", "100%")]
    bins = zip(counts.tolist(), confidences.tolist(), accuracies.tolist())
    for place, (count, confidence, accuracy) in enumerate(bins):
        if not count:
            continue
        left, y = _x(place * width), _y(accuracy)
        label = f"{count} photos: {confidence:.1%} sure, {accuracy:.1%} right"
        parts.append(
            f'<rect x="{left + 1:.1f}" y="{y:.1f}" '
            f'width="{_PLOT_WIDTH * width - 2:.1f}" height="{_y(0) - y:.1f}" '
            f'style="fill:var(--blue);fill-opacity:.75"><title>{label}</title></rect>'
        )
        x = left + _PLOT_WIDTH * width / 2
        parts.append(_text(x, _y(0) + 12, str(count), "middle", "font-size:9px"))
    parts.append(
        f'<path d="M{_x(0)} {_y(0)}L{_x(1)} {_y(1)}" style="fill:none;'
        'stroke:var(--orange);stroke-dasharray:4 3"/>'
    )
    parts.append(_text(_LEFT, 12, "share that is right", "start"))
    return _svg(_WIDTH, _HEIGHT, "reliability of the probabilities", parts)


def draw_bars(rows: Sequence[tuple[str, float, int]]) -> str:
    """Returns a bar for each name, of a share in [0, 1] of so many photos."""
    bars = "".join(
        f'<span>{escape(name)}</span><span class="track"><i style="width:{share:.1%}">'
        f'</i></span><span class="number">{share:.1%} of {count}</span>'
        for name, share, count in rows
    )
    return f'<div class="bars">{bars}</div>'


def draw_confusion(matrix: np.ndarray, names: Sequence[str]) -> str:
    """Returns a confusion matrix with its names, in a box of its own to scroll in.

    Args:
        matrix: int `[num_classes, num_classes]`, rows true, columns answered, both in
            the order to show.
        names: to show.
    """
    cell = 34 if len(names) <= _MAX_LARGE else 16
    size = cell * len(names)
    short = [n if len(n) <= _MAX_NAME else f"{n[:_MAX_NAME - 1]}…" for n in names]
    # A letter is about half as wide as it is high.
    margin = 12 + round(6.2 * max(map(len, short), default=0))
    rows = [
        _text(margin - 6, margin + (place + 0.5) * cell + 4, name, "end")
        for place, name in enumerate(short)
    ]
    rows.append(_text(margin - 6, margin - 6, "true ↓ answered →", "end"))
    columns = [
        f'<text transform="translate({(place + 0.5) * cell + 4:.1f} {margin - 6}) '
        f'rotate(-90)">{escape(name)}</text>'
        for place, name in enumerate(short)
    ]
    grid = [
        f'<rect y="{margin}" width="{size}" height="{size}" '
        'style="fill:none;stroke:var(--line)"/>'
    ]
    height = margin + size + 2
    description = "confusion matrix: rows true, columns answered"
    return (
        '<div class="scroll matrix">'
        + _svg(margin, height, "true landmarks", rows, "names")
        + _svg(
            size + 8,
            height,
            description,
            columns + grid + _cells(matrix, names, cell, margin),
        )
        + "</div>"
    )


def _cells(matrix: np.ndarray, names: Sequence[str], cell: int, top: int) -> list[str]:
    """Returns the cells that are not empty, with their numbers."""
    totals = np.maximum(matrix.sum(axis=1), 1)
    parts = []
    for row, column in np.argwhere(matrix).tolist():
        count, total = int(matrix[row, column]), int(totals[row])
        x, y = column * cell, top + row * cell
        color, verb = ("blue", "is") if row == column else ("bad", "taken for")
        opacity = max(_MIN_OPACITY, count / total)
        style = f"{_NUMBER}{'page' if opacity > 0.5 else 'text'})"
        label = f"{names[row]} {verb} {names[column]}: {count} of {total} photos"
        parts.append(
            f'<rect x="{x}" y="{y}" width="{cell}" height="{cell}" '
            f'style="fill:var(--{color});fill-opacity:{opacity:.2f}">'
            f"<title>{escape(label)}</title></rect>"
            + _text(x + cell / 2, y + cell / 2 + 3.5, str(count), "middle", style)
        )
    return parts


def _axes(top: float, is_share: bool) -> str:
    lines = []
    for quarter in range(5):
        y, value = _y(quarter / 4), top * quarter / 4
        label = f"{value:.0%}" if is_share else f"{value:.3g}"
        lines.append(
            f'<path d="M{_LEFT} {y:.1f}H{_LEFT + _PLOT_WIDTH}" '
            'style="stroke:var(--faint)"/>' + _text(_LEFT - 6, y + 4, label, "end")
        )
    return "".join(lines)


def _x_labels(*labels: str) -> str:
    places = zip(labels, (0, 0.5, 1), ("start", "middle", "end"))
    return "".join(_text(_x(x), _HEIGHT - 8, text, at) for text, x, at in places)


def _text(x: float, y: float, text: str, anchor: str, style: str = "") -> str:
    styled = f' style="{style}"' if style else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{styled}>'
        f"{escape(text)}</text>"
    )


def _svg(
    width: int, height: int, description: str, parts: Sequence[str], kind: str = ""
) -> str:
    named = f' class="{kind}"' if kind else ""
    return (
        f'<svg{named} viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{escape(description)}">'
        f"{''.join(parts)}</svg>"
    )


def _x(fraction: float) -> float:
    return _LEFT + _PLOT_WIDTH * fraction


def _y(fraction: float) -> float:
    return _TOP + _PLOT_HEIGHT * (1 - fraction)


def _round_up(value: float) -> float:
    """Returns the next of 1, 2, 4, 6, 8, 10 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(n * power for n in (1, 2, 4, 6, 8, 10) if n * power >= value * 0.999)
