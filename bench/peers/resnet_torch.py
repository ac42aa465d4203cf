"""ResNets in PyTorch. Usage: resnet_torch.py nhwc|nchw [compiled], with the requests of resnet.c. It takes
OMP_NUM_THREADS threads."""
import sys

import torch

from image_models import images, model, norm
from server_torch import serve, status_bytes

BEFORE = status_bytes("VmRSS:")
LAYOUT = torch.channels_last if sys.argv[1] == "nhwc" else torch.contiguous_format


def prepare(phase, arch, stem, batch, side):
    train = phase == "train"
    net = model(arch, stem, train).to(memory_format=LAYOUT)
    x = images(int(batch), int(side)).contiguous(memory_format=LAYOUT)
    run = torch.compile(net) if "compiled" in sys.argv else net

    def infer():
        with torch.inference_mode():
            return (run(x),)

    def step():
        net.zero_grad(set_to_none=True)
        run(x).square().mean().backward()
        return [p.grad for p in net.parameters()]

    return step if train else infer


def value(what, *results):
    return status_bytes("VmHWM:") - BEFORE if what == "peak" else norm(r.detach() for r in results)


serve(prepare, value)
