#!/usr/bin/env python3
"""What `gemel evaluate` measures, in PyTorch: evaluation.py EXAMPLES, with GEMEL_COMMAND as in tests/support/command.h.

Needs torch, in the Python environment that GEMEL_PEERS names (bench/peers/install.sh) or else in this
Python's, and Fashion-MNIST; exits with 77 where they are missing. On the features of a random encoder and on the pixels, kNN
must agree but for ties, and linear probes, means of three seeds, to 0.003; kept classifiers must give the accuracies that
were printed.
"""
import gzip
import json
import os
import re
import struct
import sys
import tempfile

from gemel_command import gemel, skip, use_peers

use_peers()
DATA = "/usr/share/datasets/fashion-mnist/"
try:
    import numpy as np
    import torch
    from torch.nn.functional import cross_entropy, normalize

    if not os.path.isdir(DATA):
        raise ImportError("no Fashion-MNIST")
except ImportError as missing:
    skip(missing)

sys.path.insert(0, sys.argv[1])
import gemel_encoders  # noqa: E402

TRAIN, TEST, CLASSES, SEEDS = 60000, 10000, 10, range(3)
TIES, NEAR = 3 / TEST, 0.003
torch.set_num_threads(2)


def idx(name, header):
    return np.frombuffer(gzip.open(DATA + name).read(), np.uint8, offset=header).copy()


def knn(bank, bank_labels, queries, labels, k=20, temperature=0.1):
    bank, right = normalize(bank), 0
    for chunk, wanted in zip(normalize(queries).split(1000), labels.split(1000)):
        similarity, index = (chunk @ bank.T).topk(k)
        votes = torch.zeros(len(chunk), CLASSES).scatter_add_(1, bank_labels[index], (similarity / temperature).exp())
        right += (votes.argmax(1) == wanted).sum().item()
    return right / len(queries)


def linear(bank, bank_labels, queries, labels, seed, epochs=20):
    torch.manual_seed(seed)
    mean, scale = bank.mean(0), bank.std(0) + 1e-6
    bank, queries, head = (bank - mean) / scale, (queries - mean) / scale, torch.nn.Linear(bank.shape[1], CLASSES)
    sgd = torch.optim.SGD(head.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-6)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, epochs)
    for _ in range(epochs):
        for pick in torch.randperm(len(bank)).split(256):
            sgd.zero_grad()
            cross_entropy(head(bank[pick]), bank_labels[pick]).backward()
            sgd.step()
        cosine.step()
    return (head(queries).argmax(1) == labels).float().mean().item()


def compare(what, own, expected, most):
    print(f"{what:<32} {own:.4f}  PyTorch {expected:.4f}")
    if not abs(own - expected) <= most + 1e-9:
        sys.exit(f"{what}: more than {most:g} apart")


def printed(output, what):
    """The accuracy of the model, and that of the pixels."""
    return [float(x) for x in re.search(rf"^{what} ([\d.]+).* \(raw pixels[^\d]* ([\d.]+)\)", output, re.M).groups()]


def tensor(path, name):
    """One of a safetensors file, in float32."""
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        entry, data = json.loads(file.read(size))[name], file.read()
    begin, end = entry["data_offsets"]
    return torch.from_numpy(np.frombuffer(data[begin:end], np.float32).reshape(entry["shape"]).copy())


def accuracy_of(path, features, labels):
    logits = features @ tensor(path, "fc.weight").T + tensor(path, "fc.bias")
    return (logits.argmax(1) == labels).float().mean().item()


def main():
    torch.manual_seed(0)
    torch.save(gemel_encoders.mlp(28 * 28, 64).state_dict(), "random.pth")
    gemel("embed", "fashion-mnist", "random.pth", "-o", "features.npy", "--quiet")
    features = torch.from_numpy(np.load("features.npy"))
    pixels = torch.from_numpy(np.concatenate([idx(f"{part}-images-idx3-ubyte.gz", 16) for part in ("train", "t10k")]))
    pixels = pixels.reshape(TRAIN + TEST, -1).float() / 255
    train, test = (torch.from_numpy(idx(f"{part}-labels-idx1-ubyte.gz", 8)).long() for part in ("train", "t10k"))

    outputs = [gemel("evaluate", "fashion-mnist", "random.pth", "--labels-per-class=0", f"--seed={s}",
                     f"--save-head={s}.safetensors") for s in SEEDS]
    of_knn, of_linear = printed(outputs[0], "knn"), [printed(text, "linear") for text in outputs]
    for i, (what, x) in enumerate((("features", features), ("pixels", pixels))):
        bank, queries = x[:TRAIN], x[TRAIN:]
        compare(f"kNN, {what}", of_knn[i], knn(bank, train, queries, test), TIES)
        own = sum(one[i] for one in of_linear) / len(SEEDS)
        compare(f"linear, {what}", own, sum(linear(bank, train, queries, test, s) for s in SEEDS) / len(SEEDS), NEAR)
    compare("the probe, kept", of_linear[0][0], accuracy_of("0.safetensors", features[TRAIN:], test), TIES)

    output = gemel("evaluate", "fashion-mnist", "random.pth", "--weights=freeze", "--epochs=2", "--checkpoint-dir=head")
    frozen = printed(output, "freeze")[0]
    compare("classifier of --weights freeze", frozen, accuracy_of("head/classifier.safetensors", features[TRAIN:], test), TIES)
    output = gemel("evaluate", "fashion-mnist", "random.pth", "--weights=finetune", "--epochs=2", "--train-percent=2",
                   "--checkpoint-dir=tuned")
    gemel("embed", "fashion-mnist", "tuned/classifier.safetensors", "-o", "features.npy", "--quiet")
    tuned = torch.from_numpy(np.load("features.npy"))[TRAIN:]
    compare("classifier of --weights finetune", printed(output, "finetune")[0],
            accuracy_of("tuned/classifier.safetensors", tuned, test), TIES)


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    main()
    os.chdir("/")
