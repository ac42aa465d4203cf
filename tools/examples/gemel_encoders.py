"""The encoders that `gemel train` makes, as PyTorch modules with the same names of weights.

    gemel convert runs/fashion-mnist-1 encoder.pth

    import gemel_encoders, torch
    encoder = gemel_encoders.load("encoder.pth").eval()
    features = encoder(torch.randn(8, 1, 28, 28))

Images are [batch, channels, height, width], normalised as in training: (byte / 255 - mean) / std, with the `mean` and `std`
that the metadata of the run's backbone.safetensors name. Vectors are [batch, size]; the encoder of a run standardises them.
"""
import torch
from torch import nn


class Standardize(nn.Module):
    """(x - mean) * scale, column by column, as in training."""

    def __init__(self, mean, scale):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, x):
        return ((x - self.mean) * self.scale).to(x.dtype)


def mlp(inputs, hidden=512):
    return nn.Sequential(
        nn.Linear(inputs, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(),
        nn.Linear(hidden, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU())


def axon(inputs, hidden=512):
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.ReLU(), nn.LayerNorm(hidden),
        nn.Linear(hidden, hidden), nn.ReLU(), nn.LayerNorm(hidden))


def conv(channels=1):
    def block(inputs, outputs):
        return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()

    return nn.Sequential(
        *block(channels, 32), nn.MaxPool2d(2), *block(32, 64), nn.MaxPool2d(2), *block(64, 128),
        nn.AdaptiveAvgPool2d(2), nn.Flatten())


def resnet(name, channels=3, small_stem=False):
    """torchvision's "resnet18", "resnet34" or "resnet50" without fc. Small stem: 3x3 with stride 1 and no pooling, which
    gemel chooses for images up to 64 x 64."""
    import torchvision

    encoder = getattr(torchvision.models, name)()
    encoder.fc = nn.Identity()
    if small_stem:
        encoder.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
        encoder.maxpool = nn.Identity()
    elif channels != 3:
        encoder.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
    return encoder


def of(weights):
    """The encoder that a state_dict belongs to, told by names and shapes."""
    if "conv1.weight" in weights:
        bottleneck, deep = "layer1.0.conv3.weight" in weights, "layer3.5.conv1.weight" in weights
        _, channels, side, _ = weights["conv1.weight"].shape
        return resnet("resnet50" if bottleneck else "resnet34" if deep else "resnet18", channels, side == 3)
    first = weights["0.weight"]
    if first.ndim == 4:
        return conv(first.shape[1])
    return (axon if "0.bias" in weights else mlp)(first.shape[1], first.shape[0])


def load(path):
    weights = torch.load(path, weights_only=True)
    mean, scale = weights.pop("input.mean", None), weights.pop("input.scale", None)
    encoder = of(weights)
    encoder.load_state_dict(weights)
    return encoder if mean is None else nn.Sequential(Standardize(mean, scale), encoder)
