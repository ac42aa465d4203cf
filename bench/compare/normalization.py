"""Column statistics, and batch and layer normalisation forward and backward, against PyTorch and the memory's bandwidth."""
import dataclasses

from measure import Row, interleave
from peer import PROGRAMS, Peer, check_agreement, gemel_peer, torch_peer

# Times that each element passes between memory and processor at least, as reads and writes of the passes over the matrix.
# A pass that needs a sum over all rows cannot share its reads with the one that makes the sum.
PASSES = {
    "column_stats": [(1, 0)],
    "batchnorm": [(1, 0), (1, 1), (2, 0), (2, 1)],  # statistics; x to y; sums of dy and dy x; dy and x to dx
    "batchnorm_relu": [(1, 0), (1, 1), (2, 0), (2, 1)],
    "layernorm": [(1, 1), (2, 1)],  # x to y; dy and x to dx
}
TORCH_GOALS = {"column_stats": 10.0, "batchnorm_relu": 3.5}
BANDWIDTH_GOAL = 0.85


@dataclasses.dataclass
class Case:
    operation: str
    rows: int
    cols: int
    side: int = 0  # of the square images whose pixels the rows are; 0: samples
    out_of_cache: bool = False

    def name(self, threads):
        return f"{self.operation}-{self.rows}x{self.cols}/t{threads}"

    @property
    def request(self):
        return f"{self.operation} {self.rows} {self.cols} {self.side}"

    def limit(self, bandwidth, threads):
        """Seconds that the passes take at least."""
        return sum(4 * self.rows * self.cols * (reads + writes) / bandwidth.need(f"{reads} {writes} {threads}")
                   for reads, writes in PASSES[self.operation])

    def peers(self, threads, against):
        if against:
            return {"before": gemel_peer("normalization", threads, against)}
        layouts = ["matrix", "nhwc", "nchw"] if self.side and self.operation != "column_stats" else ["matrix"]
        programs = {f"torch-{layout}": [layout] for layout in layouts}
        programs["torch-compiled"] = [layouts[-1] if len(layouts) == 1 else "nhwc", "compiled"]
        return {name: torch_peer("normalization_torch.py", *arguments, threads=threads)
                for name, arguments in programs.items()}


CASES = [
    *(Case("column_stats", *shape) for shape in ((256, 8192), (65536, 64), (16384, 256), (50176, 64))),
    *(Case(operation, *shape) for operation in ("batchnorm", "batchnorm_relu")
      for shape in ((256, 8192), (65536, 64, 32), (16384, 256), (50176, 64, 56), (50176, 256, 56))),
    *(Case("layernorm", *shape) for shape in ((256, 8192), (1024, 512), (16384, 256))),
    *(Case(operation, *shape, out_of_cache=True) for operation in PASSES for shape in ((1048576, 64), (8192, 8192))),
]
QUICK = [Case("column_stats", 256, 8192), Case("column_stats", 65536, 64), Case("batchnorm_relu", 50176, 64, 56),
         Case("layernorm", 16384, 256), Case("column_stats", 1048576, 64, out_of_cache=True)]


def case_rows(case, threads, against):
    mine, bandwidth = gemel_peer("normalization", threads), Peer([PROGRAMS / "bandwidth"])
    peers, name = case.peers(threads, against), case.name(threads)
    for peer in peers.values():
        check_agreement(mine, peer, f"value {case.request}")
    asks = {"ours": lambda: mine.need(f"time {case.request}"),
            **{key: lambda peer=peer: peer.ask(f"time {case.request}") for key, peer in peers.items()}}
    if case.out_of_cache:
        asks["limit"] = lambda: case.limit(bandwidth, threads)
    costs = interleave(asks)
    for peer in (mine, bandwidth, *peers.values()):
        peer.close()
    seconds, limit = costs.pop("ours"), costs.pop("limit", None)
    yield Row(name, seconds, costs, limit=limit)
    if case.operation in TORCH_GOALS and not against:
        yield Row(f"{name}/torch", seconds, {key: costs[key] for key in costs if key != "torch-compiled"},
                  goal=TORCH_GOALS[case.operation], is_reference=False)
    if limit:
        yield Row(f"{name}/limit", seconds, {"bandwidth": limit}, goal=BANDWIDTH_GOAL, is_reference=False)


def rows(selection):
    for threads in selection.thread_counts():
        for case in QUICK if selection.quick else CASES:
            if selection.wants(case.name(threads)):
                yield from case_rows(case, threads, selection.against)
