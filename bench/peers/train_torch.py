"""The training of a run's config.json in PyTorch. Usage: train_torch.py CONFIG.json nhwc|nchw, with OMP_NUM_THREADS threads.

Request: a number of steps; answer: their seconds, with everything that a step needs: picking the samples, two augmented
views made on the whole batch at once, forward, loss, backward, optimiser. The same sizes, batch, optimiser, schedule's cost
and kinds of augmentation as `gemel train fashion-mnist`.
"""
import gzip
import json
import math
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

IMAGES = "/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz"

LAYOUT = torch.channels_last if sys.argv[2] == "nhwc" else torch.contiguous_format
with open(sys.argv[1], encoding="utf-8") as file:
    config = json.load(file)
torch.manual_seed(config["seed"])
with gzip.open(IMAGES) as file:
    pixels = torch.from_numpy(np.frombuffer(file.read(), np.uint8, offset=16).copy())
images = pixels.reshape(-1, 1, 28, 28).float() / 255
mean, std = images.mean(), images.std()


def fires(n, probability):
    return (torch.rand(n, 1, 1, 1) < probability).float()


def crop_and_flip(batch):
    n = len(batch)
    low, high = config["crop_scale_min"], config["crop_scale_max"]
    area = torch.rand(n) * (high - low) + low
    low, high = math.log(config["crop_ratio_min"]), math.log(config["crop_ratio_max"])
    ratio = torch.exp(torch.rand(n) * (high - low) + low)
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = width * torch.where(torch.rand(n) < config["flip_probability"], -1.0, 1.0)
    theta[:, 1, 1] = height
    theta[:, 0, 2] = (torch.rand(n) * 2 - 1) * (1 - width)
    theta[:, 1, 2] = (torch.rand(n) * 2 - 1) * (1 - height)
    return F.grid_sample(batch, F.affine_grid(theta, batch.shape, align_corners=False), align_corners=False)


def jitter(batch):
    n = len(batch)
    fired = fires(n, config["jitter_probability"])
    out = batch * (1 + fired * (torch.rand(n, 1, 1, 1) * 2 - 1) * config["brightness"])
    middle = out.mean((1, 2, 3), keepdim=True)
    return ((out - middle) * (1 + fired * (torch.rand(n, 1, 1, 1) * 2 - 1) * config["contrast"]) + middle).clamp(0, 1)


def blur(batch):
    """Each sample with its own sigma: a depthwise convolution whose channels are the samples, rows then columns."""
    chosen = (torch.rand(len(batch)) < config["blur_probability"]).nonzero().flatten()
    if not len(chosen):
        return batch
    low, high = config["blur_sigma_min"], config["blur_sigma_max"]
    radius = math.ceil(3 * high)
    sigma = torch.rand(len(chosen), 1) * (high - low) + low
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True))[:, None]
    x = F.pad(batch[chosen].transpose(0, 1), [radius] * 4, mode="reflect")
    x = F.conv2d(x, kernel[:, :, None, :], groups=len(chosen))
    x = F.conv2d(x, kernel[:, :, :, None], groups=len(chosen))
    return batch.index_copy(0, chosen, x.transpose(0, 1))


def solarize(batch):
    bright = (batch >= config["solarize_threshold"]) & (torch.rand(len(batch), 1, 1, 1) < config["solarize_probability"])
    return torch.where(bright, 1 - batch, batch)


def view(batch):
    if config["crop_probability"] or config["flip_probability"]:
        batch = crop_and_flip(batch)
    if config["jitter_probability"]:
        batch = jitter(batch)
    if config["blur_probability"]:
        batch = blur(batch)
    if config["solarize_probability"]:
        batch = solarize(batch)
    batch = (batch - mean) / std
    return batch.contiguous(memory_format=LAYOUT) if config["arch"] == "conv" else batch.flatten(1)


def dense(widths):
    return [module for i, o in zip(widths, widths[1:])
            for module in (nn.Linear(i, o, bias=False), nn.BatchNorm1d(o), nn.ReLU())]


def loss(za, zb):
    """The usual code: C is formed."""
    a, b = (F.batch_norm(z, None, None, training=True, eps=config["eps"]) for z in (za, zb))
    c = a.T @ b / len(a)
    on, squares = c.diagonal(), (c**2).sum()
    return ((on - 1) ** 2).sum() + config["lambd"] * (squares - (on**2).sum())


def conv(widths):
    """3x3 convolutions with max pooling between them, then averages of a 2x2 grid."""
    layers = []
    for i, o in zip(widths, widths[1:]):
        layers += [nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2)]
    return [*layers[:-1], nn.AdaptiveAvgPool2d(2), nn.Flatten()]


if config["arch"] not in ("mlp", "conv") or config["optimizer"] != "adam":
    sys.exit("only arch mlp and conv with optimizer adam are written here")
hidden = config["hidden_size"]
encoder, features = (dense([784, hidden, hidden]), hidden) if config["arch"] == "mlp" else (conv([1, 32, 64, 128]), 512)
projector = dense([features, *map(int, config["projector"].split("-"))])[:-2]  # nothing behind the last layer
model = nn.Sequential(*encoder, *projector).to(memory_format=LAYOUT)
adam = torch.optim.Adam(model.parameters(), lr=config["learning_rate_weights"], weight_decay=config["weight_decay"],
                        fused=True)
batch_size = config["batch_size"]


def train(steps):
    done = 0
    while done < steps:
        for pick in torch.randperm(len(images)).split(batch_size)[:steps - done]:
            if len(pick) < batch_size:
                break
            batch = images[pick]
            value = loss(model(view(batch)), model(view(batch)))
            adam.zero_grad()
            value.backward()
            adam.step()
            value.item()
            done += 1


for line in sys.stdin:
    start = time.perf_counter()
    train(int(line))
    print(time.perf_counter() - start, flush=True)
