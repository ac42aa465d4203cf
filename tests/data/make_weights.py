"""Writes weights/ for tests/test_pth.c and tests/test_weights.c: python3 tests/data/make_weights.py

Dictionaries as torch.save() writes them, in both formats and several protocols, each beside the same tensors as
NAME.safetensors; and the names and shapes of torchvision's ResNets, NAME.txt, one tensor a line: name, then sizes.
"""
import json
import pathlib
import struct
import zipfile

import torch
import torch.nn as nn
import torchvision

HERE = pathlib.Path(__file__).resolve().parent / "weights"
TYPES = {
    torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}


def tensors(value, name=""):
    """All tensors in dictionaries, lists and tuples, by the keys on the way."""
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, (dict, list, tuple)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from tensors(item, f"{name}.{key}" if name else str(key))


def write_safetensors(path, value):
    header, data = {}, b""
    for name, tensor in tensors(value):
        flat = tensor.detach().contiguous().flatten()
        stored = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
        header[name] = {"dtype": TYPES[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [len(data), len(data) + len(stored)]}
        data += stored
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def deflate(source, target):
    with zipfile.ZipFile(source) as stored, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in stored.namelist():
            packed.writestr(zipfile.ZipInfo(name), stored.read(name), zipfile.ZIP_DEFLATED)


def cases():
    torch.manual_seed(0)
    base = torch.randn(40)
    yield "types", {
        "f32": torch.tensor([0.0, -0.0, 1e-45, float("inf"), float("nan"), 3.5]),
        "f64": torch.randn(5, dtype=torch.float64),
        "f16": torch.randn(2, 3).half(),
        "bf16": torch.randn(7).bfloat16(),
        "i64": torch.tensor(-(2**40)),
        "i32": torch.arange(4, dtype=torch.int32),
        "i16": torch.arange(4, dtype=torch.int16),
        "i8": torch.arange(4, dtype=torch.int8) - 2,
        "u8": torch.arange(4, dtype=torch.uint8),
        "bool": torch.tensor([True, False]),
        "empty": torch.zeros(0, 3),
    }
    yield "views", {
        "whole": base,
        "slice": base[3:9],
        "strided": base.view(5, 8)[1:4, ::2],
        "transposed": torch.randn(4, 6).t(),
        "channels_last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "one": torch.randn(3, 1, 1).expand(3, 1, 1),
    }
    weight = nn.Parameter(torch.randn(2))
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
    weight.sum().backward()
    optimizer.step()
    yield "nested", {
        "epoch": 3, "rate": 0.5, "none": None, "flag": True, "large": 2**80, "device": torch.device("cpu"),
        "type": torch.float32, "size": torch.Size([1, 2]), "weight": weight, "optimizer": optimizer.state_dict(),
        "list": [torch.ones(2), (torch.zeros(1), "text")],
        "model": nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).state_dict(),
    }


HERE.mkdir(exist_ok=True)
for name, value in cases():
    write_safetensors(HERE / f"{name}.safetensors", value)
    torch.save(value, HERE / f"{name}.zip.pth")
    torch.save(value, HERE / f"{name}.legacy.pth", _use_new_zipfile_serialization=False)
    if name == "nested":
        torch.save(value, HERE / f"{name}.4.pth", pickle_protocol=4)
        torch.save(value, HERE / f"{name}.3.pth", pickle_protocol=3, _use_new_zipfile_serialization=False)
        deflate(HERE / f"{name}.zip.pth", HERE / f"{name}.deflated.pth")
for name in "resnet18", "resnet50":
    with torch.device("meta"):
        model = getattr(torchvision.models, name)()
    (HERE / f"{name}.txt").write_text(
        "".join(f"{' '.join([key, *map(str, tensor.shape)])}\n" for key, tensor in model.state_dict().items()))
