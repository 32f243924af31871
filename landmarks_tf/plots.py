"""Pictures of numbers, written as PNG files. No arithmetic beyond what is drawn."""

import textwrap
import warnings
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

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
