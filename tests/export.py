#!/usr/bin/env python3
"""What `gemel convert` writes, in PyTorch and ONNX Runtime: export.py EXAMPLES, with GEMEL_COMMAND as in tests/support/command.h.

Needs torch, torchvision, onnx and onnxruntime, in the Python environment that GEMEL_PEERS names (bench/peers/install.sh) or
else in this Python's; exits with 77 where they are missing. Features of gemel embed, PyTorch and ONNX Runtime must agree to
1e-4 in norm, with random weights from PyTorch and with those of short runs.
"""
import json
import os
import pathlib
import struct
import sys
import tempfile

from gemel_command import gemel, skip, use_peers

use_peers()
try:
    import numpy as np
    import onnx
    import onnxruntime
    import torch
    import torchvision  # noqa: F401, for gemel_encoders
except ImportError as missing:
    skip(missing)

sys.path.insert(0, sys.argv[1])
import gemel_encoders  # noqa: E402

MOST = 1e-4
TRAIN, TEST, SIDE, DIM = 40, 24, 20, 12
torch.manual_seed(0)
torch.set_num_threads(1)
generator = np.random.default_rng(0)


def check(what, x, expected):
    error = np.linalg.norm(x - expected) / np.linalg.norm(expected)
    print(f"{what:<44} {error:.1e}")
    if x.shape != expected.shape or not error <= MOST:
        sys.exit(f"{what}: {x.shape} instead of {expected.shape}, off by {error:.2g}")


def put_images():
    """The four files of MNIST in images/; all pixels, the training images first."""
    pixels = generator.integers(0, 256, (TRAIN + TEST, SIDE, SIDE), np.uint8)
    os.mkdir("images")
    for name, part in ("train", pixels[:TRAIN]), ("t10k", pixels[TRAIN:]):
        front = struct.pack(">4i", 0x803, len(part), SIDE, SIDE)
        pathlib.Path(f"images/{name}-images-idx3-ubyte").write_bytes(front + part.tobytes())
        pathlib.Path(f"images/{name}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 0x801, len(part)) + bytes(len(part)))
    return pixels[:, None]


def put_color_images():
    """CIFAR-10's six files in cifar/; all pixels, [channels, height, width] each."""
    records = generator.integers(0, 256, (6, 4, 1 + 3 * 32 * 32), np.uint8)
    records[:, :, 0] %= 10
    os.mkdir("cifar")
    for name, part in zip(["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"], records):
        pathlib.Path(f"cifar/{name}.bin").write_bytes(part.tobytes())
    return records[:, :, 1:].reshape(-1, 3, 32, 32)


def put_vectors():
    vectors = generator.normal(3, 2, (TRAIN + TEST, DIM)).astype(np.float32)
    np.save("vectors.npy", vectors)
    return vectors, ((vectors - vectors.mean(0, dtype=np.float64)) / vectors.std(0, dtype=np.float64)).astype(np.float32)


def normalized(pixels, mean, std):
    return ((pixels / 255 - mean) / std).astype(np.float32)


def randomize(encoder):
    """Also the statistics of batch norms; residual branches count less than the way past them."""
    with torch.no_grad():
        for name, values in encoder.state_dict().items():
            if name.endswith("running_var"):
                values.uniform_(0.5, 1.5)
            elif values.ndim == 1:
                values.normal_(0.5 if name.endswith("weight") else 0, 0.2)
    return encoder.eval()


def in_torch(encoder, x):
    with torch.no_grad():
        return encoder.eval()(torch.from_numpy(x)).numpy()


def in_onnxruntime(path, x):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["features"], {"input": x})[0], {entry.key: entry.value for entry in model.metadata_props}


def check_onnx(name, path, x, expected):
    features, about = in_onnxruntime(path, x)
    check(f"{name}: onnxruntime", features, expected)
    check(f"{name}: onnxruntime, one sample", in_onnxruntime(path, x[:1])[0], expected[:1])
    return about


def embed(data, weights):
    gemel("embed", data, weights, "-o", "features.npy", "--quiet")
    return np.load("features.npy")


def same_weights(encoder, path):
    """Whether the file is the encoder's, name by name and bit by bit."""
    weights = torch.load(path, weights_only=True)
    own = {k: v for k, v in encoder.state_dict().items() if not k.endswith("num_batches_tracked")}
    kept = {k: v for k, v in weights.items() if not k.endswith("num_batches_tracked")}
    if own.keys() != kept.keys() or not all(torch.equal(own[k], kept[k]) for k in own):
        sys.exit(f"{path}: not the weights that were saved")


