"""Convolutions and their gradients in PyTorch. Usage: conv_torch.py nhwc|nchw, with the requests of conv.c. It takes
OMP_NUM_THREADS threads."""
import sys

import torch

from server_torch import floats, serve

LAYOUT = torch.channels_last if sys.argv[1] == "nhwc" else torch.contiguous_format


def images(shape, seed):
    """[batch, side, side, channels] in the layout that is asked for."""
    return floats(shape, seed).permute(0, 3, 1, 2).contiguous(memory_format=LAYOUT)


def prepare(which, *numbers):
    batch, side, channels, out, kernel, stride = map(int, numbers)
    padding = kernel // 2
    out_side = (side + 2 * padding - kernel) // stride + 1
    x, dy = images((batch, side, side, channels), 1), images((batch, out_side, out_side, out), 2)
    weight = floats((out, channels, kernel, kernel), 3).contiguous(memory_format=LAYOUT)
    if which == "forward":
        return lambda: torch.nn.functional.conv2d(x, weight, None, stride, padding)
    wanted = [which == "data", which == "weight", False]

    def gradient():
        results = torch.ops.aten.convolution_backward(dy, x, weight, None, [stride] * 2, [padding] * 2, [1, 1], False,
                                                      [0, 0], 1, wanted)
        return results[wanted.index(True)]

    return gradient


def value(_what, *rows):
    return sum(torch.linalg.vector_norm(row, dtype=torch.float64).item() ** 2 for row in rows) ** 0.5


serve(prepare, value)
