"""Two augmented views of images as the method's authors make them, with torchvision and Pillow on one thread.
With the requests of augment.c, "files" or "decoded" and a folder; or, as "augment_torch.py make FOLDER COUNT", writes textured JPEG
files of 500 x 375 and 375 x 500 pixels.
"""
import pathlib
import random
import sys

import numpy as np
import torch
from PIL import Image, ImageFilter, ImageOps
from torchvision import transforms

from server_torch import serve

ROWS = 64


class Blur:
    """transforms.GaussianBlur is another filter: it cuts its kernel."""

    def __init__(self, probability):
        self.probability = probability

    def __call__(self, image):
        if random.random() < self.probability:
            return image.filter(ImageFilter.GaussianBlur(random.random() * 1.9 + 0.1))
        return image


class Solarize:
    def __init__(self, probability):
        self.probability = probability

    def __call__(self, image):
        return ImageOps.solarize(image) if random.random() < self.probability else image


def pipeline(blur, solarize):
    return transforms.Compose([
        transforms.RandomResizedCrop(224, interpolation=transforms.InterpolationMode.BICUBIC),
        transforms.RandomHorizontalFlip(0.5),
        transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.2, 0.1)], 0.8),
        transforms.RandomGrayscale(0.2),
        Blur(blur),
        Solarize(solarize),
        transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ])


VIEWS = pipeline(1.0, 0.0), pipeline(0.1, 0.2)


def read(path):
    with open(path, "rb") as file:
        return Image.open(file).convert("RGB")


def prepare(source, folder):
    paths = sorted(pathlib.Path(folder).rglob("*.jpg"))[:ROWS]
    images = [read(path) for path in paths] if source == "decoded" else None

    def call():
        random.seed(0)
        torch.manual_seed(0)
        return [view(image) for image in images or map(read, paths) for view in VIEWS]

    return call


def value(_what, *views):
    return float(np.mean([view.square().mean().item() for view in views]))


def make(folder, count):
    """Waves of many lengths, discs and noise: about 60 KB a file."""
    for number in range(count):
        dice = np.random.default_rng(number)
        height, width = (500, 375) if number % 3 == 0 else (375, 500)
        y, x = np.mgrid[:height, :width]
        pixels = np.zeros((height, width, 3))
        for channel in range(3):
            for octave in range(1, 11):
                angle, pace = dice.uniform(0, 2 * np.pi), dice.uniform(0.05, 0.5) / octave
                pixels[:, :, channel] += np.sin(pace * (np.cos(angle) * x + np.sin(angle) * y) + dice.uniform(0, 6)) * octave**0.8
        for _ in range(6):
            inside = (y - dice.uniform(0, height))**2 + (x - dice.uniform(0, width))**2 < dice.uniform(20, 120)**2
            pixels[inside] = 0.4 * pixels[inside] + dice.normal(0, 12, 3)
        pixels = (pixels - pixels.mean()) / pixels.std() * 55 + 127 + dice.normal(0, 8, pixels.shape)
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(pathlib.Path(folder) / f"{number:04d}.jpg", quality=90)


if sys.argv[1:2] == ["make"]:
    make(sys.argv[2], int(sys.argv[3]))
else:
    torch.set_num_threads(1)
    serve(prepare, value)
