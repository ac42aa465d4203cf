"""ResNets in PyTorch. Usage: resnet_torch.py nhwc|nchw, with the requests of resnet.c. It takes OMP_NUM_THREADS threads."""
import sys

import torch
import torchvision

from server_torch import floats, serve, status_bytes

CHANNELS, OUT = 3, 64
LAYOUT = torch.channels_last if sys.argv[1] == "nhwc" else torch.contiguous_format
BEFORE = status_bytes("VmRSS:")


def prepare(which, arch, stem, batch, side):
    network = getattr(torchvision.models, arch)(weights=None)
    network.fc = torch.nn.Linear(network.fc.in_features, OUT, bias=False)
    if stem == "small":
        network.conv1, network.maxpool = torch.nn.Conv2d(CHANNELS, 64, 3, 1, 1, bias=False), torch.nn.Identity()
    network = network.to(memory_format=LAYOUT).train(which == "train")
    x = floats((int(batch), int(side), int(side), CHANNELS), 1).permute(0, 3, 1, 2).contiguous(memory_format=LAYOUT)

    def train():
        for p in network.parameters():
            p.grad = None
        z = network(x)
        z.backward(z.detach())
        return list(network.parameters())

    def infer():
        with torch.inference_mode():
            network(x)
        return list(network.parameters())

    return train if which == "train" else infer


def value(what, *parameters):
    if what == "parameters":
        return sum(p.numel() for p in parameters)
    return status_bytes("VmHWM:") - BEFORE


serve(prepare, value)
