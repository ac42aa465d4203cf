"""Trains `conv` on a third of Fashion-MNIST, in every cell of two grids, and writes what its features are worth as CSV:
batch size by learning rate, and width of the embedding by lambda. Usage: sweep.py GEMEL FILE.csv [THREADS]

Every cell sees the same number of images, in views with a weaker jitter than that of the preset. Rows that FILE.csv has already
are not measured again. docs/guide.md tells what came of it."""
import csv
import gzip
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path("/usr/share/datasets/fashion-mnist")
IMAGES, EPOCHS = 20000, 3

BATCHES = [(batch, factor * rate, 512, 0.0051)
           for factor in (1, 0.5, 2) for batch, rate in ((32, 0.0005), (128, 0.001), (512, 0.002))]
EMBEDDINGS = [(128, 0.001, width, lambd)
              for lambd in (0.0051, 0.00128, 0.0204) for width in (512, 128, 2048)]
JITTER = ["--jitter-probability=0.8", "--brightness=0.4", "--contrast=0.4"]
CELLS = list(dict.fromkeys(BATCHES + EMBEDDINGS))
SETTINGS = ["batch_size", "learning_rate", "projection_dim", "lambd"]


def part_of(name, count, header):
    """The first samples of an idx file, whose header has their number at byte 4."""
    data = gzip.decompress((SOURCE / f"{name}.gz").read_bytes())
    size = (len(data) - header) // struct.unpack(">I", data[4:8])[0]
    return data[:4] + struct.pack(">I", count) + data[8:header + count * size]


def write_data(folder):
    (folder / "train-images-idx3-ubyte").write_bytes(part_of("train-images-idx3-ubyte", IMAGES, 16))
    (folder / "train-labels-idx1-ubyte").write_bytes(part_of("train-labels-idx1-ubyte", IMAGES, 8))
    for name in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        (folder / name).symlink_to(SOURCE / name)


def accuracies(gemel, threads, folder, cell):
    run = folder / "run"
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in zip(SETTINGS, cell)]
    subprocess.run([gemel, "train", folder / "data", "--arch=conv", f"--epochs={EPOCHS}", *JITTER, *flags,
                    f"--threads={threads}", f"--checkpoint-dir={run}", "--overwrite", "--quiet"], check=True)
    results = (run / "results.txt").read_text()
    return [re.search(rf"^{name} ([\d.]+)", results, re.MULTILINE)[1] for name in ("knn", "linear")]


def main(gemel, path, threads="1"):
    rows = list(csv.reader(path.open())) if path.exists() else [[*SETTINGS, "knn", "linear"]]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "data").mkdir()
        write_data(folder / "data")
        for cell in CELLS:
            if [str(value) for value in cell] not in [row[:len(cell)] for row in rows]:
                rows.append([*cell, *accuracies(gemel, threads, folder, cell)])
                with path.open("w", newline="") as file:
                    csv.writer(file, lineterminator="\n").writerows(rows)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(sys.argv[1], pathlib.Path(sys.argv[2]), *sys.argv[3:])
