"""The parts that the sample set's landmarks are made of, drawn with a `Pen`.

Owns the drawing of arches, slabs, cliffs, blades and so on in scene units: x to the
right, y up, the ground at y = 0; a part stands at x, y: the middle of its foot. Does
not own which landmark has which parts: see `sample_scenes`.
"""

import dataclasses
import math
import random

from PIL import ImageDraw

Point = tuple[float, float]


@dataclasses.dataclass
class Pen:
    """What the parts draw with: a canvas, a generator, a palette and a viewpoint."""

    draw: ImageDraw.ImageDraw
    rng: random.Random
    colors: dict[str, tuple[int, int, int]]
    view: tuple[float, ...]  # the 8 numbers of a plane projection to pixels

    def project(self, points: list[Point]) -> list[Point]:
        a, b, c, d, e, f, g, h = self.view
        scaled = [(x, y, 1.0 / (g * x + h * y + 1.0)) for x, y in points]
        return [
            ((a * x + b * y + c) * k, (d * x + e * y + f) * k) for x, y, k in scaled
        ]

    def at(self, x: float, y: float, wide: float, high: float, lean: float = 0.0):
        """Returns a pen whose unit square stands at (x, y), stretched and leaning."""
        a, b, c, d, e, f, g, h = self.view
        rows = ((a, b, c), (d, e, f), (g, h, 1.0))
        moved = [
            (p * wide, (p * lean + q) * high, p * x + q * y + r) for p, q, r in rows
        ]
        numbers = [number / moved[2][2] for row in moved for number in row]
        return dataclasses.replace(self, view=tuple(numbers[:8]))

    def fill(self, points: list[Point], color: str) -> None:
        self.draw.polygon(self.project(points), fill=self.colors[color])

    def solid(self, points: list[Point], color: str) -> None:
        """Fills an outline and shades its right side, so that it looks round."""
        self.fill(points, color)
        xs = [x for x, _ in points]
        middle = (min(xs) + max(xs)) / 2
        shade = [(max(x, middle + 0.3 * (middle - x)), y) for x, y in points]
        self.fill(shade, color + "_shade")

    def stroke(self, points: list[Point], color: str, width: float) -> None:
        pixels = max(1, round(width * abs(self.view[4])))
        joint = "curve" if len(points) > 2 and pixels > 2 else None
        self.draw.line(self.project(points), self.colors[color], pixels, joint)


def oval(x: float, y: float, rx: float, ry: float, start=0, stop=360) -> list[Point]:
    """Returns points on an oval around (x, y), angles in degrees."""
    turns = [math.radians(start + (stop - start) * i / 20) for i in range(21)]
    return [(x + rx * math.cos(t), y + ry * math.sin(t)) for t in turns]


def rough(pen: Pen, points: list[Point], size: float) -> list[Point]:
    """Returns the outline with every edge broken and jittered, like rock."""
    out = []
    for (ax, ay), (bx, by) in zip(points, points[1:]):
        out.append((ax, ay))
        for t in (0.25, 0.5, 0.75):
            dx, dy = pen.rng.uniform(-size, size), pen.rng.uniform(-size, size)
            out.append((ax + (bx - ax) * t + dx, ay + (by - ay) * t + dy))
    return out + points[-1:]


def spread(x: float, w: float, count: float) -> list[float]:
    """Returns the middles of `count` equal cells across a width around x."""
    return [x + w * ((i + 0.5) / count - 0.5) for i in range(int(count))]


def poly(pen, x, color, *numbers):
    pen.solid([(x + a, b) for a, b in zip(numbers[::2], numbers[1::2])], color)


def slab(pen, x, y, w, h, top=1.0, color="wall"):
    a, b = w / 2, w / 2 * top
    pen.solid([(x - a, y), (x + a, y), (x + b, y + h), (x - b, y + h)], color)


def beam(pen, x, y, dx, dy, width, color="wall"):
    pen.stroke([(x, y), (x + dx, y + dy)], color, width)


