"""What the tests of the page and its server share."""

import gc
import io

import pytest
from PIL import Image

# Gradio 6.31 leaves event loops open, which Python tells of when it clears them away.
pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
    ),
]

NAMES = ("0.Eiffel_Tower", "1.<b>Petra</b>", "2.Stone*henge*")


def redness(images):
    """Answers by how red, green and blue photos are."""
    sums = images.sum(axis=(1, 2))
    return sums / sums.sum(axis=1, keepdims=True)


def photo_of(*color):
    file = io.BytesIO()
    Image.new("RGB", (90, 60), color).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module", autouse=True)
def cleared_away():
    yield
    gc.collect()
