"""One photo of an invented landmark, drawn with a generator.

Owns the photo around a landmark: viewpoint, palette, sky, ground, clutter, weather and
light. Does not own what the landmarks look like (`sample_scenes`) nor the files of a
set (`sample_data`).

Identity lives in shape alone: every color is drawn without regard to the class.
"""

import math
import random

import numpy as np
from PIL import Image
from PIL import ImageChops
from PIL import ImageColor
from PIL import ImageDraw
from PIL import ImageFilter

from landmarks_tf import sample_scenes
from landmarks_tf.sample_parts import Pen

CLASS_NAMES: tuple[str, ...] = tuple(
    f"{i:02d}.{name}"
    for i, name in enumerate(n for n in sample_scenes.SCENES if n[0].isupper())
)


def _colors(text: str) -> list[tuple[int, ...]]:
    return [ImageColor.getrgb("#" + word) for word in text.split()]


# Sky top and horizon by the hour, and the gamma that darkens the photo at that hour.
SKIES = list(
    zip(
        _colors("4682c8 64a0d7 96a0aa 505a82 6e82a0 0e1632 26305a 7896aa"),
        _colors("bed7eb e1e6e1 cdd0d2 f0a56e f5cda0 323c64 785a6e d2d2be"),
        (1.0, 0.9, 1.1, 1.15, 1.05, 1.35, 1.3, 1.0),
    )
)
WALLS = _colors("c8b9a0 a55a46 e1ded4 787a80 cda569 5f5550 96aab9 be8c82 6e876e e6cd96")
ROOFS = _colors("a04632 50555f 558c78 c8a03c 5a3c32 3c5a8c d7d2cd 782d3c")
GROUNDS = _colors("5f8246 7d9655 c8b48c 969491 4b7391 3c6473 e1e4eb 8c6e50")

# What stands about: how many of it, across, how far in front, how high. All of it is
# low in front or off to the sides, so that it neither hides nor imitates a landmark.
CLUTTER = (
    ("oak", (0, 1, 2), (1.0, 1.6), (-0.3, 0.0), (0.3, 0.6)),
    ("pine", (0, 0, 1, 2), (1.0, 1.6), (-0.3, 0.0), (0.3, 0.6)),
    ("lamp", (0, 0, 1, 2), (0.0, 1.4), (-0.35, -0.1), (0.25, 0.4)),
    ("bush", (0, 1, 3), (0.0, 1.5), (-0.4, -0.12), (0.1, 0.2)),
    ("person", (0, 1, 3, 6), (0.0, 1.4), (-0.4, -0.12), (0.12, 0.2)),
    ("car", (0, 0, 0, 1, 2), (0.0, 1.2), (-0.4, -0.2), (0.25, 0.4)),
    ("boat", (0, 0, 0, 1), (0.0, 1.2), (-0.4, -0.2), (0.25, 0.4)),
)


def _vary(rng: random.Random, color, size: float = 18) -> tuple:
    shift = rng.uniform(-size, size)
    channels = [round(c + shift + rng.uniform(-size, size)) for c in color]
    return tuple(min(255, max(0, c)) for c in channels)


def _pick(rng: random.Random, palette, against, gap: float) -> tuple:
    """Picks a color of the palette that stands out in brightness from another."""
    grey = np.dot(against, (0.3, 0.59, 0.11))
    choices = [c for c in palette if abs(np.dot(c, (0.3, 0.59, 0.11)) - grey) > gap]
    return _vary(rng, rng.choice(choices or palette))


