"""Writes pillow.h and pillow.u8 beside this file: what Pillow and torchvision make of images of bytes.

    python tests/data/make_pillow.py       needs numpy, Pillow and torchvision; made with Pillow 13

pillow.u8 holds the results of small cases one after the other, pillow.h the cases and a hash of each result.
"""
import pathlib

import numpy as np
from PIL import Image, ImageFilter, ImageOps
from torchvision.transforms import functional as F

NOISE, SLOPE, EDGES, COLORS = range(4)
SMALL = 3000  # bytes of the largest result that is stored
stored = bytearray()


def pixels(kind, height, width, channels):
    """test_image_fill() in C."""
    i, j, c = np.meshgrid(*(np.arange(n, dtype=np.uint32) for n in (height, width, channels)), indexing="ij")
    if kind == NOISE:
        n = ((i * np.uint32(width) + j) * np.uint32(channels) + c + np.uint32(1)) * np.uint32(2654435761)
        n = (n ^ n >> np.uint32(15)) * np.uint32(2246822519)
        value = n >> np.uint32(24)
    elif kind == SLOPE:
        value = i * np.uint32(3) + j * np.uint32(2) * (c + np.uint32(1)) + c * np.uint32(40)
    elif kind == EDGES:
        value = np.uint32(255) * ((i // np.uint32(3) + j // np.uint32(5) + c) % np.uint32(2))
    else:  # 86 levels of each channel, all colours when there are enough pixels
        value = np.uint32(3) * ((i * np.uint32(width) + j) // np.uint32(86) ** c % np.uint32(86))
    array = (value & np.uint32(255)).astype(np.uint8)
    return Image.fromarray(array[:, :, 0] if channels == 1 else array)


def fnv(data):
    """64-bit FNV-1a of the data's 32-bit words, the last one filled up with zeros."""
    hash_ = 0xCBF29CE484222325
    for word in np.frombuffer(data + bytes(-len(data) % 4), "<u4").tolist():
        hash_ = (hash_ ^ word) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return hash_


def finish(image):
    data = np.asarray(image).tobytes()
    offset = -1
    if len(data) <= SMALL:
        offset = len(stored)
        stored.extend(data)
    return f"{offset}, 0x{fnv(data):016x}"


def single(x):
    return float(np.float32(x))


resample = []
filters = (("GM_RESAMPLE_BILINEAR", Image.Resampling.BILINEAR), ("GM_RESAMPLE_BICUBIC", Image.Resampling.BICUBIC))
sizes = [(1, 1, 1, 1), (1, 1, 5, 3), (5, 7, 1, 1), (3, 2, 7, 9), (17, 13, 17, 13), (40, 50, 23, 31), (33, 47, 40, 48),
         (16, 16, 31, 33), (100, 7, 9, 70), (7, 100, 50, 5), (64, 1, 3, 3), (2, 2, 33, 1), (32, 130, 32, 20),
         (375, 500, 224, 224), (90, 61, 224, 224), (375, 500, 256, 341), (31, 1000, 8, 8), (1, 65535, 1, 2),
         (40000, 1, 3, 1), (1, 2, 1, 65535), (99, 5, 30, 17), (60, 37, 11, 35), (300, 240, 224, 224),
         (4, 60, 3, 60), (41, 3, 40, 3)]  # fmt: skip
for number, (height, width, out_height, out_width) in enumerate(sizes):
    for name, filter_ in filters:
        for channels in (1, 3):
            kind = (number + channels) % 3
            result = pixels(kind, height, width, channels).resize((out_width, out_height), filter_)
            resample.append(f"{{{name}, {channels}, {height}, {width}, {out_height}, {out_width}, {kind}, {finish(result)}}}")

blur = []
for number, (height, width) in enumerate([(1, 1), (1, 9), (9, 1), (17, 15), (20, 33), (33, 40), (70, 23), (224, 224)]):
    for sigma in (0, 0.1, 0.7, 1.3, 2, 3.9, 21, 1000):
        for channels in (1, 3):
            kind = (number + channels) % 3
            result = pixels(kind, height, width, channels).filter(ImageFilter.GaussianBlur(single(sigma)))
            blur.append(f"{{{channels}, {height}, {width}, {kind}, {single(sigma)!r}, {finish(result)}}}")

steps = {
    "BRIGHTNESS": (F.adjust_brightness, [0, 0.6, 1, 1.37, 300]),
    "CONTRAST": (F.adjust_contrast, [0, 0.6, 1, 1.37, 300]),
    "SATURATION": (F.adjust_saturation, [0, 0.6, 1, 1.37, 300]),
    "HUE": (F.adjust_hue, [-0.5, -0.1, 0, 0.03, 0.1, 0.5]),
    "GRAYSCALE": (lambda x, _: F.rgb_to_grayscale(x, 3 if x.mode == "RGB" else 1), [0]),
    "SOLARIZE": (lambda x, t: ImageOps.solarize(x, int(t)), [0, 128, 256]),
    "FLIP": (lambda x, _: ImageOps.mirror(x), [0]),
}
color = []
for step, (function, parameters) in steps.items():
    for channels in (1, 3):
        for number, (height, width) in enumerate([(1, 1), (3, 5), (7, 32), (5, 83), (90, 70), (86, 86 * 86)]):
            if height == 86 and channels == 1 or len(parameters) * height * width == 0:
                continue
            for parameter in parameters:
                kind = COLORS if height == 86 else (number + channels) % 3
                result = function(pixels(kind, height, width, channels), single(parameter))
                color.append(f"{{STEP_{step}, {channels}, {height}, {width}, {kind}, {single(parameter)!r}, {finish(result)}}}")

head = "int64_t offset; /* of the result in pillow.u8, -1: not there */\n    uint64_t hash;\n"
text = ["/* Made by make_pillow.py with Pillow and torchvision. */\n/* clang-format off */\n#include <gemel/resample.h>\n\n#include <stdint.h>\n"]
text.append(f"static const struct image_resample {{\n    int filter;\n    int64_t channels, height, width, out_height, out_width;\n    int kind;\n    {head}}} image_resamples[] = {{\n    " + ",\n    ".join(resample) + ",\n};\n")
text.append(f"static const struct image_blur {{\n    int64_t channels, height, width;\n    int kind;\n    float sigma;\n    {head}}} image_blurs[] = {{\n    " + ",\n    ".join(blur) + ",\n};\n")
text.append("enum { " + ", ".join(f"STEP_{step}" for step in steps) + " };\n")
text.append(f"static const struct image_color {{\n    int step;\n    int64_t channels, height, width;\n    int kind;\n    float parameter;\n    {head}}} image_colors[] = {{\n    " + ",\n    ".join(color) + ",\n};\n")
folder = pathlib.Path(__file__).parent
(folder / "pillow.h").write_text("\n".join(text))
(folder / "pillow.u8").write_bytes(stored)
