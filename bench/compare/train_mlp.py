"""gemel train fashion-mnist, augmentation included, against the same training in PyTorch."""
import csv
import json
import pathlib
import subprocess
import tempfile

from measure import Row, interleave
from peer import GEMEL, start, threads_environment, torch_peer

GOAL = 1.5
CASES = {
    "default": [],
    "narrow": ["--batch-size", "512", "--hidden-size", "512", "--projection-dim", "256", "--learning-rate", "0.001"],
}
TORCH_STEPS = 40  # a round; an epoch of ours has some 200


def epoch_of_ours(flags, folder, threads):
    """Seconds of training and samples seen in one epoch, as the run's metrics.csv tells."""
    command = [GEMEL, "train", "fashion-mnist", "--epochs", "1", "--checkpoint-dir", folder, "--overwrite",
               "--no-evaluation", "--matrix", "off", "--quiet", *flags]
    if start(command, threads_environment(threads), stdout=subprocess.DEVNULL).wait() != 0:
        raise SystemExit("gemel train fashion-mnist failed")
    with open(folder / "metrics.csv", newline="", encoding="utf-8") as file:
        epoch = next(csv.DictReader(file))
    return float(epoch["seconds"]), int(epoch["steps"])


def compare(name, flags, threads, folder):
    _, steps = epoch_of_ours(flags, folder, threads)
    text = (folder / "config.json").read_text(encoding="utf-8")
    config, batch = folder.with_suffix(".json"), json.loads(text)["batch_size"]
    config.write_text(text, encoding="utf-8")
    torch = torch_peer("train_torch.py", config, threads=threads)

    def ours():
        seconds, _ = epoch_of_ours(flags, folder, threads)
        return seconds / (steps * batch)

    def theirs():
        seconds = torch.ask(TORCH_STEPS)
        return seconds and seconds / (TORCH_STEPS * batch)

    costs = interleave({"ours": ours, "torch": theirs})
    torch.close()
    return Row(f"train-mlp-{name}/t{threads}", costs["ours"], {"torch": costs["torch"]}, unit="s/image", goal=GOAL)


def rows(selection):
    with tempfile.TemporaryDirectory() as folder:
        for threads in selection.thread_counts():
            for name, flags in list(CASES.items())[:1 if selection.quick else None]:
                if selection.wants(f"train-mlp-{name}/t{threads}"):
                    yield compare(name, flags, threads, pathlib.Path(folder) / name)
