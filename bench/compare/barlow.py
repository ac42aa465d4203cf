"""gm_barlow_loss_f32, forward and backward, against the loss as its formula reads on Debian's OpenBLAS."""
import os

from blas import blas_peer
from measure import PROGRAMS, Peer, Row, interleave, threads_environment

SHAPES = [(256, 8192), (32, 8192), (1024, 2048), (256, 256), (2048, 8192)]
QUICK = [(256, 8192), (32, 8192), (256, 256)]
GOALS = {(256, 8192): 10.0}
# C alone would take 16 GiB here.
LARGE, LARGE_MEGABYTES = (32, 65536), 100


def ours(threads):
    return Peer([PROGRAMS / "barlow_gemel"], **threads_environment(threads))


def naive(threads):
    # Its OpenMP threads must not spin beside those of OpenBLAS: (256, 256) takes 0.8 ms so, and 40 ms otherwise.
    return blas_peer("barlow_naive", "openblas", threads, OMP_WAIT_POLICY="passive")


def check_agreement(mine, theirs, shape):
    """Both sides must do the same work: a fast wrong answer is no answer."""
    for what in ("loss", "gradient"):
        request = f"{what} {shape[0]} {shape[1]}"
        one, other = mine.need(request), theirs.ask(request)
        if other is not None and abs(one - other) > 1e-4 * abs(other):
            raise SystemExit(f"barlow: {request}: ours {one:.9g}, naive {other:.9g}")


def peak_megabytes(peer, shape, times=3):
    """Peak memory beyond inputs and gradients, each time of a fresh process."""
    values = []
    for _ in range(times):
        value = peer.ask(f"memory {shape[0]} {shape[1]}")
        peer.close()
        if value is not None:
            values.append(value / 1e6)
    return values


def rows(quick):
    threads = len(os.sched_getaffinity(0))
    for shape in QUICK if quick else SHAPES:
        n, d = shape
        mine, theirs = ours(threads), naive(threads)
        check_agreement(mine, theirs, shape)
        costs = interleave({"ours": lambda: mine.need(f"time {n} {d}"), "naive": lambda: theirs.ask(f"time {n} {d}")})
        mine.close()
        theirs.close()
        costs = {key: [1e3 * seconds for seconds in values] for key, values in costs.items()}
        yield Row(f"loss-{n}x{d}/t{threads}", costs["ours"], {"naive-openblas": costs["naive"]}, goal=GOALS.get(shape))
        yield Row(f"memory-{n}x{d}/t{threads}", peak_megabytes(ours(threads), shape),
                  {"naive-openblas": peak_megabytes(naive(threads), shape)}, unit="MB", is_reference=False)
    yield Row(f"memory-{LARGE[0]}x{LARGE[1]}/t{threads}", peak_megabytes(ours(threads), LARGE),
              {"limit": [LARGE_MEGABYTES] * 3}, unit="MB", goal=1.0, is_reference=False)
