"""gm_barlow_loss_f32, forward and backward, against the loss as its formula reads on Debian's OpenBLAS, and against PyTorch:
the usual code and the dual form by hand, each as it is and compiled."""
import barlow_plot
from blas import blas_peer
from measure import Row, interleave, least_seconds
from peer import PROGRAMS, Peer, check_agreement, gemel_info, gemel_peer, torch_peer

SHAPES = [(256, 256), (512, 512), (2048, 512), (64, 2048), (256, 512), (256, 1024), (256, 2048), (1024, 2048), (256, 4096),
          (32, 8192), (128, 8192), (256, 8192), (1024, 8192), (2048, 8192)]
# The picture's, and the fewest rows.
QUICK = [(256, 256), (256, 512), (256, 1024), (256, 2048), (256, 4096), (256, 8192), (32, 8192)]
# Here C alone would take 16 GiB, or a matrix of N^2 floats 1 GiB.
LARGE = [(32, 65536), (16384, 512)]

# Where the choice between the forms changes: rows as a share of the columns.
CHOOSER_COLS, CHOOSER_SHARES, CHOOSER_GOAL = (128, 384, 1024), (0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.3), 0.95

USUAL_GOALS, USUAL_GOAL = {(256, 8192): 120.0, (32, 8192): 1500.0, (2048, 8192): 7.0}, 1.5
COMPILED_GOALS = {(256, 8192): 60.0}
PEAK_GOAL, PEAK_FROM = 0.85, 256  # the lesser of n and d from which arithmetic decides


def dual_goal(n, d):
    return 3.0 if 8 * n <= d else 2.5 if 2 * n < d else None


def is_dual(n, d):
    """As barlow.c chooses."""
    return n < min(1.0, 0.9 if d < 96 else 0.7 + d / 2500) * d


def memory_limit(n, d, threads):
    """Two matrices of n^2 floats, or 256 rows of C, whichever form is at home; statistics; 6 MB a thread."""
    return (8 * n * n if is_dual(n, d) else 1024 * d) + 64 * d + 6e6 * threads


def ours(threads):
    return gemel_peer("barlow_gemel", threads)


def naive(threads):
    # Its OpenMP threads must not spin beside those of OpenBLAS: (256, 256) takes 0.8 ms so, and 40 ms otherwise.
    return blas_peer("barlow_naive", "openblas-debian", threads, OMP_WAIT_POLICY="passive")


def peers_of(threads, selection):
    if selection.against:
        return {"before": gemel_peer("barlow_gemel", threads, selection.against)}
    forms = {"torch": ["usual"], "torch-dual": ["dual"]}
    if not selection.quick:
        forms |= {"torch-compiled": ["usual", "compiled"], "torch-dual-compiled": ["dual", "compiled"]}
    return {"naive-openblas": naive(threads),
            **{name: torch_peer("barlow_torch.py", *form, threads=threads) for name, form in forms.items()}}


def peak_bytes(peer, shape, times=3):
    """Peak memory beyond inputs and gradients, each time of a fresh process."""
    values = []
    for _ in range(times):
        value = peer.ask(f"memory {shape[0]} {shape[1]}")
        peer.close()
        if value is not None:
            values.append(value)
    return values


def torch_peak_bytes(form, shape, threads):
    peer = torch_peer("barlow_torch.py", form, threads=threads)
    peer.ask("loss 8 8")  # loads what PyTorch is made of
    return peak_bytes(peer, shape, times=1)


def time_rows(shape, threads, selection):
    n, d = shape
    case = f"loss-{n}x{d}/t{threads}"
    mine, peers, peak = ours(threads), peers_of(threads, selection), Peer([PROGRAMS / "fma_peak"])
    for peer in peers.values():
        for what in ("loss", "gradient"):
            check_agreement(mine, peer, f"{what} {n} {d}")
    isa, request, flops = gemel_info()["isa"], f"time {n} {d}", 6.0 * n * d * min(n, d)
    costs = interleave({"ours": lambda: mine.need(request), "limit": lambda: least_seconds(flops, peak, f"{isa} {threads}"),
                        **{name: lambda peer=peer: peer.ask(request) for name, peer in peers.items()}})
    for peer in (mine, peak, *peers.values()):
        peer.close()
    limit, seconds = costs.pop("limit"), costs.pop("ours")
    yield Row(case, seconds, costs, limit=limit)
    for suffix, names, goal in (("usual", ["torch"], USUAL_GOALS.get(shape, USUAL_GOAL)),
                                ("compiled", ["torch-compiled"], COMPILED_GOALS.get(shape)),
                                ("dual", ["torch-dual", "torch-dual-compiled"], dual_goal(n, d))):
        theirs = {name: costs[name] for name in names if name in costs}
        if goal and theirs:
            yield Row(f"{case}/{suffix}", seconds, theirs, goal=goal, is_reference=False)
    if min(n, d) >= PEAK_FROM:
        yield Row(f"{case}/peak", seconds, {"fma-peak": limit}, goal=PEAK_GOAL, is_reference=False)


def limit_row(case, shape, threads, mine):
    return Row(case, mine, {"limit": [memory_limit(*shape, threads)] * len(mine)}, unit="B", goal=1.0, is_reference=False)


def memory_rows(shape, threads, against):
    n, d = shape
    case, mine = f"memory-{n}x{d}/t{threads}", peak_bytes(ours(threads), shape)
    if against:
        peers = {"before": peak_bytes(gemel_peer("barlow_gemel", threads, against), shape)}
    else:
        peers = {"naive-openblas": peak_bytes(naive(threads), shape),
                 "torch": torch_peak_bytes("usual", shape, threads),
                 "torch-dual": torch_peak_bytes("dual", shape, threads)}
    yield Row(case, mine, peers, unit="B", is_reference=False)
    yield limit_row(f"{case}/limit", shape, threads, mine)


def chooser_rows(n, d, threads, selection):
    """The form that is chosen against both when they are asked for, with gradients and without."""
    for suffix, arguments in (("", []), ("/loss", ["loss"])):
        case = f"chooser-{n}x{d}/t{threads}{suffix}"
        if selection.wants(case):
            forms = {form: gemel_peer("barlow_gemel", threads, arguments=[form, *arguments])
                     for form in ("auto", "dual", "primal")}
            costs = interleave({form: lambda peer=peer: peer.need(f"time {n} {d}") for form, peer in forms.items()})
            for peer in forms.values():
                peer.close()
            yield Row(case, costs.pop("auto"), costs, goal=CHOOSER_GOAL, is_reference=False)


def rows(selection):
    for threads in selection.thread_counts():
        for shape in QUICK if selection.quick else SHAPES:
            if selection.wants(f"loss-{shape[0]}x{shape[1]}/t{threads}"):
                yield from time_rows(shape, threads, selection)
            if selection.wants(f"memory-{shape[0]}x{shape[1]}/t{threads}"):
                yield from memory_rows(shape, threads, selection.against)
        if not selection.quick and not selection.against:
            for d in CHOOSER_COLS:
                for share in CHOOSER_SHARES:
                    yield from chooser_rows(round(share * d), d, threads, selection)
        for shape in LARGE:
            case = f"memory-{shape[0]}x{shape[1]}/t{threads}/limit"
            if selection.wants(case):
                yield limit_row(case, shape, threads, peak_bytes(ours(threads), shape))


def draw(path, measured):
    barlow_plot.write(path, measured)
