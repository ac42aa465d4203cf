"""Writes pool.h beside this file: what PyTorch computes for small maps with ties and NaN.

    python tests/data/make_pool.py        needs torch; the values were made with PyTorch 2
"""
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(0)
torch.set_num_threads(1)
out = ["/* Made by make_pool.py with PyTorch. Maps are [image, height, width, channel]. */\n/* clang-format off */\n"]


def text(value):
    return "NAN" if value != value else f"{value:.9g}" + ("f" if "." in f"{value:.9g}" or "e" in f"{value:.9g}" else ".0f")


def put(name, tensor):
    values = [text(v) for v in tensor.detach().flatten().tolist()]
    lines = [", ".join(values[i : i + 12]) for i in range(0, len(values), 12)]
    out.append(f"static const float torch_{name}[] = {{\n    " + ",\n    ".join(lines) + ",\n};\n")


def record(name, x, function, nhwc=True):
    x = x.clone().requires_grad_()
    y = function(x.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last))
    dy = torch.randint(-3, 4, y.shape).float()
    y.backward(dy)
    for what, tensor in (("y", y), ("dy", dy)):
        put(f"{name}_{what}", tensor.permute(0, 2, 3, 1) if nhwc else tensor)
    put(f"{name}_dx", x.grad)


x = torch.randint(-2, 3, (2, 5, 7, 3)).float()
put("x", x)
record("average", x, lambda x: F.adaptive_avg_pool2d(x, 2), nhwc=False)
x[0, 1, 2, 0] = x[0, 1, 3, 0] = x[1, 4, 6, 2] = x[1, 0, 0, 1] = float("nan")
put("nan_x", x)
record("max_3_2_1", x, lambda x: F.max_pool2d(x, 3, 2, 1))
record("max_2_2_0", x, lambda x: F.max_pool2d(x, 2, 2, 0))
pathlib.Path(__file__).with_name("pool.h").write_text("\n".join(out))
