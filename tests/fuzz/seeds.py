"""Writes files that are right, for tests/fuzz/run to start from: python3 tests/fuzz/seeds.py TARGET FOLDER"""
import gzip
import pathlib
import pickle
import shutil
import struct
import sys
import zipfile

WEIGHTS = pathlib.Path(__file__).resolve().parent.parent / "data" / "weights"
IMAGES = WEIGHTS.parent / "images"


def npy(descr, shape, data, version=1):
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + data


def seeds(target):
    if target == "idx":
        labels = bytes([0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3])
        images = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 1, 5, 6, 7, 8])
        yield from (labels, images, gzip.compress(labels, mtime=0), gzip.compress(images, mtime=0))
    elif target == "npy":
        yield npy("<f4", "(2, 3)", bytes(24))
        yield npy("<f2", "(2, 3)", bytes(12), 2)
        yield npy("|u1", "(6, 1)", bytes(6), 3)
        yield npy("<i8", "(2,)", bytes(16))
    elif target == "pickle":
        for path in sorted(WEIGHTS.glob("*.zip.pth")) + [WEIGHTS / "nested.4.pth"]:
            with zipfile.ZipFile(path) as archive:
                yield next(archive.read(name) for name in archive.namelist() if name.endswith("data.pkl"))
        for protocol in range(6):
            yield pickle.dumps({"a": [1, 2.5, (None, True), "text", 2**70], 3: b"bytes"}, protocol)
    elif target == "cifar":
        yield from (bytes(3073), bytes(2 * 3074))
    elif target in ("jpeg", "png"):
        for path in sorted(IMAGES.glob("*.jpg" if target == "jpeg" else "*.png")):
            yield path.read_bytes()
    else:
        for path in sorted(WEIGHTS.glob("*.pth" if target == "zip" else "*.*")):
            if path.suffix != ".txt" and (target != "zip" or zipfile.is_zipfile(path)):
                yield path.read_bytes()


folder = pathlib.Path(sys.argv[2])
shutil.rmtree(folder)
folder.mkdir()
for i, data in enumerate(seeds(sys.argv[1])):
    (folder / str(i)).write_bytes(data)
