"""The losses of the first steps of a training run in PyTorch. Usage: steps_torch.py float32|float64, with the requests of
steps.c, whose second word is ignored; "views - SEED BATCH 28 STEPS VIEWS -" writes such a file of Fashion-MNIST. It takes
OMP_NUM_THREADS threads."""
import gzip
import sys

import numpy as np
import torch

from image_models import model

DTYPE = getattr(torch, sys.argv[1])
LAMBDA, RATE = 0.0051, 0.001
IMAGES = "/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz"


def view(image, dice):
    """A square of at least 20 of 28 pixels put back to size by nearest pixels, perhaps flipped, of another contrast."""
    side = dice.integers(20, 29)
    top, left = dice.integers(0, 29 - side, 2)
    pick = (np.arange(28) * side) // 28
    cut = image[top + pick][:, left + pick]
    cut = cut[:, ::-1] if dice.random() < 0.5 else cut
    return (cut - 0.286) / 0.353 * dice.uniform(0.6, 1.4)


def write_views(path, batch, steps, seed):
    with gzip.open(IMAGES) as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28).astype(np.float32) / 255
    dice = np.random.default_rng(seed)
    with open(path, "wb") as file:
        for _ in range(steps):
            chosen = pixels[dice.integers(0, len(pixels), batch)]
            np.asarray([[view(image, dice) for image in chosen] for _ in range(2)], np.float32).tofile(file)


def loss_of(za, zb):
    a, b = (torch.nn.functional.batch_norm(z, None, None, training=True, eps=1e-5) for z in (za, zb))
    c = a.T @ b / len(a)
    on = c.diagonal()
    return ((on - 1) ** 2).sum() + LAMBDA * ((c**2).sum() - (on**2).sum())


def train(arch, seed, batch, side, views):
    net = model(arch, "small", True, channels=1, seed=seed).to(DTYPE).to(memory_format=torch.channels_last)
    adam = torch.optim.Adam(net.parameters(), lr=RATE)
    losses = []
    for pair in views.reshape(-1, 2, batch, 1, side, side):
        a, b = (torch.from_numpy(view.astype(sys.argv[1])) for view in pair)
        value = loss_of(net(a), net(b))
        adam.zero_grad()
        value.backward()
        adam.step()
        losses.append(value.item())
    return np.array(losses)


for line in sys.stdin:
    arch, _, seed, batch, side, steps, views, losses = line.split()
    if arch == "views":
        write_views(views, int(batch), int(steps), int(seed))
        print(0, flush=True)
        continue
    result = train(arch, int(seed), int(batch), int(side), np.fromfile(views, np.float32))
    result.tofile(losses)
    print(f"{result[-1]:.9g}", flush=True)
