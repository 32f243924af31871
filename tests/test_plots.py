import numpy as np
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
