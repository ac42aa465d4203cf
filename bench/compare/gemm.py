"""gm_gemm_f32 on the shapes of sgemm_grid.csv against the BLAS libraries and against the machine's limits."""
import dataclasses

import gemm_calls
import gemm_plot
from blas import LIBRARIES, blas_peer
from measure import Row, interleave, least_seconds
from peer import PROGRAMS, SOURCE, Peer, gemel_info, gemel_peer

QUICK = {"N N 8 8 8", "N N 64 64 64", "N N 256 256 256", "N N 1024 1024 1024", "T N 1024 1024 1024",
         "N T 1024 1024 1024", "T T 1024 1024 1024", "N T 512 512 784", "T N 2048 2048 256", "N N 12544 64 576",
         "N N 1024 10 512"}

# Goals: a shape to its best peer, and the closing lines.
SHAPE_GOAL = 0.95
MEAN_GOALS = {"geomean": 1.03, **{f"to {library}": 1.25 for library in LIBRARIES}}
# Goals against limits: fractions of the FMA peak that squares of at least that size reach, the largest that fits counting;
# scaling as a fraction of the peak's own; AVX2's fraction of its peak to that of AVX-512; seconds; bytes.
PEAK_GOALS = {1024: 0.94, 256: 0.96}
SCALING_GOAL, SCALING_FROM = 0.95, 1024
AVX2_GOAL, AVX2_SIZES = 0.95, range(256, 2048 + 1)
LEAST_GOAL = 60e-9
WORKSPACE_GOAL = 2 << 20


@dataclasses.dataclass
class Shape:
    line: str  # of the grid: "N T 256 512 1024"

    def __post_init__(self):
        self.ta, self.tb, *sizes = self.line.split()
        self.m, self.n, self.k = map(int, sizes)

    @property
    def name(self):
        return f"{self.ta}{self.tb}-{self.m}x{self.n}x{self.k}"

    @property
    def flops(self):
        return 2 * self.m * self.n * self.k

    @property
    def square(self):
        """Its size; 0 for other shapes."""
        return self.m if self.m == self.n == self.k else 0

    @property
    def peak_goal(self):
        if 512 < self.square < 1024:
            return None
        return next((goal for least, goal in PEAK_GOALS.items() if self.square >= least), None)

    @property
    def shows_avx2(self):
        return self.square in AVX2_SIZES and self.ta == self.tb == "N"


def grid(quick):
    for line in (SOURCE / "bench/sgemm_grid.csv").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#") and (not quick or line in QUICK):
            yield Shape(line)


def peers_of(threads, against):
    if against:
        return {"before": gemel_peer("sgemm_gemel", threads, against)}
    return {library: blas_peer("sgemm_blas", library, threads) for library in LIBRARIES}


