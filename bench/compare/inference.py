"""Features of ResNets in float32 against ONNX Runtime, OpenVINO and PyTorch."""
from peer import gemel_peer, torch_peer
from resnet import Model, time_row, torch_peers

MODELS = [*(Model("infer", "resnet50", "imagenet", batch, 224, 8.18e9, 1.15) for batch in (1, 16)),
          Model("infer", "resnet18", "small", 64, 32, 1.113e9)]


def onnx_peers(threads):
    return {name: lambda name=name: torch_peer("resnet_onnx.py", name, threads=threads)
            for name in ("onnxruntime", "openvino")}


def rows(selection):
    for threads in selection.thread_counts():
        peers = {**onnx_peers(threads), **torch_peers(threads)}
        if selection.against:
            peers = {"before": lambda: gemel_peer("resnet", threads, selection.against)}
        for model in MODELS[:1] if selection.quick else MODELS:
            if selection.wants(f"{model.name}/t{threads}"):
                yield time_row(model, threads, peers, None if selection.against else model.goal)
