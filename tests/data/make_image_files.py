"""Writes images/: small JPEG and PNG files of every kind, each with NAME.rgb, the bytes of Pillow's convert("RGB"), and
for some NAME.middle, those of torchvision's Resize(37) and CenterCrop(32):
python3 tests/data/make_image_files.py (needs numpy, Pillow and torchvision)"""
import io
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image
from torchvision.transforms import functional as F

HEIGHT, WIDTH = 13, 19
FOLDER = pathlib.Path(__file__).resolve().parent / "images"


def smooth(channels, top=255, height=HEIGHT, width=WIDTH):
    """Waves, which JPEG keeps well enough for a picture and not too well for a test."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(channels), indexing="ij")
    return np.rint((np.sin(0.4 * y + c) * np.cos(0.3 * x - 2 * c) + 1) * top / 2)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(rows, width, depth, colour, before=b"", interlace=0):
    """What Pillow does not write: rows are the filtered lines of the file."""
    header = struct.pack(">IIBBBBB", width, len(rows) if not interlace else HEIGHT, depth, colour, 0, 0, interlace)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def adam7(pixels):
    """The lines of the seven passes over an image of bytes."""
    for top, left, down, right in ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
                                   (1, 0, 2, 1)):
        yield from (line.tobytes() for line in pixels[top::down, left::right] if line.size)


def save(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def files():
    grey, rgb, rgba = (smooth(n).astype(np.uint8) for n in (1, 3, 4))
    deep = smooth(4, 65535).astype(">u2")
    few = (smooth(1, 600) - 100).clip(0).astype(">u2")  # greys on both sides of 255
    picture = Image.fromarray(rgb)
    for bits in (1, 2, 4):
        lines = [np.packbits(np.unpackbits(line[:, None], axis=1)[:, :bits].ravel()).tobytes() for line in grey[:, :, 0]]
        yield f"grey{bits}.png", png(lines, WIDTH, bits, 0)
    yield "grey8.png", save(Image.fromarray(grey[:, :, 0]), "PNG")
    yield "grey16.png", png([line.tobytes() for line in few], WIDTH, 16, 0)
    yield "grey_alpha8.png", save(Image.fromarray(rgba[:, :, :2], "LA"), "PNG")
    yield "grey_alpha16.png", png([line.tobytes() for line in deep[:, :, :2]], WIDTH, 16, 4)
    yield "rgb8.png", save(picture, "PNG")
    yield "rgb16.png", png([line.tobytes() for line in deep[:, :, :3]], WIDTH, 16, 2)
    yield "rgb_key.png", png([line.tobytes() for line in rgb], WIDTH, 8, 2, chunk(b"tRNS", struct.pack(">3H", *map(int, rgb[0, 0]))))
    yield "rgba8.png", save(Image.fromarray(rgba, "RGBA"), "PNG")
    yield "rgba16.png", png([line.tobytes() for line in deep], WIDTH, 16, 6)
    yield "interlaced.png", png(list(adam7(rgb)), WIDTH, 8, 2, interlace=1)
    yield "palette8.png", save(picture.quantize(200), "PNG")
    yield "palette4.png", save(picture.quantize(16), "PNG", bits=4)
    yield "palette_alpha.png", save(picture.quantize(50), "PNG", transparency=bytes(range(0, 250, 5)))
    yield "gamma.png", png([line.tobytes() for line in rgb], WIDTH, 8, 2, chunk(b"gAMA", struct.pack(">I", 100000)))
    yield "grey.jpg", save(Image.fromarray(grey[:, :, 0]), "JPEG")
    for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
        yield f"ycc{subsampling.replace(':', '')}.jpg", save(picture, "JPEG", subsampling=subsampling)
    yield "progressive.jpg", save(picture, "JPEG", progressive=True)
    yield "restarts.jpg", save(picture, "JPEG", restart_marker_blocks=1)
    yield "rgb.jpg", save(picture, "JPEG", keep_rgb=True)
    yield "cmyk.jpg", save(Image.fromarray(rgba, "CMYK"), "JPEG")
    turned = Image.Exif()
    turned[0x0112] = 6
    yield "turned.jpg", save(picture, "JPEG", exif=turned)


def middles():
    yield from ((name, smooth(3, 255, *size)) for name, size in (("wide", (29, 38)), ("tall", (40, 29)), ("line", (2, 30))))


FOLDER.mkdir(exist_ok=True)
for name, pixels in middles():
    image = Image.fromarray(pixels.astype(np.uint8))
    image.save(FOLDER / f"{name}.png")
    (FOLDER / f"{name}.middle").write_bytes(F.center_crop(F.resize(image, 37), 32).tobytes())
for name, data in files():
    (FOLDER / name).write_bytes(data)
    with Image.open(io.BytesIO(data)) as image:
        (FOLDER / name).with_suffix(".rgb").write_bytes(image.convert("RGB").tobytes())
