"""Column statistics, batch and layer normalisation in PyTorch. Usage: normalization_torch.py matrix|nhwc|nchw [compiled],
with the requests of normalization.c, of the phase all. It takes OMP_NUM_THREADS threads.

The rows of a matrix are samples, or the pixels of images, which PyTorch takes in two layouts.
"""
import sys

import torch
import torch.nn.functional as F

from server_torch import floats, serve

LAYOUT = sys.argv[1]


def column_stats(x, _residual, _weight, _bias):
    return torch.var_mean(x, 0, correction=0)


def batchnorm(x, _residual, weight, bias):
    return F.batch_norm(x, None, None, weight, bias, training=True)


def batchnorm_relu(x, _residual, weight, bias):
    return F.relu(F.batch_norm(x, None, None, weight, bias, training=True), inplace=True)


def batchnorm_add_relu(x, residual, weight, bias):
    y = F.batch_norm(x, None, None, weight, bias, training=True)
    y += residual
    return F.relu(y, inplace=True)


def layernorm(x, _residual, weight, bias):
    return F.layer_norm(x, weight.shape, weight, bias)


def arrange(matrix, side):
    """[rows, cols] as the images of that many pixels a side that the layout asks for."""
    if LAYOUT == "matrix":
        return matrix
    images = matrix.view(-1, side, side, matrix.shape[1]).permute(0, 3, 1, 2)
    return images if LAYOUT == "nhwc" else images.contiguous()


def prepare(operation, _phase, rows, cols, side):
    function = OPERATIONS[operation]
    rows, cols, side = int(rows), int(cols), int(side)
    x, dy = (arrange(floats((rows, cols), seed), side) for seed in (1, 2))
    weight, bias = floats(cols, 3), floats(cols, 4)

    if operation == "column_stats":
        return lambda: function(x, None, weight, bias)
    residual = arrange(floats((rows, cols), 10), side) if operation == "batchnorm_add_relu" else None
    inputs = [tensor for tensor in (x, residual, weight, bias) if tensor is not None]
    for tensor in inputs:
        tensor.requires_grad_()

    def forward_and_backward():
        y = function(x, residual, weight, bias)
        return y.detach(), *torch.autograd.grad(y, inputs, dy)

    return forward_and_backward


def value(_what, *results):
    return sum(torch.linalg.vector_norm(result, dtype=torch.float64).item() for result in results)


OPERATIONS = {function.__name__: function for function in (column_stats, batchnorm, batchnorm_relu, batchnorm_add_relu,
                                                      layernorm)}
if sys.argv[2:] == ["compiled"]:
    OPERATIONS = {name: torch.compile(function, dynamic=False) for name, function in OPERATIONS.items()}
serve(prepare, value)
