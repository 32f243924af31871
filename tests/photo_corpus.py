"""A photo of every kind that the program reads, made in memory."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def draw_scene(mode="RGB"):
    """A picture in which no two corners are alike, with some detail."""
    rng = np.random.default_rng(0)
    down, across = np.mgrid[0:120, 0:160]
    grid = np.stack([down * 2, across * 1.5, (down + across) % 50 * 5], axis=-1)
    noise = rng.normal(0, 12, grid.shape)
    image = Image.fromarray(np.clip(grid + noise, 0, 255).astype(np.uint8))
    if mode in ("RGBA", "LA", "P"):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image.convert(mode)


def encode(image, file_format, **options):
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def sixteen_bit_png(pixels, color_type):
    """A PNG of 16 bits a channel, which Pillow writes in grey only."""
    wide = pixels.astype(np.uint16) * 257
    rows = [b"\0" + row.astype(">u2").tobytes() for row in wide]
    height, width = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)

    def chunk(kind, body):
        check = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)

    body = chunk(b"IDAT", zlib.compress(b"".join(rows)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


def turned(image, file_format, **options):
    exif = Image.Exif()
    exif[0x0112] = 6
    return encode(image, file_format, exif=exif, **options)


def animated(mode, file_format, **options):
    frames = [
        draw_scene(mode),
        draw_scene(mode).rotate(90),
        draw_scene(mode).rotate(180),
    ]
    return encode(
        frames[0], file_format, save_all=True, append_images=frames[1:], **options
    )


CORPUS = {
    "JPEG": lambda: encode(draw_scene(), "JPEG"),
    "grey JPEG": lambda: encode(draw_scene("L"), "JPEG"),
    "CMYK JPEG": lambda: encode(draw_scene("CMYK"), "JPEG"),
    "progressive JPEG": lambda: encode(draw_scene(), "JPEG", progressive=True),
    "PNG": lambda: encode(draw_scene(), "PNG"),
    "turned PNG": lambda: turned(draw_scene(), "PNG"),
    "grey PNG": lambda: encode(draw_scene("L"), "PNG"),
    "1-bit PNG": lambda: encode(draw_scene("1"), "PNG"),
    "palette PNG": lambda: encode(draw_scene().quantize(64), "PNG"),
    "4-bit palette PNG": lambda: encode(draw_scene().quantize(16), "PNG", bits=4),
    "transparent palette PNG": lambda: encode(draw_scene("P"), "PNG"),
    "transparent 4-bit PNG": lambda: encode(
        draw_scene().quantize(16), "PNG", bits=4, transparency=3
    ),
    "transparent PNG": lambda: encode(draw_scene("RGBA"), "PNG"),
    "transparent grey PNG": lambda: encode(draw_scene("LA"), "PNG"),
    "PNG with a transparent color": lambda: encode(
        draw_scene("L"), "PNG", transparency=100
    ),
    "16-bit grey PNG": lambda: sixteen_bit_png(np.asarray(draw_scene("L")), 0),
    "16-bit transparent grey PNG": lambda: sixteen_bit_png(
        np.asarray(draw_scene("LA")), 4
    ),
    "16-bit PNG": lambda: sixteen_bit_png(np.asarray(draw_scene()), 2),
    "16-bit transparent PNG": lambda: sixteen_bit_png(
        np.asarray(draw_scene("RGBA")), 6
    ),
    "BMP": lambda: encode(draw_scene(), "BMP"),
    "grey BMP": lambda: encode(draw_scene("L"), "BMP"),
    "32-bit BMP": lambda: encode(draw_scene("RGBA"), "BMP"),
    "GIF": lambda: encode(draw_scene().quantize(64), "GIF"),
    "animated GIF": lambda: animated("RGB", "GIF", duration=10),
    "WebP": lambda: encode(draw_scene(), "WEBP"),
    "lossless WebP": lambda: encode(draw_scene(), "WEBP", lossless=True),
    "turned WebP": lambda: turned(draw_scene(), "WEBP", lossless=True),
    "transparent WebP": lambda: encode(draw_scene("RGBA"), "WEBP"),
    "transparent lossless WebP": lambda: encode(
        draw_scene("RGBA"), "WEBP", lossless=True
    ),
    "animated WebP": lambda: animated("RGB", "WEBP", duration=10),
    "animated lossless WebP": lambda: animated("RGB", "WEBP", lossless=True),
    "animated transparent WebP": lambda: animated("RGBA", "WEBP", duration=10),
}
