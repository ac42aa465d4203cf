"""gemel train fashion-mnist --arch conv, augmentation included, against the same training in PyTorch, in both layouts."""
from train import rows_of

CASES = {
    "train-conv-default": ["--arch", "conv"],
    "train-conv-b512": ["--arch", "conv", "--batch-size", "512"],
}


def rows(selection):
    return rows_of(CASES, 2.0, ["nhwc", "nchw"], selection)
