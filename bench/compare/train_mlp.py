"""gemel train fashion-mnist, augmentation included, against the same training in PyTorch."""
import csv
import json
import os
import pathlib
import subprocess
import tempfile

from measure import Row, interleave
from peer import GEMEL, PEERS, SOURCE, Peer, threads_environment

GOAL = 1.5
CASES = {
    "default": [],
    "narrow": ["--batch-size", "512", "--hidden-size", "512", "--projection-dim", "256", "--learning-rate", "0.001"],
}
TORCH_STEPS = 40  # a round; an epoch of ours has some 200


def peers_python():
    """The interpreter of the environment that GEMEL_PEERS names, if it has PyTorch."""
    python = PEERS / "bin/python"
    if not python.exists():
        return None
    found = subprocess.run([python, "-c", "import torch"], check=False, capture_output=True)
    return python if found.returncode == 0 else None


def epoch_of_ours(flags, folder, threads):
    """Seconds of training and samples seen in one epoch, as the run's metrics.csv tells."""
    subprocess.run([GEMEL, "train", "fashion-mnist", "--epochs", "1", "--checkpoint-dir", folder, "--overwrite",
                    "--no-evaluation", "--matrix", "off", "--quiet", *flags], check=True,
                   env={**os.environ, **{k: str(v) for k, v in threads_environment(threads).items()}},
                   stdout=subprocess.DEVNULL)
    with open(folder / "metrics.csv", newline="", encoding="utf-8") as file:
        epoch = next(csv.DictReader(file))
    return float(epoch["seconds"]), int(epoch["steps"])


def compare(name, flags, python, threads, folder):
    _, steps = epoch_of_ours(flags, folder, threads)
    batch = json.loads((folder / "config.json").read_text(encoding="utf-8"))["batch_size"]

    def ours():
        seconds, _ = epoch_of_ours(flags, folder, threads)
        return seconds / (steps * batch)

    asks = {"ours": ours}
    if python:
        config = folder.with_suffix(".json")
        config.write_text((folder / "config.json").read_text(encoding="utf-8"), encoding="utf-8")
        torch = Peer([python, SOURCE / "bench/peers/train_torch.py", config, threads])
        asks["torch"] = lambda: torch.need(TORCH_STEPS) / (TORCH_STEPS * batch)
    costs = interleave(asks)
    if python:
        torch.close()
    return Row(f"train-mlp-{name}/t{threads}", costs["ours"], {"torch": costs.get("torch", [])}, unit="s/image",
               goal=GOAL)


def rows(selection):
    python = peers_python()
    with tempfile.TemporaryDirectory() as folder:
        for threads in selection.thread_counts():
            for name, flags in list(CASES.items())[:1 if selection.quick else None]:
                if selection.wants(f"train-mlp-{name}/t{threads}"):
                    yield compare(name, flags, python, threads, pathlib.Path(folder) / name)
