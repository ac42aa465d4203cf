"""gemel train fashion-mnist with its perceptron, augmentation included, against the same training in PyTorch."""
from train import rows_of

CASES = {
    "train-mlp-default": [],
    "train-mlp-narrow": ["--batch-size", "512", "--hidden-size", "512", "--projection-dim", "256", "--learning-rate", "0.001"],
}


def rows(selection):
    return rows_of(CASES, 1.5, ["nchw"], selection)
