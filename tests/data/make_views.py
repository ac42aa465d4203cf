"""Writes views.h and views.u8 beside this file: whole pipelines of torchvision and Pillow on one image, with given parameters.

    python tests/data/make_views.py        needs torchvision; the values were made with torchvision 0.29 and Pillow 13

views.u8 holds the image, [HEIGHT, WIDTH, 3] bytes, then the result of each case.
"""
import pathlib

import numpy as np
from PIL import Image, ImageFilter
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

HEIGHT, WIDTH = 61, 83
FOLDER = pathlib.Path(__file__).resolve().parent
STEPS = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)


def picture():
    """Waves and noise, bright and dark."""
    y, x, c = np.meshgrid(np.arange(HEIGHT), np.arange(WIDTH), np.arange(3), indexing="ij")
    waves = np.sin(0.21 * y + 2 * c) * np.cos(0.17 * x - c) + 0.4 * np.sin(1.3 * x + 0.9 * y)
    noise = np.random.default_rng(1).normal(0, 0.25, waves.shape)
    return Image.fromarray(np.clip(127 + 100 * (waves + noise), 0, 255).astype(np.uint8))


class Case:
    """The fields of gm_color_view, and the size of the view."""

    def __init__(self, size, box=None, flip=False, jitter=None, gray=False, blur=0.0, threshold=256):
        self.size, self.box, self.flip, self.jitter = size, box, flip, jitter
        self.gray, self.blur, self.threshold = gray, blur, threshold

    def apply(self, image):
        if self.box:
            top, left, height, width = self.box
            image = F.resized_crop(image, top, left, height, width, list(self.size), InterpolationMode.BICUBIC)
        else:
            shorter = (256 * max(self.size) + 112) // 224
            image = F.center_crop(F.resize(image, shorter), list(self.size))
        if self.flip:
            image = F.hflip(image)
        if self.jitter:
            order, factors = self.jitter
            for step in order:
                image = STEPS[step](image, factors[step])
        if self.gray:
            image = F.rgb_to_grayscale(image, 3)
        if self.blur:
            image = image.filter(ImageFilter.GaussianBlur(self.blur))
        return F.solarize(image, self.threshold) if self.threshold < 256 else image

    def text(self):
        fields = []
        if self.box:
            fields.append(".crop = true, .top = {}, .left = {}, .height = {}, .width = {}".format(*self.box))
        if self.flip:
            fields.append(".flip = true")
        if self.jitter:
            order, factors = self.jitter
            names = ("brightness", "contrast", "saturation", "hue")
            fields.append(".jitter = true, .order = {" + ", ".join(map(str, order)) + "}, " +
                          ", ".join(f".{name} = {factor}f" for name, factor in zip(names, factors)))
        if self.gray:
            fields.append(".gray = true")
        fields.append(f".blur_sigma = {float(self.blur)}f, .solarize_threshold = {self.threshold}")
        return f"    {{{self.size[0]}, {self.size[1]}, {{{', '.join(fields)}}}}},\n"


CASES = [
    Case((32, 32), (7, 11, 40, 52), True, ((2, 0, 3, 1), (1.3125, 0.6875, 1.1875, -0.09375)), False, 1.25),
    Case((32, 32), (20, 3, 22, 17), False, ((0, 1, 2, 3), (0.625, 1.375, 0.8125, 0.078125)), False, 0.3125, 128),
    Case((33, 47), (0, 0, 61, 83), True, ((3, 2, 1, 0), (0.75, 1.25, 1.125, 0.0625)), True, 1.9375),
    Case((24, 40), (50, 70, 11, 13), False, None, False, 0.6875, 128),
    Case((32, 32), (3, 40, 58, 43), False, ((1, 3, 0, 2), (1.40625, 1.40625, 0.8125, 0.09375)), True, 0, 128),
    Case((32, 32), (29, 30, 32, 32), True, ((3, 0, 2, 1), (1.1875, 0.59375, 1.21875, -0.046875))),
    Case((32, 32)),
    Case((48, 48), flip=True, blur=0.125, threshold=100),
]

image = picture()
cases = "".join(case.text() for case in CASES)
(FOLDER / "views.u8").write_bytes(image.tobytes() + b"".join(case.apply(image).tobytes() for case in CASES))
(FOLDER / "views.h").write_text(
    "/* Made by make_views.py: parameters of the cases in views.u8. */\n/* clang-format off */\n"
    f"enum {{ VIEWS_HEIGHT = {HEIGHT}, VIEWS_WIDTH = {WIDTH} }};\n\n"
    f"static const struct views_case {{\n    int64_t height, width;\n    gm_color_view view;\n}} views_cases[] = {{\n{cases}}};\n",
    encoding="utf-8")
