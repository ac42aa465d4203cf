"""The training step of ResNets, encoder and projector, forward and backward: time and peak memory against PyTorch."""
import dataclasses

from measure import Row, interleave, least_seconds
from peer import PROGRAMS, Peer, check_agreement, gemel_info, gemel_peer, torch_peer

MEMORY_GOAL = 1 / 0.65
FRESH_PROCESSES = 3
# Of the gradients' norm, through 18 to 50 batch norms: for ResNet-50 float64 gives 170.879, we 170.920, PyTorch
# 170.886 and 170.736 in its two layouts.
TOLERANCE = 2e-3


@dataclasses.dataclass
class Model:
    phase: str
    arch: str
    stem: str
    batch: int
    side: int
    image_flops: float  # of a forward call
    goal: float = None

    @property
    def name(self):
        return f"{self.phase}-{self.arch}-{self.stem}-{self.batch}x{self.side}"

    @property
    def flops(self):
        return self.image_flops * self.batch * (3 if self.phase == "train" else 1)

    def request(self, what):
        return f"{what} {self.phase} {self.arch} {self.stem} {self.batch} {self.side}"


MODELS = [
    Model("train", "resnet18", "small", 64, 32, 1.113e9, 2.0),
    Model("train", "resnet18", "imagenet", 64, 32, 0.074e9, 2.0),
    Model("train", "resnet50", "imagenet", 16, 224, 8.18e9, 1.5),
]


def torch_peers(threads):
    layouts = {"torch-nhwc": ["nhwc"], "torch-nchw": ["nchw"], "torch-compiled": ["nhwc", "compiled"]}
    return {name: lambda arguments=arguments: torch_peer("resnet_torch.py", *arguments, threads=threads)
            for name, arguments in layouts.items()}


def time_row(model, threads, make, goal=None):
    mine, peak = gemel_peer("resnet", threads), Peer([PROGRAMS / "fma_peak"])
    peers = {name: start() for name, start in make.items()}
    for peer in peers.values():
        check_agreement(mine, peer, model.request("value"), TOLERANCE)
    isa, time = gemel_info()["isa"], model.request("time")
    costs = interleave({"ours": lambda: mine.need(time),
                        **{name: lambda peer=peer: peer.ask(time) for name, peer in peers.items()},
                        "peak": lambda: least_seconds(model.flops, peak, f"{isa} {threads}")})
    for peer in (mine, peak, *peers.values()):
        peer.close()
    ours, limit = costs.pop("ours"), costs.pop("peak")
    return Row(f"{model.name}/t{threads}", ours, costs, goal=goal, limit=limit)


def peaks(start, model):
    """Bytes of memory of fresh processes."""
    values = []
    for _ in range(FRESH_PROCESSES):
        peer = start()
        values.append(peer.ask(model.request("peak")))
        peer.close()
    return [value for value in values if value]


def memory_row(model, threads, make, goal=None):
    return Row(f"{model.name}/t{threads}/memory", peaks(lambda: gemel_peer("resnet", threads), model),
               {name: peaks(start, model) for name, start in make.items()}, unit="B", goal=goal, is_reference=False)


def rows(selection):
    for threads in selection.thread_counts():
        peers = torch_peers(threads)
        if selection.against:
            peers = {"before": lambda: gemel_peer("resnet", threads, selection.against)}
        for model in MODELS[:1] if selection.quick else MODELS:
            if selection.wants(f"{model.name}/t{threads}"):
                yield time_row(model, threads, peers, None if selection.against else model.goal)
            if selection.wants(f"{model.name}/t{threads}/memory"):
                yield memory_row(model, threads, peers, None if selection.against else MEMORY_GOAL)
