"""Inference of ResNets by ONNX Runtime or OpenVINO. Usage: resnet_onnx.py onnxruntime|openvino, with the requests of
resnet.c, PHASE being infer. It takes OMP_NUM_THREADS threads."""
import os
import pathlib
import sys
import tempfile

import numpy as np
import torch

from image_models import images, model, norm
from server_torch import serve, status_bytes

BEFORE = status_bytes("VmRSS:")
THREADS = int(os.environ["OMP_NUM_THREADS"])


def export(folder, arch, stem, x):
    path = pathlib.Path(folder) / "model.onnx"
    torch.onnx.export(model(arch, stem, False), (torch.from_numpy(x),), str(path), input_names=["x"], dynamo=False)
    return path


def onnxruntime(path, x):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": x})


def openvino(path, x):
    import openvino

    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": THREADS, "PERFORMANCE_HINT": "LATENCY"}
    request = openvino.Core().compile_model(openvino.Core().read_model(path), "CPU", settings).create_infer_request()
    return lambda: list(request.infer({0: x}).values())


def prepare(_phase, arch, stem, batch, side):
    x = np.ascontiguousarray(images(int(batch), int(side)).numpy())
    with tempfile.TemporaryDirectory() as folder:
        return {"onnxruntime": onnxruntime, "openvino": openvino}[sys.argv[1]](export(folder, arch, stem, x), x)


def value(what, *results):
    return status_bytes("VmHWM:") - BEFORE if what == "peak" else norm(results)


serve(prepare, value)
