"""ResNet-18 and ResNet-50, training step and inference, against PyTorch: time and peak memory."""
import dataclasses

from measure import Row, interleave
from peer import check_agreement, gemel_peer, torch_peer

LAYOUTS = ("nhwc", "nchw")
MEMORY_GOAL = 1.54
FRESH_PROCESSES = 3


@dataclasses.dataclass
class Case:
    which: str
    arch: str
    stem: str
    batch: int
    side: int
    goal: float = None

    @property
    def name(self):
        return f"{self.which}-{self.arch}-{self.stem}-{self.batch}x{self.side}"

    def request(self, what):
        return f"{what} {self.which} {self.arch} {self.stem} {self.batch} {self.side}"


CASES = [
    Case("train", "resnet18", "small", 64, 32, 2.0),
    Case("train", "resnet18", "imagenet", 64, 32, 2.0),
    Case("train", "resnet50", "imagenet", 16, 224, 1.5),
    Case("infer", "resnet18", "small", 64, 32),
    Case("infer", "resnet50", "imagenet", 1, 224),
    Case("infer", "resnet50", "imagenet", 16, 224),
]


def theirs(threads, against):
    if against:
        return {"before": lambda: gemel_peer("resnet", threads, against)}
    return {f"torch-{layout}": lambda layout=layout: torch_peer("resnet_torch.py", layout, threads=threads)
            for layout in LAYOUTS}


def compare(case, threads, against):
    mine = gemel_peer("resnet", threads)
    peers = {name: make() for name, make in theirs(threads, against).items()}
    for peer in peers.values():
        check_agreement(mine, peer, case.request("parameters"))
    costs = interleave({"ours": lambda: mine.need(case.request("time")),
                        **{name: lambda peer=peer: peer.ask(case.request("time")) for name, peer in peers.items()}})
    for peer in (mine, *peers.values()):
        peer.close()
    ours = costs.pop("ours")
    return Row(f"{case.name}/t{threads}", ours, costs, goal=None if against else case.goal)


def peaks(make, case):
    """Bytes of memory of fresh processes."""
    values = []
    for _ in range(FRESH_PROCESSES):
        peer = make()
        values.append(peer.ask(case.request("peak")))
        peer.close()
    return [value for value in values if value]


def memory(case, threads, against):
    costs = {name: peaks(make, case) for name, make in theirs(threads, against).items()}
    return Row(f"memory-{case.name}/t{threads}", peaks(lambda: gemel_peer("resnet", threads), case), costs, unit="B",
               goal=None if against else MEMORY_GOAL, is_reference=False)


def rows(selection):
    for threads in selection.thread_counts():
        for case in CASES[:1] if selection.quick else CASES:
            if selection.wants(f"{case.name}/t{threads}"):
                yield compare(case, threads, selection.against)
            if case.which == "train" and selection.wants(f"memory-{case.name}/t{threads}"):
                yield memory(case, threads, selection.against)
