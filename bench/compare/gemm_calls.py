"""The products beside gm_gemm_f32, each against the calls that it replaces."""
import dataclasses

from measure import Row, interleave
from peer import gemel_peer


@dataclasses.dataclass
class Call:
    product: str  # of peers/products.c
    operands: str  # "N T 256 256 1024"
    goal: float

    def name(self, threads):
        ta, tb, *sizes = self.operands.split()
        return f"{self.product}-{ta}{tb}-{'x'.join(sizes)}/t{threads}"


CALLS = [
    Call("syrk", "N T 64 64 512", 1.1),
    Call("syrk", "T N 256 256 1024", 1.5),
    Call("syrk", "N T 1024 1024 1024", 1.5),
    Call("batch", "N N 8 8 8", 1.0),
    Call("batch", "N N 32 32 32", 1.0),
    Call("batch", "N T 64 64 64", 1.0),
    Call("batch", "N N 256 256 64", 1.0),
    Call("packed", "N T 1 1024 1024", 1.5),
    Call("packed", "N T 8 512 784", 1.5),
    Call("packed", "N T 32 1024 1024", 1.1),
    Call("packed", "N T 256 1024 1024", 1.0),
    Call("packed", "N N 1024 1024 1024", 1.0),
    Call("fused", "N T 64 64 64", 1.0),
    Call("fused", "N T 512 512 512", 1.0),
    Call("fused", "N T 1024 512 784", 1.0),
    Call("fused", "N N 12544 64 64", 1.0),
    Call("fused", "N N 50176 256 64", 1.0),
]


def rows(selection, threads):
    for call in CALLS:
        case = call.name(threads)
        if not selection.wants(case):
            continue
        ours, other = gemel_peer("products", threads), gemel_peer("products", threads)
        if selection.against:
            other = gemel_peer("products", threads, selection.against)
        what = "call" if selection.against else "instead"
        costs = interleave({"ours": lambda: ours.need(f"call {call.product} {call.operands}"),
                            "other": lambda: other.ask(f"{what} {call.product} {call.operands}")})
        yield Row(case, costs["ours"], {"before" if selection.against else "instead": costs["other"]}, goal=call.goal,
                  is_reference=False)
        ours.close()
        other.close()
