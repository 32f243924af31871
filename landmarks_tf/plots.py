"""Pictures of numbers, written as PNG files. No arithmetic beyond what is drawn."""

import textwrap
import warnings
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from landmarks_tf import wording

# Above so many classes a number in every cell cannot be read.
_MAX_CLASSES_WITH_NUMBERS = 15
_TITLE_COLUMNS = 70

# Letters that matplotlib's font lacks are boxes here, and themselves in report.html.
warnings.filterwarnings("ignore", "Glyph .* missing from font")


def write_curves(path: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Draws loss and accuracy of training and validation by epoch."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    epochs = np.arange(1, len(history) + 1)
    for axes, metric in zip(figure.subplots(1, 2), ("loss", "accuracy")):
        for name, label in ((metric, "training"), (f"val_{metric}", "validation")):
            values = [row[name] for row in history]
            axes.plot(epochs, values, marker=".", label=label)
        axes.set(xlabel="epoch", ylabel=metric)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120)


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


def write_confusion(path: Path, matrix: np.ndarray, class_names: Sequence[str]) -> None:
    """Draws a confusion matrix: rows true, columns answered, each row's shares."""
    num_classes = len(class_names)
    totals = np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = max(5.0, 2.5 + 0.21 * num_classes)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(matrix / totals, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    ticks = range(num_classes)
    class_names = [wording.printable(name) for name in class_names]
    font_size = 7 if num_classes > _MAX_CLASSES_WITH_NUMBERS else 9
    axes.set_xticks(
        ticks, class_names, rotation=90, fontsize=font_size, parse_math=False
    )
    axes.set_yticks(ticks, class_names, fontsize=font_size, parse_math=False)
    axes.set(xlabel="answered", ylabel="true")
    if num_classes <= _MAX_CLASSES_WITH_NUMBERS:
        for (row, column), count in np.ndenumerate(matrix):
            is_dark = count > totals[row, 0] / 2
            color = "white" if is_dark else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=color)
    figure.savefig(path, dpi=120)