def disc(pen, x, y, rx, ry, color):
    pen.solid(oval(x, y, rx, ry), color)


def half(pen, x, y, w, h, color="roof"):
    pen.solid(oval(x, y, w / 2, h, 0, 180), color)


def windows(pen, x, y, w, h, cols, rows):
    a, b = w / cols * 0.2, h / rows * 0.25
    for cy in spread(y + h / 2, h, rows):
        for cx in spread(x, w, cols):
            box = [
                (cx - a, cy - b),
                (cx + a, cy - b),
                (cx + a, cy + b),
                (cx - a, cy + b),
            ]
            pen.fill(box, "glass")


def arcade(pen, x, y, w, h, count, open_h, share=0.72):
    a = w / count * share / 2
    spring = max(0.0, open_h - a)
    for dx, color in ((0.035, "wall_shade"), (0.0, "wall")):
        left, right = x - w / 2 + dx, x + w / 2 + dx
        outline = [(left, y), (left, y + h), (right, y + h), (right, y)]
        for cx in reversed(spread(x + dx, w, count)):
            arch = oval(cx, y + spring, a, open_h - spring, 0, 180)
            outline += [(cx + a, y), *arch, (cx - a, y)]
        pen.fill(outline, color)


def niches(pen, x, y, w, h, count, color="dark"):
    a = w / count * 0.32
    for cx in spread(x, w, count):
        arch = oval(cx, y + h * 0.6, a, h * 0.4, 0, 180)
        pen.fill([(cx + a, y), *arch, (cx - a, y)], color)


def columns(pen, x, y, w, h, count):
    for cx in spread(x, w, count):
        slab(pen, cx, y, w / count * 0.46, h, 0.85)
        slab(pen, cx, y + h * 0.94, w / count * 0.62, h * 0.06, 1.0, "trim")


def steps(pen, x, y, w, h, count, top):
    tall = h / count
    for i in range(int(count)):
        wide = w * (1 - (1 - top) * i / (count - 1))
        slab(pen, x, y + tall * i, wide, tall * 1.02)
        slab(pen, x, y + tall * (i + 0.75), wide, tall * 0.27, 1.0, "trim")


def blades(pen, x, y, r, count, width):
    start = pen.rng.uniform(0, math.tau)
    for turn in (start + math.tau * i / count for i in range(int(count))):
        ux, uy = math.cos(turn), math.sin(turn)
        near, far = (x + ux * r * 0.2, y + uy * r * 0.2), (x + ux * r, y + uy * r)
        edge = [(px - uy * width, py + ux * width) for px, py in (far, near)]
        pen.fill([near, far, *edge], "trim")
        pen.stroke([(x, y), far], "trim_shade", 0.022)
    pen.fill(oval(x, y, 0.035, 0.035), "trim_shade")


def wheel(pen, x, y, r):
    turn = pen.rng.uniform(0, 90)
    pen.stroke([(x - 0.55 * r, 0), (x, y), (x + 0.55 * r, 0)], "wall", 0.05)
    pen.stroke(oval(x, y, r, r), "wall", 0.04)
    pen.stroke(oval(x, y, r * 0.86, r * 0.86), "wall", 0.02)
    for px, py in oval(x, y, r, r, turn, turn + 360):
        pen.stroke([(x, y), (px, py)], "wall_shade", 0.008)
        pen.fill(oval(px, py - 0.02, 0.05, 0.05), "roof")


def fan(pen, x, y, reach, height, count):
    for i in range(1, int(count) + 1):
        head = (x, y + height * (0.45 + 0.55 * i / count))
        for side in (-reach, reach):
            pen.stroke([head, (x + side * i / count, y)], "trim", 0.014)


def cable(pen, x, y, w, sag, deck):
    spots = [i / 8 for i in range(-8, 9)]
    rope = [(x + w / 2 * t, y - sag * (1 - t * t)) for t in spots]
    pen.stroke(rope, "trim", 0.03)
    for px, py in rope:
        pen.stroke([(px, py), (px, deck)], "trim", 0.008)


