"""The first 100 losses of a training run, from equal weights and views: distance from PyTorch's float64 run, beside the distance
of PyTorch's float32 run. A seed is a round; the median over the seeds counts."""
import array
import math
import pathlib
import tempfile

from measure import Row
from peer import gemel_peer, torch_peer

SEEDS, STEPS = 5, 100
BATCHES = {"conv": 128, "resnet18": 32}
GOALS = {"exact": 1 / 2, "chosen": 1 / 10}  # chosen: with Winograd's convolutions


def distance(losses, reference):
    return math.sqrt(sum((a - b) ** 2 for a, b in zip(losses, reference)) / STEPS)


def losses_of(peer, request, path):
    """None where the peer is absent."""
    if peer.ask(request) is None:
        return None
    with open(path, "rb") as file:
        losses = array.array("d")
        losses.fromfile(file, STEPS)
        return losses


def compare(arch, threads, ways, folder):
    mine = gemel_peer("steps", threads)
    peers = {name: torch_peer("steps_torch.py", name, threads=threads) for name in ("float64", "float32")}
    costs = {name: [] for name in ("float32", *ways)}
    views, losses = folder / "views", folder / "losses"
    for seed in range(1, SEEDS + 1):
        peers["float64"].ask(f"views - {seed} {BATCHES[arch]} 28 {STEPS} {views} -")

        def request(way):
            return f"{arch} {way} {seed} {BATCHES[arch]} 28 {STEPS} {views} {losses}"

        reference = losses_of(peers["float64"], request("-"), losses)
        if reference is None:
            break
        costs["float32"].append(distance(losses_of(peers["float32"], request("-"), losses), reference))
        for way in ways:
            costs[way].append(distance(losses_of(mine, request(way), losses), reference))
    for peer in (mine, *peers.values()):
        peer.close()
    for way in ways:
        yield Row(f"parity-{arch}-{way}/t{threads}", costs[way], {"torch-float32": costs["float32"]}, unit="RMS",
                  goal=GOALS[way], is_reference=False)


def rows(selection):
    with tempfile.TemporaryDirectory() as folder:
        for threads in selection.thread_counts():
            for arch in list(BATCHES)[:1 if selection.quick else None]:
                ways = [way for way in GOALS if selection.wants(f"parity-{arch}-{way}/t{threads}")]
                if ways:
                    yield from compare(arch, threads, ways, pathlib.Path(folder))
