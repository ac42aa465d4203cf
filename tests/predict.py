#!/usr/bin/env python3
"""`gemel predict` against PyTorch: predict.py, with GEMEL_COMMAND as in tests/support/command.h.

Needs torch, torchvision and Pillow, in the Python environment that GEMEL_PEERS names (bench/peers/install.sh) or else in this
Python's; exits with 77 where they are missing. Probabilities of torchvision's resnet18 with its fc, random weights, on a folder
of photographs of several sizes, resized, cut and normalised as torchvision does it, must agree to 1e-4, and so must the order of
classes.
"""
import csv
import json
import os
import sys
import tempfile

from gemel_command import gemel, skip, use_peers

use_peers()
try:
    import numpy as np
    import torch
    import torchvision
    from PIL import Image
except ImportError as missing:
    skip(missing)

MOST, CLASSES, SIZES = 1e-4, 7, [(300, 260), (256, 256), (90, 400), (224, 230), (500, 333)]
torch.manual_seed(0)
torch.set_num_threads(1)
generator = np.random.default_rng(0)


def put_photos():
    """Smooth noise, so that resizing matters; the pictures by path."""
    os.mkdir("photos")
    pictures = {}
    for i, (width, height) in enumerate(SIZES):
        small = Image.fromarray(generator.integers(0, 256, (9, 9, 3), np.uint8))
        pictures[f"photos/{i}.png"] = small.resize((width, height), Image.Resampling.BICUBIC)
        pictures[f"photos/{i}.png"].save(f"photos/{i}.png")
    return pictures


def make_model():
    model = torchvision.models.resnet18(num_classes=CLASSES)
    with torch.no_grad():
        for name, values in model.state_dict().items():
            if name.endswith("running_var"):
                values.uniform_(0.5, 1.5)
            elif name.startswith("fc."):
                values.normal_(0, 0.2)
    return model.eval()


def expected_probabilities(model, pictures):
    transforms = torchvision.transforms
    prepare = transforms.Compose([
        transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
    with torch.no_grad():
        return {path: model(prepare(picture)[None]).softmax(1)[0].numpy() for path, picture in pictures.items()}


def check(what, path, found, expected):
    """found: (class, probability) of all classes, the most probable first."""
    order = [c for c, _ in found]
    worst = max(abs(p - float(expected[c])) for c, p in found)
    gap = np.min(-np.diff(np.sort(expected)[::-1]))
    print(f"{what} {path}: {worst:.1e}")
    if len(found) != CLASSES or worst > MOST or (gap > 2 * MOST and order != list(np.argsort(-expected))):
        sys.exit(f"{what} {path}: {found} instead of {expected}")


def main():
    pictures, model = put_photos(), make_model()
    names = [f"kind {c}, or so" for c in range(CLASSES)]
    with open("names.json", "w", encoding="utf-8") as file:
        json.dump({str(c): [f"n{c}", name] for c, name in enumerate(names)}, file)
    torch.save(model.state_dict(), "model.pth")
    expected = expected_probabilities(model, pictures)
    if max(p.max() for p in expected.values()) < 0.3:
        sys.exit("the model is not sure of anything: a poor test")

    gemel("predict", "photos", "model.pth", "--top", str(CLASSES), "--label-names", "names.json", "-o", "p.csv", "--quiet")
    with open("p.csv", newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header[:5] == ["path", "label", "probability", "label_2", "probability_2"], header
    assert [row[0] for row in rows] == sorted(pictures), rows
    for path, *fields in rows:
        check("csv", path, [(names.index(n), float(p)) for n, p in zip(fields[::2], fields[1::2])], expected[path])

    gemel("convert", "model.pth", "model.safetensors")
    gemel("predict", "photos", "model.safetensors", "--top", str(CLASSES), "--batch-size", "2", "-o", "p.json", "--quiet")
    with open("p.json", encoding="utf-8") as file:
        for sample in json.load(file):
            found = [(p["class"], p["probability"]) for p in sample["predictions"]]
            check("json", sample["path"], found, expected[sample["path"]])


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    main()
    os.chdir("/")
