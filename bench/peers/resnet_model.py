"""torchvision's ResNets with the parameters of resnet.c."""
import numpy as np
import torch
import torchvision
from torch import nn

from server_torch import floats

PROJECTOR = [256, 256, 256]


def seed_of(name):
    code = 2166136261  # FNV-1a
    for byte in name.encode():
        code = (code ^ byte) * 16777619 % 2**32
    return code


def fill(name, values):
    shift = name.endswith(("bias", "running_mean"))
    matrix = values.dim() > 1
    scale = (6.0 / (values.numel() // len(values))) ** 0.5 if matrix else 0.1 if shift else 0.25
    values.copy_(floats(tuple(values.shape), seed_of(name)) * scale + (0.0 if matrix or shift else 1.0))


def trunk(arch, stem):
    encoder = getattr(torchvision.models, arch)()
    encoder.fc = nn.Identity()
    if stem == "small":
        encoder.conv1, encoder.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
    return encoder


def model(arch, stem, train):
    """encoder and projector of a training step, or the encoder alone."""
    encoder = trunk(arch, stem)
    parts = {"encoder": encoder}
    if train:
        widths = [encoder.layer4[-1].get_submodule("bn3" if arch == "resnet50" else "bn2").num_features, *PROJECTOR]
        layers = [layer for a, b in zip(widths, widths[1:])
                  for layer in (nn.Linear(a, b, bias=False), nn.BatchNorm1d(b), nn.ReLU())]
        parts["projector"] = nn.Sequential(*layers[:-2])
    whole = nn.ModuleDict(parts)
    with torch.no_grad():
        for name, values in whole.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                fill(name, values)
    sequence = nn.Sequential(*whole.values())
    return sequence.train(train)


def images(batch, side):
    return floats((batch, side, side, 3), 1).permute(0, 3, 1, 2)


def norm(arrays):
    return float(np.sqrt(sum(float(np.square(np.asarray(a, np.float64)).sum()) for a in arrays)))
