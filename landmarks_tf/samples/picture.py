"""One photo of an invented landmark, drawn with a generator.

Owns the photo of a scene: viewpoint, palette, sky, light and grain. Does not own what
stands in a scene (`sample_scenes`) nor the files of a set (`sample_data`).

Identity lives in shape alone: every color is drawn without regard to the class.
"""

import random

import numpy as np
from PIL import Image
from PIL import ImageChops
from PIL import ImageColor
from PIL import ImageDraw
from PIL import ImageFilter

from landmarks_tf.samples import scenes
from landmarks_tf.samples.parts import Pen

CLASS_NAMES = tuple(
    f"{i:02d}.{n}" for i, n in enumerate(filter(str.istitle, scenes.SCENES))
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


def _vary(rng: random.Random, color, size: float = 18) -> tuple:
    shift = rng.uniform(-size, size)
    channels = [round(c + shift + rng.uniform(-size, size)) for c in color]
    return tuple(min(255, max(0, c)) for c in channels)


def _scale(color, share: float) -> tuple:
    return tuple(round(c * share) for c in color)


def _pick(rng: random.Random, palette, against, gap: float) -> tuple:
    """Picks a color of the palette that stands out in brightness from another."""
    grey = np.dot(against, (0.3, 0.59, 0.11))
    choices = [c for c in palette if abs(np.dot(c, (0.3, 0.59, 0.11)) - grey) > gap]
    return _vary(rng, rng.choice(choices or palette))


def _palette(rng: random.Random, top, low, gamma: float) -> dict:
    middle = [(a + 2 * b) / 3 for a, b in zip(top, low)]
    wall = _pick(rng, WALLS, middle, 45)
    shaded = {
        "wall": wall,
        "rock": _scale(wall, min(1, 190 / max(wall))),
        "roof": _pick(rng, ROOFS, wall, 35),
        "trim": _pick(rng, WALLS + ROOFS, middle, 40),
        "pale": (238, 242, 246),
        "leaf": _vary(rng, (70, 100, 55), 25),
        "cloth": _vary(rng, (110, 90, 100), 60),
    }
    flat = {
        "face": wall,
        "dark": (45, 42, 48),
        "glass": (255, 225, 140) if gamma > 1.1 else (60, 66, 80),
        "ground": _vary(rng, rng.choice(GROUNDS)),
        "far": tuple(round(0.75 * c + 25) for c in low),
        "cloud": tuple(round((c + 255) / 2) for c in middle),
    }
    shades = {f"{name}_shade": _scale(color, 0.74) for name, color in shaded.items()}
    return shaded | shades | flat


def _view(rng: random.Random, width: int, height: int) -> np.ndarray:
    """Draws a plane projection from scene units (y up) to pixels (y down)."""
    scale = min(width / 2.5, height / 1.8) * rng.uniform(0.92, 1.08)
    # Two rows stretch, turn and shift the scene; the third bends it about its foot.
    limits = ((0.06, 0.06, 0.07), (0.05, 0.0, 0.06), (0.06, 0.05, 0.0))
    tilt = [[rng.uniform(-limit, limit) for limit in row] for row in limits]
    middle = [[scale, 0, width / 2], [0, -scale, height / 2 + 0.6 * scale], [0, 0, 1]]
    return np.array(middle) @ (np.eye(3) + tilt)


def _light(rng: random.Random, image: Image.Image, gamma: float) -> Image.Image:
    """Applies the hour's light: gamma, contrast, tint and uneven shade."""
    contrast, lift = rng.uniform(0.65, 1.2), rng.uniform(-18, 24)
    warm = rng.gauss(0, 0.06)
    ramp = (np.arange(256) / 255.0) ** gamma * 255.0
    ramp = (ramp - 118) * contrast + 118 + lift
    table = np.concatenate([ramp * (1 + warm), ramp, ramp * (1 - warm)])
    image = image.point(np.clip(table, 0, 255).astype(np.uint8).tolist())
    levels = [rng.randint(205, 255) for _ in range(9)]
    shade = Image.fromarray(np.array(levels, np.uint8).reshape(3, 3))
    shade = shade.resize(image.size, Image.Resampling.BILINEAR)
    return ImageChops.multiply(image, Image.merge("RGB", [shade] * 3))


_NOISE = np.random.default_rng(0).normal(size=(460, 460, 3))
GRAINS = [(_NOISE * sigma).round().astype(np.int16) for sigma in (2, 5, 8)]


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
    ramp = np.linspace(_vary(rng, top, 12), _vary(rng, low, 12), 72)
    image = Image.fromarray(ramp.astype(np.uint8)[:, None])
    image = image.resize(big, Image.Resampling.BILINEAR)
    palette, view = _palette(rng, top, low, gamma), _view(rng, *big)
    pen = Pen(ImageDraw.Draw(image), rng, palette, view, spin=rng.random())
    scenes.draw_scene(pen, CLASS_NAMES[class_index][3:])
    image = image.resize((width, height), Image.Resampling.BOX)
    image = _light(rng, image, gamma)
    if rng.random() < 0.3:
        image = image.filter(ImageFilter.BoxBlur(rng.uniform(0.3, 0.9)))
    x, y = rng.randrange(100), rng.randrange(100)
    grain = rng.choice(GRAINS)[y : y + height, x : x + width]
    return Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))
