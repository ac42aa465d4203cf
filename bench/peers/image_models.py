"""Encoders of images and their projector, with the parameters of parameters.c."""
import numpy as np
import torch
import torchvision
from torch import nn

from server_torch import floats

PROJECTOR = [256, 256, 256]


def hash_of(name):
    code = 2166136261  # FNV-1a
    for byte in name.encode():
        code = (code ^ byte) * 16777619 % 2**32
    return code


def fill(name, values, seed):
    shift = name.endswith(("bias", "running_mean"))
    matrix = values.dim() > 1
    scale = (6.0 / (values.numel() // len(values))) ** 0.5 if matrix else 0.1 if shift else 0.25
    values.copy_(floats(tuple(values.shape), hash_of(name) ^ seed) * scale + (0.0 if matrix or shift else 1.0))


def conv():
    """Three 3x3 convolutions with max pooling between them, then averages of a 2x2 grid."""
    layers = []
    for i, o in ((1, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers[:-1], nn.AdaptiveAvgPool2d(2), nn.Flatten()), 512


def resnet(arch, stem, channels):
    encoder = getattr(torchvision.models, arch)()
    width = encoder.fc.in_features
    encoder.fc = nn.Identity()
    if stem == "small":
        encoder.conv1, encoder.maxpool = nn.Conv2d(channels, 64, 3, 1, 1, bias=False), nn.Identity()
    return encoder, width


def model(arch, stem, train, channels=3, seed=0):
    """encoder and projector of a training step, or the encoder alone."""
    encoder, width = conv() if arch == "conv" else resnet(arch, stem, channels)
    parts = {"encoder": encoder}
    if train:
        widths = [width, *PROJECTOR]
        layers = [layer for a, b in zip(widths, widths[1:])
                  for layer in (nn.Linear(a, b, bias=False), nn.BatchNorm1d(b), nn.ReLU())]
        parts["projector"] = nn.Sequential(*layers[:-2])
    whole = nn.ModuleDict(parts)
    with torch.no_grad():
        for name, values in whole.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                fill(name, values, seed)
    return nn.Sequential(*whole.values()).train(train)


def images(batch, side):
    return floats((batch, side, side, 3), 1).permute(0, 3, 1, 2)


def norm(arrays):
    return float(np.sqrt(sum(float(np.square(np.asarray(a, np.float64)).sum()) for a in arrays)))