def _palette(rng: random.Random, top, low, gamma: float) -> dict:
    middle = [(a + 2 * b) / 3 for a, b in zip(top, low)]
    wall = _pick(rng, WALLS, middle, 45)
    colors = {
        "wall": wall,
        "rock": tuple(round(c * min(1, 190 / max(wall))) for c in wall),
        "roof": _pick(rng, ROOFS, wall, 35),
        "trim": _pick(rng, WALLS + ROOFS, middle, 40),
        "pale": (238, 242, 246),
        "dark": (45, 42, 48),
        "glass": (255, 225, 140) if gamma > 1.1 else (60, 66, 80),
        "ground": _vary(rng, rng.choice(GROUNDS)),
        "leaf": _vary(rng, (70, 100, 55), 25),
        "far": tuple(round(0.75 * c + 25) for c in low),
        "cloth": _vary(rng, (110, 90, 100), 60),
    }
    shades = [(f"{k}_shade", tuple(round(c * 0.74) for c in colors[k])) for k in colors]
    return colors | dict(shades)


def _view(rng: random.Random, width: int, height: int) -> tuple[float, ...]:
    """Draws a plane projection from scene units (y up) to pixels (y down)."""
    scale = min(width / 2.5, height / 1.8) * rng.uniform(0.92, 1.08)
    a = scale * rng.uniform(0.94, 1.06)
    b, d = scale * rng.uniform(-0.06, 0.06), scale * rng.uniform(-0.05, 0.05)
    c = width * (0.5 + rng.uniform(-0.05, 0.05))
    f = height * 0.5 + scale * (0.6 + rng.uniform(-0.06, 0.06))
    g, h = rng.uniform(-0.06, 0.06), rng.uniform(-0.05, 0.05)
    # g and h bend the image about the foot of the landmark, the pixel (c, f).
    return a + g * c, b + h * c, c, d + g * f, h * f - scale, f, g, h


def _sky(rng: random.Random, top, low, size: tuple[int, int]) -> Image.Image:
    ramp = np.linspace(_vary(rng, top, 12), _vary(rng, low, 12), 72)
    small = Image.fromarray(np.repeat(ramp.astype(np.uint8)[:, None], 96, axis=1))
    draw = ImageDraw.Draw(small, "RGBA")
    cloud = _vary(rng, [(c + 255) / 2 for c in low], 10)
    for _ in range(rng.choice((0, 0, 2, 4, 6, 9))):
        x, y, wide = rng.uniform(-10, 96), rng.uniform(0, 44), rng.uniform(6, 14)
        for dx, dy in ((0, 0), (0.5, -0.15), (1, 0)):
            box = x + dx * wide, y + dy * wide, x + (dx + 1) * wide, y + wide * 0.4
            draw.ellipse(box, fill=(*cloud, 90))
    small = small.filter(ImageFilter.BoxBlur(1))
    return small.resize(size, Image.Resampling.BILINEAR)


def _backdrop(pen: Pen, horizon: float) -> None:
    """Draws low, hazy hills or a skyline or neither, and the ground before them."""
    rng = pen.rng
    kind = rng.random()
    if kind < 0.4:
        a, b, c = rng.uniform(1, 3), rng.uniform(0, 6), rng.uniform(0.03, 0.12)
        hills = [
            (x / 5, horizon + c + c * math.sin(a * x / 5 + b)) for x in range(-15, 16)
        ]
        pen.fill([(-3, -0.2), *hills, (3, -0.2)], "far")
    elif kind < 0.7:
        for left in range(-12, 12):
            w, top = rng.uniform(0.12, 0.3), horizon + rng.uniform(0.04, 0.25)
            x = left / 5
            box = [(x, 0), (x, top), (x + w, top), (x + w, 0)]
            pen.fill(box, "far")
    pen.fill([(-4, horizon), (4, horizon), (5, -2.5), (-5, -2.5)], "ground")
    for _ in range(rng.randint(4, 14)):
        x, y = rng.uniform(-2, 2), rng.uniform(-0.8, horizon - 0.02)
        pen.stroke([(x, y), (x + rng.uniform(0.2, 0.9), y)], "ground_shade", 0.012)


def _clutter(pen: Pen) -> None:
    rng = pen.rng
    for name, counts, across, front, sizes in CLUTTER:
        for _ in range(rng.choice(counts)):
            x, y = rng.uniform(*across) * rng.choice((-1, 1)), rng.uniform(*front)
            size = rng.uniform(*sizes)
            sample_scenes.draw_scene(pen.at(x, y, size, size), name)


