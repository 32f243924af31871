import numpy as np
import pytest
from PIL import Image

from landmarks_tf import plots


def drawn_share(path):
    """Share of the picture's pixels that are not white."""
    with Image.open(path) as image:
        return np.mean(np.asarray(image.convert("L")) < 250)


def test_curves_show_what_the_history_holds(tmp_path):
    rows = [
        {
            "loss": 1 / n,
            "val_loss": 2 / n,
            "accuracy": 0.1 * n,
            "val_accuracy": 0.05 * n,
        }
        for n in range(1, 9)
    ]
    plots.write_curves(tmp_path / "eight.png", rows)
    plots.write_curves(tmp_path / "one.png", rows[:1])
    assert drawn_share(tmp_path / "eight.png") > drawn_share(tmp_path / "one.png") > 0


def test_names_are_drawn_as_they_are(tmp_path):
    path = tmp_path / "confusion.png"
    plots.write_confusion(path, np.eye(2, dtype=int), ["Caf$é^$", "$_x_$"])
    assert drawn_share(path) > 0.05


@pytest.mark.parametrize("num_classes", [3, 50])
def test_confusion_grows_with_the_classes(tmp_path, num_classes):
    names = [f"{index:02}.Landmark_Of_Some_Length" for index in range(num_classes)]
    path = tmp_path / "confusion.png"
    plots.write_confusion(path, np.eye(num_classes, dtype=int), names)
    with Image.open(path) as image:
        assert min(image.size) >= max(500, num_classes * 18)
    assert drawn_share(path) > 0.05
