"""Column statistics, batch and layer normalisation forward and backward, against PyTorch and the memory's bandwidth; bias with
ReLU and optimisers against the latter."""
import dataclasses

from measure import Row, interleave
from peer import PROGRAMS, Peer, check_agreement, gemel_peer, torch_peer

# Of PyTorch's sums over a matrix' 50,000 rows, which are those of float32 added one to another: against float64 the gradient of
# the scale is off by 6e-4 there; all of our norms together by 3e-8.
TOLERANCE = 5e-4

# How the passes over the matrices go at least: matrices read, written, read and written in place. A pass that needs a sum over
# all rows cannot share its reads with the one that makes the sum.
STATISTICS, BATCHNORM_BACKWARD = (1, 0, 0), [(2, 0, 0), (2, 1, 0)]  # sums of dy and dy x; dy and x to dx
PASSES = {
    "column_stats": {"all": [STATISTICS]},
    "batchnorm": {"forward": [STATISTICS, (1, 1, 0)], "backward": BATCHNORM_BACKWARD},
    "batchnorm_relu": {"forward": [STATISTICS, (1, 1, 0)], "backward": BATCHNORM_BACKWARD},
    "batchnorm_add_relu": {"forward": [STATISTICS, (2, 1, 0)], "backward": [(2, 0, 0), (2, 2, 0)]},
    "layernorm": {"forward": [(1, 1, 0)], "backward": [(2, 1, 0)]},
    "bias_relu": {"forward": [(1, 1, 0)], "backward": [(2, 1, 0)]},  # dy, y to dx
    "sgd": {"all": [(1, 0, 2)]},  # gradient; parameter and velocity
    "adam": {"all": [(1, 0, 3)]},  # gradient; parameter and two moments
    "lars": {"all": [(2, 0, 0), (1, 0, 2)]},  # the norms first
}
BANDWIDTH_GOAL = 0.85


@dataclasses.dataclass
class Case:
    operation: str
    rows: int
    cols: int
    side: int = 0  # of the square images whose pixels the rows are; 0: samples
    goal: float = None  # to PyTorch's best layout

    @property
    def name(self):
        return f"{self.operation}-{self.rows}x{self.cols}"

    def request(self, phase):
        return f"{self.operation} {phase} {self.rows} {self.cols} {self.side}"

    def limit(self, phase, bandwidth, threads):
        """Seconds that the passes take at least."""
        return sum(4 * self.rows * self.cols * (reads + writes + 2 * updates)
                   / bandwidth.need(f"{reads} {writes} {updates} {threads}")
                   for reads, writes, updates in PASSES[self.operation][phase])

    def peers(self, threads, against):
        if against:
            return {"before": gemel_peer("normalization", threads, against)}
        layouts = ["matrix", "nhwc", "nchw"] if self.side and self.operation != "column_stats" else ["matrix"]
        programs = {f"torch-{layout}": [layout] for layout in layouts}
        programs["torch-compiled"] = [layouts[-1] if len(layouts) == 1 else "nhwc", "compiled"]
        return {name: torch_peer("normalization_torch.py", *arguments, threads=threads)
                for name, arguments in programs.items()}


CASES = [
    *(Case("column_stats", *shape, goal=10.0) for shape in ((256, 8192), (65536, 64), (16384, 256), (50176, 64))),
    *(Case(operation, *shape, goal=goal)
      for operation, goal in (("batchnorm", None), ("batchnorm_relu", 3.5), ("batchnorm_add_relu", 3.5))
      for shape in ((256, 8192), (65536, 64, 32), (16384, 256), (50176, 64, 56), (50176, 256, 56))),
    *(Case("layernorm", *shape) for shape in ((256, 8192), (1024, 512), (16384, 256))),
]
QUICK = [Case("column_stats", 256, 8192, goal=10.0), Case("column_stats", 65536, 64, goal=10.0),
         Case("batchnorm_add_relu", 50176, 256, 56, goal=3.5), Case("layernorm", 16384, 256)]
# 256 MiB a matrix, and at least four times as much as the caches of most machines.
OUT_OF_CACHE = [Case(operation, *shape) for operation in PASSES for shape in ((1048576, 64), (65536, 1024), (8192, 8192))
                if shape == (8192, 8192) or operation not in ("sgd", "adam", "lars")]
QUICK_OUT_OF_CACHE = [Case(operation, 65536, 1024) for operation in PASSES]


def torch_rows(case, threads, against):
    mine, peers = gemel_peer("normalization", threads), case.peers(threads, against)
    name, request = f"{case.name}/t{threads}", case.request("all")
    for peer in peers.values():
        check_agreement(mine, peer, f"value {request}", TOLERANCE)
    costs = interleave({"ours": lambda: mine.need(f"time {request}"),
                        **{key: lambda peer=peer: peer.ask(f"time {request}") for key, peer in peers.items()}})
    for peer in (mine, *peers.values()):
        peer.close()
    seconds = costs.pop("ours")
    yield Row(name, seconds, costs)
    if case.goal and not against:
        yield Row(f"{name}/torch", seconds, {key: costs[key] for key in costs if key != "torch-compiled"}, goal=case.goal,
                  is_reference=False)


def limit_row(case, phase, name, threads, against):
    mine, bandwidth = gemel_peer("normalization", threads), Peer([PROGRAMS / "bandwidth"])
    before = gemel_peer("normalization", threads, against) if against else None
    request = f"time {case.request(phase)}"
    asks = {"ours": lambda: mine.need(request), "bandwidth": lambda: case.limit(phase, bandwidth, threads)}
    if before:
        asks["before"] = lambda: before.need(request)
    costs = interleave(asks)
    for peer in (mine, bandwidth, before):
        if peer:
            peer.close()
    limit = costs.pop("bandwidth")
    if before:
        return Row(name, costs["ours"], {"before": costs["before"]}, limit=limit)
    return Row(name, costs["ours"], {"bandwidth": limit}, goal=BANDWIDTH_GOAL, limit=limit, is_reference=False)


def rows(selection):
    counts = selection.thread_counts()
    for threads in counts:
        for case in QUICK if selection.quick else CASES:
            if selection.wants(f"{case.name}/t{threads}"):
                yield from torch_rows(case, threads, selection.against)
    for threads in selection.thread_counts(*sorted({1, *counts})):
        for case in QUICK_OUT_OF_CACHE if selection.quick else OUT_OF_CACHE:
            for phase in PASSES[case.operation]:
                name = f"{case.name}/t{threads}/limit" if phase == "all" else f"{case.name}/t{threads}/{phase}-limit"
                if selection.wants(name):
                    yield limit_row(case, phase, name, threads, selection.against)
