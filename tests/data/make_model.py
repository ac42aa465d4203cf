"""Writes model_mlp.f32 and model_axon.f32, PyTorch's values for tests/test_training_step.c: python3 tests/data/make_model.py

Everything is computed in double precision and stored as little-endian float32, one array behind the other:
    every parameter and running statistic, in the order of state_dict()
    x [2 N, IN], both views; z [2 N, OUT]; the loss, with Facebook's defaults
    of every parameter the gradient, and what its rounding is measured by: the sums of the absolute terms of the sums over
        rows that its elements are
    every running statistic after the step
    the encoder's output for x in evaluation mode
    for SGD, Adam and LARS: every parameter after two steps with that gradient
"""
import pathlib

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

N, IN, HIDDEN, OUT = 6, 9, 8, 5
RATE, RATE_BIASES, DECAY = 0.05, 0.01, 0.02
LAMBDA = 0.0051


def mlp():
    def block(i, o):
        return [nn.Linear(i, o, bias=False), nn.BatchNorm1d(o), nn.ReLU()]

    encoder = nn.Sequential(*block(IN, HIDDEN), *block(HIDDEN, HIDDEN))
    projector = nn.Sequential(*block(HIDDEN, OUT), *block(OUT, OUT), nn.Linear(OUT, OUT, bias=False))
    return encoder, projector


def axon():
    def block(i, o):
        return [nn.Linear(i, o), nn.ReLU(), nn.LayerNorm(o)]

    encoder = nn.Sequential(*block(IN, HIDDEN), *block(HIDDEN, HIDDEN))
    projector = nn.Sequential(*block(HIDDEN, HIDDEN), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, OUT))
    return encoder, projector


class LARS(torch.optim.Optimizer):
    """Layer-wise rates as in Barlow Twins: momentum 0.9, eta 0.001; one-dimensional parameters skip decay and scaling."""

    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                g = p.grad.clone()
                if p.ndim != 1:
                    g += group["weight_decay"] * p.data
                    g *= 0.001 * p.data.norm() / g.norm()
                state = self.state[p]
                state["mu"] = 0.9 * state.get("mu", 0) + g
                p.data -= group["lr"] * state["mu"]


def optimizers(groups):
    yield torch.optim.SGD(groups, momentum=0.9, weight_decay=DECAY)
    yield torch.optim.Adam(groups, weight_decay=DECAY)
    yield LARS(groups, {"weight_decay": DECAY})


def barlow(za, zb):
    c = F.batch_norm(za, None, None, training=True).T @ F.batch_norm(zb, None, None, training=True) / N
    off_diagonal = c - torch.diag(c.diagonal())
    return ((c.diagonal() - 1) ** 2).sum() + LAMBDA * (off_diagonal**2).sum()


def keep_terms(network):
    """Has the network's backward pass add the absolute terms of every parameter's gradient up in its .terms."""

    def normalized(module, x):
        if isinstance(module, nn.LayerNorm):
            return F.layer_norm(x, module.normalized_shape, eps=module.eps)
        return F.batch_norm(x, None, None, training=True, eps=module.eps)

    def add(module, x, g):
        if isinstance(module, nn.Linear):
            module.weight.terms += g.abs().T @ x.abs()
        else:
            module.weight.terms += (g * normalized(module, x)).abs().sum(0)
        if module.bias is not None:
            module.bias.terms += g.abs().sum(0)

    def watch(module, inputs, output):
        x = inputs[0].detach()
        output.register_hook(lambda g: add(module, x, g))

    for p in network.parameters():
        p.terms = torch.zeros_like(p)
    for module in network.modules():
        if isinstance(module, (nn.Linear, nn.BatchNorm1d, nn.LayerNorm)):
            module.register_forward_hook(watch)


def record(make):
    torch.manual_seed(1)
    encoder, projector = make()
    network = nn.Sequential()
    network.encoder, network.projector = encoder, projector
    for p in network.parameters():
        p.data += 0.2 * torch.randn_like(p)
    x = torch.randn(2 * N, IN).double()
    network.double()
    state = {k: v.clone() for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    out = list(state.values()) + [x]
    keep_terms(network)
    z = torch.cat([network(view) for view in x.split(N)])
    value = barlow(*z.split(N))
    value.backward()
    out += [z, value] + [array for p in network.parameters() for array in (p.grad, p.terms)]
    out += [v for k, v in network.state_dict().items() if "running" in k]
    out.append(network.eval().encoder(x))
    start = [p.data.clone() for p in network.parameters()]
    groups = [
        {"params": [p for p in network.parameters() if p.ndim > 1], "lr": RATE},
        {"params": [p for p in network.parameters() if p.ndim == 1], "lr": RATE_BIASES},
    ]
    for optimizer in optimizers(groups):
        for p, before in zip(network.parameters(), start):
            p.data = before.clone()
        for _ in range(2):
            optimizer.step()
        out += [p.data for p in network.parameters()]
    return np.concatenate([v.detach().numpy().ravel() for v in out]).astype("<f4")


for make in mlp, axon:
    record(make).tofile(pathlib.Path(__file__).with_name(f"model_{make.__name__}.f32"))
