"""gemel train fashion-mnist --arch mlp, augmentation included, against the same training in PyTorch."""
from train import rows_of

CASES = {
    "train-mlp-default": ["--arch", "mlp", "--projection-dim", "256"],
    "train-mlp-narrow": ["--arch", "mlp", "--projection-dim", "256", "--hidden-size", "512", "--batch-size", "512"],
}


def rows(selection):
    return rows_of(CASES, 1.5, ["nchw"], selection)
