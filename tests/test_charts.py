import math
import re

import numpy as np
import pytest
from conftest import Page

from landmarks_tf import charts
from landmarks_tf import evaluation


def history(*losses):
    return [{"loss": loss, "val_loss": 2 * loss} for loss in losses]


def points(svg):
    """The corners of each line."""
    lines = re.findall(r'points="([^"]*)"', svg)
    return [[tuple(map(float, xy.split(","))) for xy in x.split()] for x in lines]


def test_a_curve_falls_as_the_loss_does():
    training, validation = points(charts.draw_curves(history(3, 2, 1), "loss"))
    heights = [y for _, y in training]
    # Up to 6, the largest of all: downward is larger in SVG.
    assert heights == sorted(heights)
    assert validation[0][1] == pytest.approx(20) and len(validation) == 3


def test_epochs_without_a_number_are_left_out_and_one_is_marked():
    svg = charts.draw_curves(history(3, math.nan, 1), "loss")
    assert [len(line) for line in points(svg)] == [2, 2]
    svg = charts.draw_curves(history(3), "loss")
    assert svg.count("<circle") == 2
    assert "nan" not in charts.draw_curves(history(math.nan, math.inf), "loss")


@pytest.mark.parametrize(
    ("largest", "label"), [(0.021, "0.04"), (1, "1"), (7.3, "8"), (96, "100"), (0, "1")]
)
def test_the_axis_ends_at_a_round_number(largest, label):
    rows = [{"loss": largest, "val_loss": largest}]
    assert f">{label}</text>" in charts.draw_curves(rows, "loss")


def test_reliability_has_a_bar_for_each_bin_with_photos():
    probabilities = np.array([[0.95, 0.05], [0.95, 0.05], [0.6, 0.4]])
    bins = evaluation.calibration_bins(probabilities, [0, 1, 0])
    svg = charts.draw_reliability(*bins)
    assert svg.count("<rect") == 2
    assert "2 photos: 95.0% sure, 50.0% right" in svg
    heights = [float(x) for x in re.findall(r'<rect.*? height="([\d.]+)"', svg)]
    assert heights[0] == pytest.approx(2 * heights[1])


def test_bars_have_the_length_of_their_share():
    html = charts.draw_bars([("<a>", 0.25, 8), ("b", 1.0, 3)])
    assert "width:25.0%" in html and "25.0% of 8" in html
    assert html.index("&lt;a&gt;") < html.index("100.0% of 3")


def test_a_matrix_has_the_cells_that_are_not_empty():
    matrix = np.array([[3, 1], [0, 2]])
    html = charts.draw_confusion(matrix, ["<x>", "y" * 40])
    page = Page(html)
    assert page.open == []
    for text in (
        "<x> is <x>: 3 of 4 photos",
        f"<x> taken for {'y' * 40}: 1 of 4 photos",
        f"{'y' * 40} is {'y' * 40}: 2 of 2 photos",
    ):
        assert text in page.text
    # Three cells and the frame; long names are shortened.
    assert page.tags.count("rect") == 4
    assert "y" * 25 + "…" in page.text
    # The one mistake: second column, first row.
    (x,), (first, second) = re.findall(r'x="(\d+)" y="\d+"[^>]*bad', html), re.findall(
        r'x="(\d+)" y="\d+"[^>]*blue', html
    )
    assert int(first) == 0 and int(x) == int(second) > 0