def truss(pen, x, y, w, h, count):
    a = w / count / 2
    pen.stroke([(x - w / 2 + a, y + h), (x + w / 2 - a, y + h)], "wall", 0.055)
    for cx in spread(x, w, count):
        pen.stroke([(cx - a, y), (cx, y + h), (cx + a, y)], "wall", 0.04)


def lattice(pen, x, y, w, h):
    levels = [(w / 2 * (1 - t / 9) ** 1.8 + 0.02, y + h * t / 9) for t in range(10)]
    for (wide, low), (slim, high) in zip(levels, levels[1:]):
        for side in (-1, 1):
            pen.stroke([(x + side * wide, low), (x + side * slim, high)], "wall", 0.05)
            pen.stroke([(x + side * wide, low), (x - side * slim, high)], "wall", 0.02)
    for level in (2, 5):
        slab(pen, x, levels[level][1], levels[level][0] * 2.5, 0.045)


def peak(pen, x, y, w, h, snow):
    apex = (x, y + h)
    pen.fill(rough(pen, [(x - w / 2, y), apex, (x + w / 2, y)], 0.03), "rock")
    ridge = rough(pen, [apex, (x + w * 0.08, y)], 0.04)
    pen.fill([*ridge, (x + w / 2, y), apex], "rock_shade")
    teeth = enumerate((-1.0, -0.7, -0.4, -0.1, 0.15, 0.4, 0.7, 1.0))
    line = y + h * (1 - snow)
    edge = [(x + w / 2 * snow * t, line + 0.07 * (i % 2)) for i, t in teeth]
    pen.fill([apex, *edge], "pale")
    pen.fill([apex, *edge[4:]], "pale_shade")


def cliff(pen, x, y, w, h, top=0.92):
    a, b = w / 2, w / 2 * top
    face = [(x - a, y), (x - b, y + h), (x + b, y + h), (x + a, y)]
    pen.fill(rough(pen, face, 0.025), "rock")
    for cx, foot in zip(spread(x, w * top, 9), spread(x, w, 9)):
        crack = rough(pen, [(cx, y + h * 0.95), (foot, y + h * 0.1)], 0.02)
        pen.stroke(crack, "rock_shade", pen.rng.uniform(0.01, 0.05))


def boulder(pen, x, y, w, h):
    pen.solid(rough(pen, oval(x, y + h / 2, w / 2, h / 2), 0.012), "rock")


def bow(pen, x, y, w, h, thick, jag, color):
    outer = oval(x, y, w / 2, h, 0, 180)
    inner = oval(x, y, w / 2 - thick, h - thick * 0.7, 180, 0)
    pen.fill(rough(pen, outer + inner, jag), color)
    pen.fill(outer[:7] + inner[-7:], color + "_shade")


def mesh(pen, x, y, r):
    for t in (0.75, 0.45, 0.15):
        pen.stroke(oval(x, y, r * t, r), "trim", 0.016)
        pen.stroke(oval(x, y, r, r * t), "trim", 0.016)


def jets(pen, x, y, h, count):
    spots = [t / 8 for t in range(9)]
    for i in range(int(count)):
        tall = h * (4 - 0.96 * i)
        for reach in (-0.22 * (i + 1), 0.22 * (i + 1)):
            arc = [(x + reach * t, y + tall * t * (1 - t)) for t in spots]
            pen.stroke(arc, "pale", 0.035)
    pen.stroke([(x, y), (x, y + h * 1.35)], "pale", 0.06)


PARTS = {
    part.__name__: part
    for part in (arcade, beam, blades, boulder, bow, cable, cliff, columns, disc, fan)
    + (
        half,
        jets,
        lattice,
        mesh,
        niches,
        peak,
        poly,
        slab,
        steps,
        truss,
        wheel,
        windows,
    )
}