def _light(rng: random.Random, image: Image.Image, gamma: float) -> Image.Image:
    """Applies the hour's light: gamma, contrast, tint, haze and uneven shade."""
    contrast, lift = rng.uniform(0.75, 1.2), rng.uniform(-18, 18)
    warm = rng.gauss(0, 0.06)
    haze = rng.choice((0, 0, 0.15, 0.3)) * rng.random()
    ramp = (np.arange(256) / 255.0) ** gamma * 255.0
    ramp = (ramp - 118) * contrast + 118 + lift
    ramp = ramp * (1 - haze) + haze * 200 * 0.8**gamma
    table = np.concatenate([ramp * (1 + warm), ramp, ramp * (1 - warm)])
    image = image.point(np.clip(table, 0, 255).astype(np.uint8).tolist())
    levels = [rng.randint(205, 255) for _ in range(9)]
    shade = Image.fromarray(np.array(levels, np.uint8).reshape(3, 3))
    shade = shade.resize(image.size, Image.Resampling.BILINEAR)
    return ImageChops.multiply(image, Image.merge("RGB", [shade] * 3))


def _weather(rng: random.Random, image: Image.Image) -> None:
    """Draws rain streaks or snow dots over the photo, or leaves it dry."""
    draw, kind = ImageDraw.Draw(image, "RGBA"), rng.random()
    lean = rng.uniform(-5, 5)
    for _ in range(rng.randint(40, 90) if kind < 0.2 else 0):
        x, y = rng.uniform(0, image.width), rng.uniform(0, image.height)
        if kind < 0.12:
            draw.line((x, y, x + lean, y + 12), fill=(215, 220, 230, 90))
        else:
            r = rng.uniform(0.6, 2)
            draw.ellipse((x - r, y - r, x + r, y + r), fill=(250, 250, 255, 190))


def _grain(rng: random.Random, image: Image.Image) -> Image.Image:
    x, y = rng.randrange(100), rng.randrange(100)
    noise = rng.choice(NOISE).crop((x, y, x + image.width, y + image.height))
    return ImageChops.add(image, noise, 1, -128)


def _noise(sigma: float) -> Image.Image:
    sheet = np.random.default_rng(0).normal(128, sigma, (460, 460, 3))
    return Image.fromarray(np.clip(sheet, 0, 255).astype(np.uint8))


NOISE = [_noise(2), _noise(5), _noise(8)]


def draw_photo(class_index: int, rng: random.Random) -> Image.Image:
    """Draws one photo of a landmark.

    Args:
        class_index: Which of `CLASS_NAMES` to draw.
        rng: A `random.Random`; one in the same state draws the same photo.

    Returns:
        An RGB image, 240 to 340 pixels along its longer side.
    """
    side, aspect = rng.randint(240, 340), rng.choice((4 / 3, 3 / 2, 1.2, 1.0, 0.9))
    width, height = round(side * min(1, aspect)), round(side / max(1, aspect))
    # Drawn half as large again and reduced, for smooth edges.
    big = round(width * 1.5), round(height * 1.5)
    top, low, gamma = rng.choice(SKIES)
    image = _sky(rng, top, low, big)
    palette = _palette(rng, top, low, gamma)
    pen = Pen(ImageDraw.Draw(image), rng, palette, _view(rng, *big))
    _backdrop(pen, rng.uniform(0.02, 0.16))
    sample_scenes.draw_scene(pen, CLASS_NAMES[class_index][3:])
    _clutter(pen)
    image = image.resize((width, height), Image.Resampling.BOX)
    image = _light(rng, image, gamma)
    _weather(rng, image)
    if rng.random() < 0.3:
        image = image.filter(ImageFilter.BoxBlur(rng.uniform(0.3, 0.9)))
    return _grain(rng, image)
