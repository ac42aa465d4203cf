"""Each distinct layer of ResNet-18 and ResNet-50 in three passes, against PyTorch (oneDNN) and the FMA peak."""
import dataclasses

from measure import Row, interleave, least_seconds
from peer import PROGRAMS, Peer, check_agreement, gemel_info, gemel_peer, torch_peer

MEAN_GOALS = {"geomean": 1.2}
WORST_GOAL = 0.9
PASSES = ("forward", "data", "weight")


@dataclasses.dataclass
class Layer:
    batch: int
    side: int
    channels: int
    out: int
    kernel: int
    stride: int = 1

    @property
    def name(self):
        return f"{self.batch}x{self.side}x{self.side}x{self.channels}-{self.out}-{self.kernel}x{self.kernel}/{self.stride}"

    def request(self, which):
        return f"{which} {self.batch} {self.side} {self.channels} {self.out} {self.kernel} {self.stride}"

    @property
    def flops(self):
        """Of the definition, products with padding included."""
        out_side = (self.side + 2 * (self.kernel // 2) - self.kernel) // self.stride + 1
        return 2 * self.batch * out_side**2 * self.out * self.channels * self.kernel**2


# ResNet-18 with the stem of small images, 32 x 32, batch 64; then ResNet-50, 224 x 224, batch 16.
LAYERS = [
    *(Layer(64, *shape) for shape in (
        (32, 3, 64, 3), (32, 64, 64, 3), (32, 64, 128, 3, 2), (16, 128, 128, 3), (32, 64, 128, 1, 2), (16, 128, 256, 3, 2),
        (8, 256, 256, 3), (16, 128, 256, 1, 2), (8, 256, 512, 3, 2), (4, 512, 512, 3), (8, 256, 512, 1, 2))),
    *(Layer(16, *shape) for shape in (
        (224, 3, 64, 7, 2), (56, 64, 64, 1), (56, 64, 64, 3), (56, 64, 256, 1), (56, 256, 64, 1), (56, 256, 128, 1),
        (56, 128, 128, 3, 2), (28, 128, 512, 1), (56, 256, 512, 1, 2), (28, 512, 128, 1), (28, 128, 128, 3),
        (28, 512, 256, 1), (28, 256, 256, 3, 2), (14, 256, 1024, 1), (28, 512, 1024, 1, 2), (14, 1024, 256, 1),
        (14, 256, 256, 3), (14, 1024, 512, 1), (14, 512, 512, 3, 2), (7, 512, 2048, 1), (14, 1024, 2048, 1, 2),
        (7, 2048, 512, 1), (7, 512, 512, 3))),
]
QUICK = [Layer(64, 32, 64, 64, 3), Layer(16, 224, 3, 64, 7, 2), Layer(16, 56, 64, 256, 1), Layer(16, 28, 256, 256, 3, 2)]


def compare(layer, which, threads, against):
    mine, peak = gemel_peer("conv", threads), Peer([PROGRAMS / "fma_peak"])
    if against:
        peers = {"before": gemel_peer("conv", threads, against)}
    else:
        peers = {f"torch-{layout}": torch_peer("conv_torch.py", layout, threads=threads) for layout in ("nhwc", "nchw")}
    isa, request = gemel_info()["isa"], layer.request(which)
    for peer in peers.values():
        check_agreement(mine, peer, f"value {request}")
    costs = interleave({"ours": lambda: mine.need(f"time {request}"),
                        **{name: lambda peer=peer: peer.ask(f"time {request}") for name, peer in peers.items()},
                        "peak": lambda: least_seconds(layer.flops, peak, f"{isa} {threads}")})
    for peer in (mine, peak, *peers.values()):
        peer.close()
    ours, limit = costs.pop("ours"), costs.pop("peak")
    return Row(f"{layer.name}/{which}/t{threads}", ours, costs, goal=None if against else WORST_GOAL, limit=limit)


def rows(selection):
    for threads in selection.thread_counts():
        for layer in QUICK if selection.quick else LAYERS:
            for which in PASSES:
                if selection.wants(f"{layer.name}/{which}/t{threads}"):
                    yield compare(layer, which, threads, selection.against)
