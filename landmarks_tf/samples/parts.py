"""The shapes that the sample set's landmarks are made of, drawn with a `Pen`.

Owns outlines and how they are painted, in scene units: x to the right, y up, the ground
at y = 0. Does not own which landmark has which shapes: see `sample_scenes`.
"""

import dataclasses
import math
import random

import numpy as np
from PIL import ImageDraw

# How far rock strays from its outline.
_ROUGHNESS = 0.025


@dataclasses.dataclass
class Pen:
    """What shapes are painted with: a canvas, a generator, a palette, a viewpoint."""

    draw: ImageDraw.ImageDraw
    rng: random.Random
    colors: dict[str, tuple[int, ...]]
    view: np.ndarray  # 3x3, a plane projection to pixels
    spin: float  # where rings begin, in turns

    def at(self, x, y, wide, high, lean=0.0, turn=None) -> "Pen":
        """Returns a pen whose unit square stands at (x, y), stretched and leaning."""
        angle = 0.0 if turn is None else math.tau * (turn + self.spin)
        c, s = math.cos(angle), math.sin(angle)
        square = np.array([[c, c * lean - s, x], [s, s * lean + c, y], [0, 0, 1]])
        square[:, :2] *= wide, high
        return dataclasses.replace(self, view=self.view @ square)

    def paint(self, points: np.ndarray, color: str, width: float = 0.0) -> None:
        """Draws a line of some width, or fills an outline and shades its right side.

        The shade makes it look round; where the palette has none, it is flat.
        """
        if color.startswith("rock"):
            points = self._roughen(points)
        if width:
            high = math.hypot(*self.view[:2, 1]) / self.view[2, 2]
            pixels = max(1, round(width * high))
            joint = "curve" if len(points) > 2 and pixels > 2 else None
            self.draw.line(self._project(points), self.colors[color], pixels, joint)
            return
        self.draw.polygon(self._project(points), self.colors[color])
        if shade := self.colors.get(f"{color}_shade"):
            x, y = points.T
            middle = (x.min() + x.max()) / 2
            right = np.column_stack([np.maximum(x, middle + 0.3 * (middle - x)), y])
            self.draw.polygon(self._project(right), shade)

    def _project(self, points: np.ndarray) -> list[float]:
        moved = self.view[:, :2] @ points.T + self.view[:, 2:]
        return (moved[:2] / moved[2]).T.ravel().tolist()

    def _roughen(self, points: np.ndarray) -> np.ndarray:
        """Returns the outline with every edge broken and jittered."""
        shares = np.array([[0.0], [0.25], [0.5], [0.75]])
        broken = points[:-1, None] + shares * np.diff(points, axis=0)[:, None]
        jitter = [self.rng.uniform(-_ROUGHNESS, _ROUGHNESS) for _ in range(broken.size)]
        broken += np.reshape(jitter, broken.shape)
        return np.concatenate([broken.reshape(-1, 2), points[-1:]])


def slab(wide, high, top=1.0):
    a, b = wide / 2, wide / 2 * top
    return np.array([(-a, 0), (a, 0), (b, high), (-b, high)])


def oval(wide, high, start=0.0, stop=360.0):
    turns = np.radians(np.linspace(start, stop, 21))
    return np.column_stack([wide * np.cos(turns), high * np.sin(turns)])


def poly(*numbers):
    return np.reshape(numbers, (-1, 2))


def line(*numbers):
    return poly(0, 0, *numbers)


SHAPES = {shape.__name__: shape for shape in (slab, oval, poly, line)}