class Team:
    """All programs that are timed with one number of threads."""

    def __init__(self, threads, against):
        info = gemel_info()
        self.threads, self.isa = threads, info["isa"]
        self.ours, self.peak = gemel_peer("sgemm_gemel", threads), Peer([PROGRAMS / "fma_peak"])
        self.libraries = peers_of(threads, against)
        self.avx2 = None
        if self.isa == "avx512" and "avx2" in info["available"].split():
            self.avx2 = gemel_peer("sgemm_gemel", threads, GEMEL_ISA="avx2")

    def members(self):
        return [self.ours, self.peak, *self.libraries.values(), *([self.avx2] if self.avx2 else [])]

    def close(self):
        for peer in self.members():
            peer.close()

    def measure(self, shape):
        """Seconds in rounds: ours, each library, and what the peak allows; with AVX2 where that is of interest."""
        request = f"time {shape.line}"

        def limit(isa):
            return least_seconds(shape.flops, self.peak, f"{isa} {self.threads}")

        asks = {"ours": lambda: self.ours.need(request), "limit": lambda: limit(self.isa),
                **{library: lambda peer=peer: peer.ask(request) for library, peer in self.libraries.items()}}
        if self.avx2 and shape.shows_avx2:
            asks |= {"avx2": lambda: self.avx2.need(request), "avx2-limit": lambda: limit("avx2")}
        return interleave(asks)

    def rows(self, shape, costs):
        case = f"{shape.name}/t{self.threads}"
        ours, limit = costs["ours"], costs["limit"]
        yield Row(case, ours, {library: costs[library] for library in self.libraries}, goal=SHAPE_GOAL, limit=limit)
        if shape.peak_goal:
            yield Row(f"{case}/peak", ours, {"fma-peak": limit}, goal=shape.peak_goal, is_reference=False)
        if "avx2" in costs:
            yield Row(f"{case}/avx2", quotients(costs["avx2"], costs["avx2-limit"]),
                      {"avx512": quotients(ours, limit)}, unit="x peak", goal=AVX2_GOAL, is_reference=False)
        if shape.square == 8 and self.threads == 1:
            yield Row(f"{case}/time", ours, {"limit": [LEAST_GOAL] * len(ours)}, goal=1.0, is_reference=False)

    def describe(self):
        """A line for each library: whether it is there, and how many of its threads share a large product."""
        for name, peer in self.libraries.items():
            for _ in range(3):
                peer.ask("time N N 2048 2048 2048")
            yield (f"# {name}: skipped: {peer.reason}" if peer.absent else
                   f"# {name}: {peer.threads_at_work()} threads, {LIBRARIES[name].file}")


def quotients(dividends, divisors):
    return [dividend / divisor for dividend, divisor in zip(dividends, divisors)]


def scaling_row(shape, costs):
    """Time on several threads as a share of that on one, beside the same of the FMA peak."""
    most = max(costs)
    ours, peak = (quotients(costs[most][key], costs[1][key]) for key in ("ours", "limit"))
    return Row(f"{shape.name}/t{most}/scaling", ours, {"fma-peak": peak}, unit="x 1 thread", goal=SCALING_GOAL,
               is_reference=False)


def workspace_row(threads, _against):
    """The most that any shape of the grid asks for."""
    ours = gemel_peer("sgemm_gemel", threads)
    most = max(ours.need(f"workspace {shape.line}") for shape in grid(quick=False))
    ours.close()
    return Row(f"workspace/t{threads}", [most], {"limit": [WORKSPACE_GOAL * threads]}, unit="B", goal=1.0,
               is_reference=False)


def memory_row(threads, against):
    """Peak memory beyond the operands, of fresh processes."""
    def peak(peer):
        value = peer.ask("memory N N 1024 1024 1024")
        peer.close()
        return [] if value is None else [value]

    return Row(f"memory-NN-1024x1024x1024/t{threads}", peak(gemel_peer("sgemm_gemel", threads)),
               {name: peak(peer) for name, peer in peers_of(threads, against).items()}, unit="B", is_reference=False)


def notes(selection):
    """Lines for the top of the output."""
    if selection.only or selection.against:
        return
    team = Team(max(selection.thread_counts(1, 2)), None)
    yield from team.describe()
    team.close()


def rows(selection):
    counts = selection.thread_counts(*((2,) if selection.quick else (1, 2)))
    teams = [Team(threads, selection.against) for threads in counts]
    for shape in grid(selection.quick):
        costs = {}
        for team in teams:
            if selection.wants(f"{shape.name}/t{team.threads}"):
                costs[team.threads] = team.measure(shape)
                yield from team.rows(shape, costs[team.threads])
        if shape.square >= SCALING_FROM and 1 in costs and len(costs) > 1:
            yield scaling_row(shape, costs)
    for team in teams:
        team.close()
    for threads in counts:
        yield from gemm_calls.rows(selection, threads)
        for row, name in ((workspace_row, "workspace"), (memory_row, "memory")):
            if selection.wants(f"{name}/t{threads}"):
                yield row(threads, selection.against)


def draw(path, rows):
    gemm_plot.write(path, rows)
