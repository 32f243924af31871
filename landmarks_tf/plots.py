"""Pictures of numbers: PNG files, and SVG inside pages.

No arithmetic beyond what is drawn.
"""

import io
import math
import re
import textwrap
import warnings
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from matplotlib.ticker import PercentFormatter
from PIL import Image

_BLUE, _ORANGE, _RED = "#3b75af", "#ef8636", "#b3261e"
# Inches.
_CHART_SIZE = (3.8, 2.4)
_SMALL_CELL, _LARGE_CELL = 0.17, 0.36
# So many classes have large cells at most.
_MAX_LARGE = 15
_MAX_NAME = 26
# A single mistake must be seen beside a row of right answers.
_MIN_OPACITY = 0.3
_TITLE_COLUMNS = 70

_MISSING_LETTER = "Glyph .* missing from font"

# For the figures of `draw_picture`, which others draw: such letters are boxes there.
warnings.filterwarnings("ignore", _MISSING_LETTER)


def write_curves(path: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Draws loss and accuracy of training and validation by epoch."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, metric in zip(figure.subplots(1, 2), ("loss", "accuracy")):
        _plot_curves(axes, history, metric)
    figure.savefig(path, dpi=120)


def draw_curves(history: Sequence[Mapping[str, float]], metric: str) -> str:
    """Returns a chart of a metric by epoch, of training and validation, in SVG.

    Args:
        history: for each epoch the metric and `val_` of it, where they are known.
        metric: `loss` or `accuracy`.
    """
    figure, axes = _make_axes(*_CHART_SIZE)
    _plot_curves(axes, history, metric)
    return _to_svg(figure, f"{metric} by epoch")


def draw_reliability(counts: np.ndarray, accuracies: np.ndarray) -> str:
    """Returns a chart of accuracy by confidence, in SVG.

    Takes what `evaluation.calibration_bins` returns.
    """
    figure, axes = _make_axes(*_CHART_SIZE)
    width = 1 / len(counts)
    centers = width * (np.arange(len(counts)) + 0.5)
    axes.bar(centers, accuracies, 0.9 * width, color=_BLUE)
    for center, count in zip(centers, counts):
        if count:
            axes.text(center, -0.07, str(count), ha="center", fontsize=7)
    axes.plot((0, 1), (0, 1), "--", color=_ORANGE)
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(-0.09, 1.02))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    return _to_svg(figure, "accuracy by confidence")


def draw_confusion(matrix: np.ndarray, names: Sequence[str]) -> str:
    """Returns a confusion matrix with its names, in SVG.

    Args:
        matrix: int `[num_classes, num_classes]`, rows true, columns predicted, both in
            the order to show.
        names: to show.
    """
    num_classes = len(names)
    side = num_classes * (_LARGE_CELL if num_classes <= _MAX_LARGE else _SMALL_CELL)
    figure, axes = _make_axes(side, side)
    totals = matrix.sum(axis=1)
    for row, column in np.argwhere(matrix).tolist():
        share = matrix[row, column] / totals[row]
        color = _BLUE if row == column else _RED
        place = (column - 0.5, row - 0.5)
        opacity = max(_MIN_OPACITY, share)
        axes.add_patch(Rectangle(place, 1, 1, color=color, alpha=opacity, linewidth=0))
        text = "white" if opacity > 0.5 else "black"
        number = str(matrix[row, column])
        axes.text(column, row, number, ha="center", va="center", color=text, fontsize=7)
    short = [n if len(n) <= _MAX_NAME else f"{n[:_MAX_NAME - 1]}…" for n in names]
    axes.set_xticks(range(num_classes), short, rotation=90, parse_math=False)
    axes.set_yticks(range(num_classes), short, parse_math=False)
    axes.xaxis.tick_top()
    limits = (-0.5, num_classes - 0.5)
    axes.set(xlim=limits, ylim=limits[::-1])
    axes.xaxis.set_label_position("top")
    axes.set_xlabel("predicted", loc="left")
    axes.set_ylabel("true", loc="top")
    return _to_svg(figure, "confusion matrix")


def draw_picture(picture: Image.Image, title: str) -> Figure:
    """Returns a picture under a title of one sentence."""
    width = 8.0
    height = width * picture.height / picture.width
    figure = Figure(figsize=(width, min(height, 2 * width) + 1), layout="constrained")
    axes = figure.subplots()
    axes.imshow(picture)
    axes.set_axis_off()
    axes.set_title(textwrap.fill(title, _TITLE_COLUMNS), fontsize=13, parse_math=False)
    return figure


def _make_axes(width: float, height: float) -> tuple[Figure, Axes]:
    """Returns axes of a size in inches. What stands around them comes on top."""
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.tick_params(labelsize=8)
    return figure, axes


def _plot_curves(
    axes: Axes, history: Sequence[Mapping[str, float]], metric: str
) -> None:
    epochs = np.arange(1, len(history) + 1)
    styles = {metric: ("training", _BLUE), f"val_{metric}": ("validation", _ORANGE)}
    for name, (label, color) in styles.items():
        values = [row.get(name, math.nan) for row in history]
        axes.plot(epochs, values, marker=".", label=label, color=color)
    axes.set(xlabel="epoch", ylabel=metric)
    axes.set_ylim(0, 1 if metric == "accuracy" else None)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()


def _to_svg(figure: Figure, description: str) -> str:
    """Returns a chart as an element of a page that may hold others."""
    settings: Any = {
        # Text stays text: a browser finds it, and has the letters for it.
        "svg.fonttype": "none",
        "font.sans-serif": ["DejaVu Sans"],
        # Ids are the same each time, and other ones than in the next chart.
        "svg.hashsalt": description,
    }
    file = io.StringIO()
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", _MISSING_LETTER)
        figure.savefig(
            file,
            format="svg",
            bbox_inches="tight",
            transparent=True,
            metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")),
        )
    # Each chart names its groups alike, and nothing refers to them.
    text = re.sub(r'<g id="[^"]*">', "<g>", file.getvalue())
    start = f'<svg role="img" aria-label="{description}" '
    return start + text.partition("<svg ")[2]
