"""gm_barlow_loss_f32, forward and backward, against the loss as its formula reads on Debian's OpenBLAS."""
from blas import blas_peer
from measure import Row, interleave
from peer import PROGRAMS, Peer, threads_environment

SHAPES = [(256, 8192), (32, 8192), (1024, 2048), (256, 256), (2048, 8192)]
QUICK = [(256, 8192), (32, 8192), (256, 256)]
GOALS = {(256, 8192): 10.0}
# C alone would take 16 GiB here.
LARGE, LARGE_BYTES = (32, 65536), 100e6


def ours(threads):
    return Peer([PROGRAMS / "barlow_gemel"], **threads_environment(threads))


def naive(threads):
    # Its OpenMP threads must not spin beside those of OpenBLAS: (256, 256) takes 0.8 ms so, and 40 ms otherwise.
    return blas_peer("barlow_naive", "openblas-debian", threads, OMP_WAIT_POLICY="passive")


def check_agreement(mine, theirs, shape):
    """Both sides must do the same work: a fast wrong answer is no answer."""
    for what in ("loss", "gradient"):
        request = f"{what} {shape[0]} {shape[1]}"
        one, other = mine.need(request), theirs.ask(request)
        if other is not None and abs(one - other) > 1e-4 * abs(other):
            raise SystemExit(f"barlow: {request}: ours {one:.9g}, naive {other:.9g}")


def peak_bytes(peer, shape, times=3):
    """Peak memory beyond inputs and gradients, each time of a fresh process."""
    values = []
    for _ in range(times):
        value = peer.ask(f"memory {shape[0]} {shape[1]}")
        peer.close()
        if value is not None:
            values.append(value)
    return values


def shape_rows(shape, threads):
    n, d = shape
    mine, theirs = ours(threads), naive(threads)
    check_agreement(mine, theirs, shape)
    costs = interleave({"ours": lambda: mine.need(f"time {n} {d}"), "naive": lambda: theirs.ask(f"time {n} {d}")})
    mine.close()
    theirs.close()
    yield Row(f"loss-{n}x{d}/t{threads}", costs["ours"], {"naive-openblas": costs["naive"]}, goal=GOALS.get(shape))
    yield Row(f"memory-{n}x{d}/t{threads}", peak_bytes(ours(threads), shape),
              {"naive-openblas": peak_bytes(naive(threads), shape)}, unit="B", is_reference=False)


def rows(selection):
    for threads in selection.thread_counts():
        for shape in QUICK if selection.quick else SHAPES:
            if selection.wants(f"loss-{shape[0]}x{shape[1]}/t{threads}"):
                yield from shape_rows(shape, threads)
        case = f"memory-{LARGE[0]}x{LARGE[1]}/t{threads}"
        if selection.wants(case):
            yield Row(case, peak_bytes(ours(threads), LARGE), {"limit": [LARGE_BYTES] * 3}, unit="B", goal=1.0,
                      is_reference=False)
