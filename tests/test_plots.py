import math
import re

import numpy as np
import pytest
from conftest import Page
from PIL import Image

from landmarks_tf import plots
from landmarks_tf.evaluation.metrics import calibration_bins

BLUE, RED = "#3b75af", "#b3261e"


def history(*losses):
    return [
        {"loss": loss, "val_loss": 2 * loss, "accuracy": 0.3, "val_accuracy": 0.2}
        for loss in losses
    ]


def drawn_share(path):
    """Share of the picture's pixels that are not white."""
    with Image.open(path) as image:
        return np.mean(np.asarray(image.convert("L")) < 250)


def texts(svg):
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def bars(svg, color):
    """Lowest x and height of each rectangle of a colour."""
    paths = re.findall(rf'<path d="([^"]*)"[^>]*style="fill: {color}', svg)
    corners = [re.findall(r"[ML] (\S+) (\S+)", path) for path in paths]
    found = []
    for points in corners:
        columns, rows = zip(*((float(x), float(y)) for x, y in points))
        found.append((min(columns), max(rows) - min(rows)))
    return found


def test_curves_show_what_the_history_holds(tmp_path):
    rows = history(*(1 / n for n in range(1, 9)))
    plots.write_curves(tmp_path / "eight.png", rows)
    plots.write_curves(tmp_path / "one.png", rows[:1])
    assert drawn_share(tmp_path / "eight.png") > drawn_share(tmp_path / "one.png") > 0


def test_an_epoch_has_a_mark_unless_its_number_is_missing_or_infinite():
    def count_marks(*losses):
        svg = plots.draw_curves(history(*losses), "loss")
        return len(re.findall(r"<use [^>]*fill: #", svg))

    in_legend = count_marks(math.nan, math.inf)
    assert count_marks(3) == in_legend + 2
    assert count_marks(3, math.nan, 1) == in_legend + 4
    assert {"training", "validation", "epoch", "loss"} <= set(
        texts(plots.draw_curves([{"loss": 3.0}], "loss"))
    )


def test_a_chart_is_one_safe_element_and_the_same_each_time():
    names = ["<b>&amp; $x_1$", "</svg><script>", '東京 id="a"']
    first = plots.draw_confusion(np.eye(3, dtype=int), names)
    page = Page(first)
    assert page.open == [] and page.tags[0] == "svg"
    assert not {"b", "script"} & set(page.tags)
    for name in names:
        assert page.text.count(name) == 2
    assert first == plots.draw_confusion(np.eye(3, dtype=int), names)


def test_reliability_has_a_bar_for_each_bin_with_photos():
    probabilities = np.array([[0.95, 0.05], [0.95, 0.05], [0.6, 0.4]])
    counts, _, accuracies = calibration_bins(probabilities, [0, 1, 0])
    svg = plots.draw_reliability(counts, accuracies)
    heights = [height for _, height in sorted(bars(svg, BLUE)) if height]
    # The one photo that is 60 % sure is right, as is one of two that are 95 % sure.
    assert heights == [pytest.approx(2 * heights[1], rel=1e-3), heights[1]]
    assert {"1", "2", "0%", "100%"} <= set(texts(svg)) and "0" not in texts(svg)


def test_a_matrix_has_the_cells_that_are_not_empty():
    svg = plots.draw_confusion(np.array([[3, 1], [0, 2]]), ["x", "y" * 40])
    right, (mistake,) = sorted(bars(svg, BLUE)), bars(svg, RED)
    # The one mistake: second column, first row.
    assert len(right) == 2 and mistake[0] == pytest.approx(right[1][0])
    assert sorted(set("0123") & set(texts(svg))) == ["1", "2", "3"]
    # Long names are shortened.
    assert "y" * 25 + "…" in texts(svg)
