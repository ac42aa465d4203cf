"""gemel train fashion-mnist, augmentation included, against the same training in PyTorch: what the areas train-… share."""
import csv
import json
import pathlib
import subprocess
import tempfile

from measure import Row, interleave
from peer import GEMEL, start, threads_environment, torch_peer

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


def compare(name, flags, goal, layouts, threads, folder):
    _, steps = epoch_of_ours(flags, folder, threads)
    text = (folder / "config.json").read_text(encoding="utf-8")
    config, batch = folder.with_suffix(".json"), json.loads(text)["batch_size"]
    config.write_text(text, encoding="utf-8")
    peers = {f"torch-{layout}" if len(layouts) > 1 else "torch": torch_peer("train_torch.py", config, layout, threads=threads)
             for layout in layouts}

    def ours():
        seconds, _ = epoch_of_ours(flags, folder, threads)
        return seconds / (steps * batch)

    def theirs(peer):
        seconds = peer.ask(TORCH_STEPS)
        return seconds and seconds / (TORCH_STEPS * batch)

    costs = interleave({"ours": ours, **{key: lambda peer=peer: theirs(peer) for key, peer in peers.items()}})
    for peer in peers.values():
        peer.close()
    return Row(f"{name}/t{threads}", costs.pop("ours"), costs, unit="s/image", goal=goal)


def rows_of(cases, goal, layouts, selection):
    """cases: names and the flags of gemel train."""
    with tempfile.TemporaryDirectory() as folder:
        for threads in selection.thread_counts():
            for name, flags in list(cases.items())[:1 if selection.quick else None]:
                if selection.wants(f"{name}/t{threads}"):
                    yield compare(name, flags, goal, layouts, threads, pathlib.Path(folder) / name)