def check_random(name, data, x, encoder, legacy_prefix=None):
    """Weights of PyTorch's through gemel and back."""
    randomize(encoder)
    weights = encoder.state_dict()
    if legacy_prefix is not None:
        saved = {"epoch": 3, "model": {legacy_prefix + k: v for k, v in weights.items()}}
        torch.save(saved, "random.pth", _use_new_zipfile_serialization=False)
    else:
        torch.save(weights, "random.pth")
    expected = in_torch(encoder, x)
    check(f"{name}: gemel", embed(data, "random.pth"), expected)
    gemel("convert", "random.pth", "random.safetensors")
    gemel("convert", "random.safetensors", "back.pth")
    same_weights(encoder, "back.pth")
    check(f"{name}: back in PyTorch", in_torch(gemel_encoders.load("back.pth"), x), expected)
    if name.startswith("conv"):
        gemel("convert", "random.pth", "random.onnx", fails_with="does not say how large its images are")
    else:
        gemel("convert", "random.pth", "random.onnx")
        check_onnx(name, "random.onnx", x, expected)


def check_run(arch, data, x=None, pixels=None):
    """x, or pixels [samples, channels, height, width] that the run's metadata tell how to normalise."""
    run = f"{data}-{arch}"
    gemel("train", data, f"--arch={arch}", "--epochs=2", "--batch-size=16", "--hidden-size=24", "--no-evaluation",
          "--projection-dim=32", f"--checkpoint-dir={run}")
    gemel("convert", run, f"{run}.pth")
    gemel("convert", run, f"{run}.onnx")
    expected = embed(data, run)
    if pixels is not None:
        about = {entry.key: entry.value for entry in onnx.load(f"{run}.onnx").metadata_props}
        x = normalized(pixels, *(np.reshape(json.loads(about[key]), (-1, 1, 1)) for key in ("mean", "std")))
    about = check_onnx(f"run of {arch} on {data}", f"{run}.onnx", x, expected)
    if about["arch"] != arch:
        sys.exit(f"{run}.onnx: says {about}")
    check(f"run of {arch} on {data}: PyTorch", in_torch(gemel_encoders.load(f"{run}.pth"), x), expected)


def main():
    (raw_vectors, vectors), pixels = put_vectors(), put_images()
    images = normalized(pixels, pixels[:TRAIN].mean() / 255, pixels[:TRAIN].std() / 255)
    check_random("mlp", "vectors.npy", vectors, gemel_encoders.mlp(DIM, 24))
    check_random("axon", "vectors.npy", vectors, gemel_encoders.axon(DIM, 24), legacy_prefix="module.backbone.")
    check_random("conv", "images", images, gemel_encoders.conv(), legacy_prefix="encoder.")
    for arch, prefix in ("resnet18", None), ("resnet34", "module."), ("resnet50", "backbone."):
        for small in False, True:
            name = f"{arch}, {'small' if small else 'large'} stem"
            check_random(name, "images", images, gemel_encoders.resnet(arch, 1, small), prefix if small else None)
    for arch in "mlp", "axon":
        check_run(arch, "vectors.npy", x=raw_vectors)
    for arch in "conv", "resnet18":
        check_run(arch, "images", pixels=pixels)
    pixels = put_color_images()
    colored = normalized(pixels, *(getattr(pixels[:-4] / 255, what)((0, 2, 3), keepdims=True) for what in ("mean", "std")))
    check_random("resnet18, colour", "cifar", colored, gemel_encoders.resnet("resnet18", 3, small_stem=True))
    check_random("conv, colour", "cifar", colored, gemel_encoders.conv(3))
    check_run("resnet18", "cifar", pixels=pixels)
    color = generator.normal(0, 1, (2, 3, 70, 90)).astype(np.float32)
    encoder = randomize(gemel_encoders.resnet("resnet18"))
    torch.save(encoder.state_dict(), "color.pth")
    gemel("convert", "color.pth", "color.onnx")
    check_onnx("resnet18, colour, 70 x 90", "color.onnx", color, in_torch(encoder, color))


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    main()
    os.chdir("/")
