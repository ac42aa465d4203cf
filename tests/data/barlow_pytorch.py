"""Writes barlow_pytorch.csv: the Barlow Twins loss and its gradients as PyTorch computes them in float64, and how far
PyTorch's own float32 is from that. test_barlow_accuracy.c makes the same inputs from the same counters.

    $GEMEL_PEERS/bin/python tests/data/barlow_pytorch.py > tests/data/barlow_pytorch.csv      (see bench/README.md)

loss: L. probe_a, probe_b: sum of dL/dz times the numbers of a third stream. The errors of float32 are relative, that of
the loss to L + lambda D, those of the gradients to |r g|, the gradients before the chain through the normalisation."""
import numpy as np
import torch
import torch.nn.functional as F

LAMBDA, EPS = float(np.float32(0.0051)), float(np.float32(1e-5))
GOLDEN = np.uint64(0x9E3779B97F4A7C15)

SHAPES = {
    "normal": [(2, 3), (8, 1), (3, 2), (17, 40), (64, 64), (64, 63), (64, 65), (33, 300), (300, 33), (130, 270)],
    "offset": [(2, 3), (64, 40), (40, 96)],
    "converged": [(64, 31), (64, 63), (64, 64), (64, 65), (64, 126), (128, 127)],
    "flat": [(64, 31), (31, 64)],
}


def bits(seed, count):
    """splitmix64, as test_random_bits() of tests/support."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) * GOLDEN + np.uint64(1) + np.arange(1, count + 1, dtype=np.uint64) * GOLDEN
        z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        return z ^ z >> np.uint64(31)


def noise(seed, n, d):
    """Mean 0, variance 1: the sum of four uniform numbers, which is the same on every machine."""
    u = (bits(seed, 4 * n * d) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    u = u.reshape(n, d, 4)
    return ((u[:, :, 0] + u[:, :, 1]) + (u[:, :, 2] + u[:, :, 3]) - 2.0) * 1.75


def whitened(n, d):
    """Walsh functions, n a power of 2; the columns from n on are the same ones with their rows permuted."""
    row, col = np.arange(n)[:, None], np.arange(d)[None, :]
    row = np.where(col < n - 1, row, (5 * row + 3) % n)
    both = row & (col % (n - 1) + 1)
    parity = both
    for shift in (16, 8, 4, 2, 1):
        parity = parity ^ parity >> shift
    return 1.0 - 2.0 * (parity & 1)


def views(kind, n, d):
    x, y = noise(1, n, d), noise(2, n, d)
    col = np.arange(d)[None, :]
    deviation, mean = 2.0 ** (col % 5 - 2), col % 7 - 3.0
    if kind == "offset":
        mean = mean + 1e4
    if kind == "converged":
        x, y = whitened(n, d), whitened(n, d) + 0.01 * y
    else:
        y = 0.75 * x + 0.75 * y
    if kind == "flat":
        deviation = np.where(col % 3 == 0, 2.0**-18, deviation)
        mean = np.where(col % 3 == 0, 5.0, mean)
    return (mean + deviation * x).astype(np.float32), (mean + deviation * y).astype(np.float32)


def normalized(z, normalization):
    if normalization == "batchnorm":
        return F.batch_norm(z, None, None, training=True, eps=EPS)
    centred = z - z.mean(0)
    return centred / (z.std(0) if normalization == "unbiased" else centred.norm(dim=0))


def deviation(z, normalization):
    if normalization == "batchnorm":
        return (z.var(0, unbiased=False) + EPS).sqrt()
    return z.std(0) if normalization == "unbiased" else (z - z.mean(0)).norm(dim=0)


def loss_and_gradients(za, zb, normalization, dtype):
    za, zb = (torch.from_numpy(z).to(dtype).requires_grad_() for z in (za, zb))
    a, b = normalized(za, normalization), normalized(zb, normalization)
    a.retain_grad(), b.retain_grad()
    c = a.T @ b if normalization == "cosine" else a.T @ b / za.shape[0]
    difference = (c - torch.eye(za.shape[1], dtype=dtype)).pow(2)
    loss = difference.diagonal().sum() + LAMBDA * (difference.sum() - difference.diagonal().sum())
    loss.backward()
    scale = [(side.grad / deviation(z.detach(), normalization)).norm().item() for side, z in ((a, za), (b, zb))]
    return loss.item(), za.grad.double(), zb.grad.double(), scale


print(f"# torch {torch.__version__.split('+')[0]}, lambda 0.0051 and eps 1e-5 in float32")
print("# kind,n,d,normalization,loss,probe_a,probe_b,loss_error32,error32_a,error32_b")
for kind, shapes in SHAPES.items():
    for n, d in shapes:
        for normalization in ("batchnorm", "unbiased", "cosine"):
            za, zb = views(kind, n, d)
            probe = torch.from_numpy(noise(3, n, d))
            loss, da, db, scale = loss_and_gradients(za, zb, normalization, torch.float64)
            loss32, da32, db32, _ = loss_and_gradients(za, zb, normalization, torch.float32)
            errors = [abs(loss32 - loss) / (loss + LAMBDA * d), (da32 - da).norm().item() / scale[0],
                      (db32 - db).norm().item() / scale[1]]
            numbers = [loss, (da * probe).sum().item(), (db * probe).sum().item()]
            print(",".join([kind, str(n), str(d), normalization] + ["%.17g" % x for x in numbers] +
                           ["%.3g" % x for x in errors]))
