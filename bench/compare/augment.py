"""Augmentation against torchvision and Pillow on one thread; an epoch of training against its parts."""
import csv
import pathlib
import subprocess
import tempfile

from measure import Row, interleave
from peer import GEMEL, PEERS, SOURCE, check_agreement, gemel_peer, start, threads_environment, torch_peer

IMAGES = 64  # of ROWS in peers/augment.c
VIEWS_GOALS = {"files": 3.5, "decoded": 5.0}
EPOCH_GOAL = 1 / 1.03
EPOCHS = {
    "epoch-fashion-conv": ["fashion-mnist", "--arch", "conv"],
    "epoch-photos-resnet18": ["FOLDER", "--arch", "resnet18", "--batch-size", "16"],
}


def make_photos(folder):
    """Whether there are files to measure with."""
    try:
        subprocess.run([PEERS / "bin/python", SOURCE / "bench/peers/augment_torch.py", "make", folder, str(IMAGES)], check=True)
    except FileNotFoundError:
        return False
    return True


def seconds_an_image(peer, request):
    seconds = peer.ask(f"time {request}")
    return seconds and seconds / IMAGES


def views_row(source, name, folder, against):
    mine = gemel_peer("augment", 1)
    theirs = gemel_peer("augment", 1, against) if against else torch_peer("augment_torch.py", threads=1)
    request = f"{source} {folder}"
    check_agreement(mine, theirs, f"value {request}", tolerance=0.1)  # as far as other draws may lead
    costs = interleave({"ours": lambda: seconds_an_image(mine, request), "theirs": lambda: seconds_an_image(theirs, request)})
    mine.close()
    theirs.close()
    return Row(name, costs["ours"], {"before" if against else "torchvision": costs["theirs"]}, unit="s/image",
               goal=None if against else VIEWS_GOALS[source])


def epoch(data, flags, folder, threads):
    """Seconds of an epoch, and those of them that it waited for data."""
    command = [GEMEL, "train", data, *flags, "--epochs", "1", "--checkpoint-dir", folder, "--overwrite", "--no-evaluation",
               "--matrix", "off", "--quiet"]
    if start(command, threads_environment(threads), stdout=subprocess.DEVNULL).wait() != 0:
        raise SystemExit(f"gemel train {data} failed")
    with open(folder / "metrics.csv", newline="", encoding="utf-8") as file:
        row = next(csv.DictReader(file))
    return float(row["seconds"]), float(row["data_wait"])


def epoch_row(name, data, flags, samples, threads, folder):
    """Beside an epoch: the time in which it did not wait for views, and that of the views on one thread, shared by all."""
    mine, computing = gemel_peer("augment", 1), []

    def whole():
        seconds, waited = epoch(data, flags, folder / "run", threads)
        computing.append(seconds - waited)
        return seconds

    costs = interleave({"whole": whole, "views": lambda: seconds_an_image(mine, f"files {data}")})
    mine.close()
    rounds = len(costs["whole"])
    sums = [alone + samples * views / threads for alone, views in zip(computing[-rounds:], costs["views"])]
    return Row(f"{name}/t{threads}", costs["whole"], {"parts": sums}, goal=EPOCH_GOAL, is_reference=False)


def rows(selection):
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        photos = folder / "photos"
        photos.mkdir()
        made = make_photos(photos)
        for source in VIEWS_GOALS if made else ():
            name = f"views-{source}-500x375/t1"
            if selection.wants(name):
                yield views_row(source, name, photos, selection.against)
        for threads in () if selection.quick or selection.against else selection.thread_counts():
            for name, (data, *flags) in EPOCHS.items():
                if not selection.wants(f"{name}/t{threads}") or (data == "FOLDER" and not made):
                    continue
                samples = IMAGES if data == "FOLDER" else 60000
                yield epoch_row(name, photos if data == "FOLDER" else data, flags, samples, threads, folder)
