"""gm_gemm_f32 on the shapes of sgemm_grid.csv against Debian's BLAS libraries, and 1024^3 against the FMA peak."""
import subprocess

from blas import LIBRARIES, blas_peer
from measure import GEMEL, PROGRAMS, SOURCE, Peer, Row, interleave, threads_environment

PEAK_GOAL = 0.75
QUICK = {"N N 64 64 64", "N N 256 256 256", "N N 1024 1024 1024", "T N 1024 1024 1024", "N T 1024 1024 1024",
         "T T 1024 1024 1024", "N T 512 512 784", "T N 2048 2048 256", "N N 12544 64 576", "N N 1024 10 512"}


def grid(quick):
    for line in (SOURCE / "bench/sgemm_grid.csv").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#") and (not quick or line in QUICK):
            yield line


def name(shape):
    ta, tb, *sizes = shape.split()
    return f"{ta}{tb}-{'x'.join(sizes)}"


def flops(shape):
    m, n, k = map(int, shape.split()[2:])
    return 2 * m * n * k


def described():
    """The lines "key: value" of gemel info."""
    text = subprocess.run([GEMEL, "info"], check=True, capture_output=True, text=True).stdout
    return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)


def against_libraries(quick, threads, isa):
    ours = Peer([PROGRAMS / "sgemm_gemel"], **threads_environment(threads))
    libraries = {library: blas_peer("sgemm_blas", library, threads) for library in LIBRARIES}
    peak = Peer([PROGRAMS / "fma_peak"])
    for shape in grid(quick):
        asks = {"ours": lambda: ours.need(shape), "peak": lambda: peak.ask(f"{isa} {threads}"),
                **{library: lambda peer=peer: peer.ask(shape) for library, peer in libraries.items()}}
        costs = interleave(asks)
        limit = [1e3 * flops(shape) / most for most in costs.pop("peak")]
        costs = {key: [1e3 * seconds for seconds in values] for key, values in costs.items()}
        yield Row(f"{name(shape)}/t{threads}", costs.pop("ours"), costs, limit=limit)
    for peer in (ours, peak, *libraries.values()):
        peer.close()


def against_peak(isa, threads):
    shape = "N N 1024 1024 1024"
    ours = Peer([PROGRAMS / "sgemm_gemel"], GEMEL_ISA=isa, **threads_environment(threads))
    peak = Peer([PROGRAMS / "fma_peak"])
    costs = interleave({"ours": lambda: ours.ask(shape), "peak": lambda: peak.need(f"{isa} {threads}")})
    limit = [1e3 * flops(shape) / most for most in costs["peak"]]
    ours.close()
    peak.close()
    return Row(f"{name(shape)}/{isa}/t{threads}", [1e3 * seconds for seconds in costs["ours"]], {"fma-peak": limit},
               goal=PEAK_GOAL, limit=limit, is_reference=False)


def rows(quick):
    info = described()
    available = info["available"].split()
    for isa in ("avx2", "avx512", "neon"):
        if isa in available:
            for threads in (1, 2):
                yield against_peak(isa, threads)
    for threads in (2,) if quick else (1, 2):
        yield from against_libraries(quick, threads, info["isa"])
