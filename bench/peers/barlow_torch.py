"""The Barlow Twins loss and its gradients in PyTorch. Usage: barlow_torch.py usual|dual [compiled], with the requests of
barlow.c. It takes OMP_NUM_THREADS threads.

usual: the code that one finds: C is formed and differentiated by autograd. dual: the form that suits small batches, with
gradients by hand, as someone would write it who has thought about it. compiled: through torch.compile.
"""
import sys

import torch
import torch.nn.functional as F

from server_torch import floats, serve

LAMBDA, EPS = 0.0051, 1e-5


def usual(za, zb):
    n, d = za.shape
    a, b = (F.batch_norm(z, None, None, training=True, eps=EPS) for z in (za, zb))
    c = a.T @ b / n
    off = c.flatten()[:-1].view(d - 1, d + 1)[:, 1:].flatten()  # all elements but those of the diagonal
    return (c.diagonal() - 1).square().sum() + LAMBDA * off.square().sum()


def normalize(z):
    centred = z - z.mean(0)
    r = (centred.square().mean(0) + EPS).rsqrt()
    return centred * r, r


def dual(za, zb):
    """|C|^2 is the inner product of A A^T and B B^T, which are small."""
    n = za.shape[0]
    (a, ra), (b, rb) = normalize(za), normalize(zb)
    ka, kb = a @ a.T, b @ b.T
    on = (a * b).mean(0)
    loss = ((on - 1).square() - LAMBDA * on.square()).sum() + LAMBDA / n**2 * (ka * kb).sum()
    weight = 2 / n * ((on - 1) - LAMBDA * on)
    ga = torch.addmm(b * weight, kb, a, alpha=2 * LAMBDA / n**2)
    gb = torch.addmm(a * weight, ka, b, alpha=2 * LAMBDA / n**2)
    # The chain rule through the normalisation; the means of ga and gb are 0, as b and a are centred.
    return loss, ra * (ga - a * (ga * a).mean(0)), rb * (gb - b * (gb * b).mean(0))


def value(what, loss, dza, dzb):
    # In float32 the norm of 16 million elements is 6e-4 off.
    a, b = (torch.linalg.vector_norm(dz, dtype=torch.float64) for dz in (dza, dzb))
    return {"loss": loss, "gradient": torch.hypot(a, b)}[what].item()


def prepare_usual(form, n, d):
    za, zb = floats((n, d), 11), floats((n, d), 12)
    zb += 0.5 * za
    za.requires_grad_(), zb.requires_grad_()

    def call():
        loss = form(za, zb)
        return loss.detach(), *torch.autograd.grad(loss, (za, zb))

    return call


def prepare_dual(form, n, d):
    za, zb = floats((n, d), 11), floats((n, d), 12)
    zb += 0.5 * za

    @torch.no_grad()
    def call():
        return form(za, zb)

    return call


form, prepare = {"usual": (usual, prepare_usual), "dual": (dual, prepare_dual)}[sys.argv[1]]
if sys.argv[2:] == ["compiled"]:
    form = torch.compile(form, dynamic=False)
serve(lambda n, d: prepare(form, int(n), int(d)), value)
