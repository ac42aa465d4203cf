"""Augmentation against torchvision and Pillow on one thread; training against its parts."""
import csv
import json
import pathlib
import subprocess
import tempfile

from measure import Row, interleave
from peer import GEMEL, PEERS, SOURCE, check_agreement, gemel_peer, start, threads_environment, torch_peer

IMAGES = 64  # of ROWS in peers/augment.c
VIEWS_GOALS = {"files": 3.5, "decoded": 5.0}
TRAINING_GOAL, TRAINING_TIME = 1 / 1.03, "2.5s"
TRAININGS = {
    "train-fashion-conv": ["fashion-mnist", "--arch", "conv"],
    "train-photos-resnet18": ["FOLDER", "--arch", "resnet18", "--image-size", "96", "--batch-size", "16"],
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


def train(data, flags, folder, threads):
    """Seconds a sample of a short run, and those of them that it waited for views."""
    command = [GEMEL, "train", data, *flags, "--max-time", TRAINING_TIME, "--checkpoint-dir", folder, "--overwrite",
               "--no-evaluation", "--matrix", "off", "--quiet"]
    if start(command, threads_environment(threads), stdout=subprocess.DEVNULL).wait() != 0:
        raise SystemExit(f"gemel train {data} failed")
    with open(folder / "metrics.csv", newline="", encoding="utf-8") as file:
        epochs = list(csv.DictReader(file))
    batch = json.loads((folder / "config.json").read_text(encoding="utf-8"))["batch_size"]
    samples = int(epochs[-1]["steps"]) * batch
    return tuple(sum(float(epoch[name]) for epoch in epochs) / samples for name in ("seconds", "data_wait"))


def training_row(name, data, flags, threads, folder):
    """Beside training: the time in which it did not wait for views, and that of the views on one thread, shared by all."""
    mine, computing = gemel_peer("augment", 1), []

    def whole():
        seconds, waited = train(data, flags, folder / "run", threads)
        computing.append(seconds - waited)
        return seconds

    costs = interleave({"whole": whole, "views": lambda: seconds_an_image(mine, f"files {data}")})
    mine.close()
    alone = computing[-len(costs["whole"]):]
    sums = [rest + views / threads for rest, views in zip(alone, costs["views"])]
    return Row(name, costs["whole"], {"parts": sums}, unit="s/image", goal=TRAINING_GOAL, is_reference=False)


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
            for case, (data, *flags) in TRAININGS.items():
                name = f"{case}/t{threads}"
                if selection.wants(name) and (made or data != "FOLDER"):
                    yield training_row(name, photos if data == "FOLDER" else data, flags, threads, folder)
