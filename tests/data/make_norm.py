"""Writes norm.h beside this file: what PyTorch computes for small normalisation layers and optimisers.

    python tests/data/make_norm.py        needs torch; the values were made with PyTorch 2
"""
import pathlib

import torch

torch.manual_seed(0)
torch.set_num_threads(1)
out = ["/* Made by make_norm.py with PyTorch. Matrices are row-major. */\n/* clang-format off */\n"]


def put(name, tensor):
    values = [f"{v:.9g}" for v in tensor.detach().flatten().tolist()]
    values = [v + ("f" if "." in v or "e" in v else ".0f") for v in values]
    lines = [", ".join(values[i : i + 8]) for i in range(0, len(values), 8)]
    out.append(f"static const float torch_{name}[] = {{\n    " + ",\n    ".join(lines) + ",\n};\n")


def batchnorm():
    """Two views of six rows, one after the other through the same layer, ReLU behind it."""
    layer = torch.nn.BatchNorm1d(5)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(5))
        layer.bias.copy_(torch.randn(5))
        layer.running_mean.copy_(torch.randn(5))
        layer.running_var.copy_(torch.rand(5) + 0.5)
    put("bn_weight", layer.weight)
    put("bn_bias", layer.bias)
    put("bn_running_mean_before", layer.running_mean)
    put("bn_running_variance_before", layer.running_var)
    x = (torch.randn(12, 5) + 1).requires_grad_()
    dy = torch.randn(12, 5)
    y = torch.cat([torch.relu(layer(x[:6])), torch.relu(layer(x[6:]))])
    y.backward(dy)
    layer.eval()
    for name, tensor in [("x", x), ("dy", dy), ("y", y), ("running_mean", layer.running_mean),
                         ("running_variance", layer.running_var), ("dx", x.grad), ("dweight", layer.weight.grad),
                         ("dbias", layer.bias.grad), ("infer", layer(x))]:
        put("bn_" + name, tensor)


def layernorm():
    layer = torch.nn.LayerNorm(7)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(7))
        layer.bias.copy_(torch.randn(7))
    x = torch.randn(5, 7, requires_grad=True)
    dy = torch.randn(5, 7)
    y = layer(torch.relu(x))
    y.backward(dy)
    for name, tensor in [("weight", layer.weight), ("bias", layer.bias), ("x", x), ("dy", dy), ("y", y),
                         ("dx", x.grad), ("dweight", layer.weight.grad), ("dbias", layer.bias.grad)]:
        put("ln_" + name, tensor)


def optimizers():
    """Three steps with the gradients torch_opt_gradients[step]."""
    start = torch.randn(9)
    gradients = torch.randn(3, 9)
    put("opt_start", start)
    put("opt_gradients", gradients)
    for name, make in [("sgd", lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01)),
                       ("adam", lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.01))]:
        parameter = torch.nn.Parameter(start.clone())
        optimizer = make([parameter])
        for gradient in gradients:
            parameter.grad = gradient.clone()
            optimizer.step()
        put("opt_" + name, parameter)


batchnorm()
layernorm()
optimizers()
pathlib.Path(__file__).with_name("norm.h").write_text("\n".join(out))
