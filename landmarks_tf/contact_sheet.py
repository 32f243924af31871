"""One picture of many photos, each above its answer. Pillow only."""

import math
from pathlib import Path

import matplotlib
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

from landmarks_tf.errors import InvalidInput

# In pixels, of the square that a photo is shown in; less where there are very many.
_MAX_SIDE = 200
_MIN_SIDE = 64
_MARGIN = 8
_LINE = 16
_FONT_SIZE = 12
# 150 MB in memory.
_MAX_PIXELS = 50_000_000
_TILE_ASPECT = 4 / 3


class ContactSheet:
    """A picture that fills up photo by photo.

    Args:
        num_photos: for which there is to be room.
        num_lines: of text below each.

    Raises:
        InvalidInput: if so many would be too small to see.
    """

    def __init__(self, num_photos: int, num_lines: int) -> None:
        text = num_lines * _LINE
        widest = math.ceil(math.sqrt(num_photos * _TILE_ASPECT))
        self._columns = max(1, min(num_photos, widest))
        rows = -(-num_photos // self._columns)
        area = _MAX_PIXELS / max(self._columns * rows, 1)
        # Of side² + side · text = area.
        fitting = int((math.sqrt(text**2 + 4 * area) - text) / 2) - 2 * _MARGIN
        if fitting < _MIN_SIDE:
            raise InvalidInput(
                f"{num_photos} photos are too many for one contact sheet: name fewer"
            )
        self._side = min(fitting, _MAX_SIDE)
        self._tile = self._side + _MARGIN, self._side + text + _MARGIN
        size = (
            self._columns * self._tile[0] + _MARGIN,
            rows * self._tile[1] + _MARGIN,
        )
        self._sheet = Image.new("RGB", size, "white")
        self._draw = ImageDraw.Draw(self._sheet)
        # Matplotlib's own font has the letters of most languages, Pillow's only ours.
        font = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
        self._font = ImageFont.truetype(str(font), _FONT_SIZE)
        self._count = 0

    def add(self, picture: Image.Image | None, lines: list[str]) -> None:
        """Adds a photo, or a grey square for one that cannot be read, and its text."""
        row, column = divmod(self._count, self._columns)
        left = _MARGIN + column * self._tile[0]
        top = _MARGIN + row * self._tile[1]
        shown = picture or Image.new("RGB", (self._side, self._side), "lightgrey")
        shown = shown.copy()
        shown.thumbnail((self._side, self._side))
        self._sheet.paste(shown, (left, top + self._side - shown.height))
        for number, line in enumerate(lines):
            place = left, top + self._side + number * _LINE
            self._draw.text(place, self._cut(line), "black", self._font)
        self._count += 1

    def save(self, path: Path) -> None:
        """Writes the picture, in the format of the path's suffix."""
        self._sheet.save(path)

    def _cut(self, line: str) -> str:
        line = " ".join(line.split())
        if self._draw.textlength(line, self._font) <= self._side:
            return line
        while line and self._draw.textlength(f"{line}…", self._font) > self._side:
            line = line[:-1]
        return f"{line}…"
