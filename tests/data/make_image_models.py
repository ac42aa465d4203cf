"""Writes image_model_NAME.f32 beside this file, PyTorch's values for tests/test_image_model.c: needs torch and torchvision.

    python3 tests/data/make_image_models.py [NAME ...]

Weights, images and the gradient of the output come from hash(array, element), which the test repeats; everything is computed
in double precision and stored as little-endian float32, one after the other:
    z [2 N, OUT], each view by itself
    of every parameter the norm of its gradient and PROJECTIONS products of the gradient with signs from hash()
    the encoder's output for the first two images in evaluation mode, after the running statistics have seen both views
    the projector's output for all images in evaluation mode
"""
import pathlib
import sys

import numpy as np
import torch
import torch.nn as nn
import torchvision

PROJECTIONS = 8
IMAGES, OUTPUT_GRADIENT, SIGNS = 1 << 20, (1 << 20) + 1, 1 << 21
# Chosen so that no activation lies so near 0 that float32 turns it: one such in the last maps changes gradients by a percent.
# name: architecture, stem of 3x3, images a view, height, width, channels, projector, biases
CASES = {
    "conv": ("conv", False, 5, 13, 11, 1, [20, 12], True),
    "resnet18": ("resnet18", True, 5, 9, 7, 2, [16, 12], False),
    "resnet18_imagenet": ("resnet18", False, 6, 33, 40, 1, [12], True),
    "resnet34": ("resnet34", True, 4, 8, 8, 1, [12], False),
    "resnet50": ("resnet50", False, 4, 44, 40, 3, [16, 12], False),
}


def hashed(array, count):
    x = (np.arange(count, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    x += np.uint64(array * 0xD1342543DE82EF95 % 2**64)
    for _ in range(2):
        x ^= x >> np.uint64(32)
        x *= np.uint64(0xD6E8FEB86659FD93)
    return x


def random(array, count):
    """Uniform in [-1, 1), in steps of 2^-23."""
    return (hashed(array, count) >> np.uint64(40)).astype(np.float64) / 2**23 - 1


def signs(array, count):
    """[PROJECTIONS, count], a bit of the hash each."""
    x = hashed(array, count)
    return torch.from_numpy(np.stack([(x >> np.uint64(56 + k) & np.uint64(1)).astype(np.float64) * 2 - 1 for k in range(PROJECTIONS)]))


def conv_encoder(channels):
    layers = []
    for i, (a, b) in enumerate(((channels, 32), (32, 64), (64, 128))):
        layers += [nn.Conv2d(a, b, 3, 1, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()] + ([nn.MaxPool2d(2)] if i < 2 else [])
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten()), 512


def resnet(name, small, channels):
    net = getattr(torchvision.models, name)()
    width, net.fc = net.fc.in_features, nn.Identity()
    net.conv1 = nn.Conv2d(channels, 64, 3, 1, 1, bias=False) if small else nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
    if small:
        net.maxpool = nn.Identity()
    return net, width


def fill(network):
    """Hashed values, each rounded to float32, which the test computes as well. Residual branches count less than the way
    past them: with equal weights ResNet-50 is so badly conditioned that float32 changes gradients by percents."""
    ends = ("bn3.weight",) if any("bn3" in name for name, _ in network.named_parameters()) else ("bn2.weight",)
    state = {k: v for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    for i, (name, v) in enumerate(state.items()):
        u = random(i, v.numel()).astype(np.float32)
        if v.ndim > 1:
            u *= np.sqrt(np.float32(6 / (v.numel() / v.shape[0]))).astype(np.float32)
        elif name.endswith(ends):
            u = np.float32(0.25) + np.float32(0.25) * u
        elif name.endswith("weight"):
            u = np.float32(1) + np.float32(0.25) * u
        elif name.endswith("running_var"):
            u = np.float32(1) + np.float32(0.5) * u
        else:
            u *= np.float32(0.25)
        v.copy_(torch.from_numpy(u.reshape(v.shape)))


def record(arch, small, n, height, width, channels, projector, biases):
    torch.manual_seed(0)
    network = nn.Module()
    network.encoder, features = conv_encoder(channels) if arch == "conv" else resnet(arch, small, channels)
    layers = []
    for i, out in enumerate(projector):
        layers += [nn.BatchNorm1d(features), nn.ReLU()] if i else []
        layers.append(nn.Linear(features, out, bias=biases))
        features = out
    network.projector = nn.Sequential(*layers)
    fill(network)
    network.double()
    x = torch.from_numpy(random(IMAGES, 2 * n * height * width * channels)).reshape(2 * n, height, width, channels).permute(0, 3, 1, 2)
    z = torch.cat([network.projector(network.encoder(view)) for view in x.split(n)])
    z.backward(torch.from_numpy(random(OUTPUT_GRADIENT, z.numel())).reshape(z.shape))
    out = [z]
    for i, p in enumerate(network.parameters()):
        g = p.grad.flatten()
        out.append(g.norm())
        out.append(signs(SIGNS + i, g.numel()) @ g)
    network.eval()
    with torch.no_grad():
        features = network.encoder(x)
        out += [features[:2], network.projector(features)]
    return np.concatenate([v.detach().numpy().ravel() for v in out]).astype("<f4")


for name in sys.argv[1:] or CASES:
    record(*CASES[name]).tofile(pathlib.Path(__file__).with_name(f"image_model_{name}.f32"))
