#!/usr/bin/env python3
"""Follows tutorial.md: test_tutorial.py SOURCE BUILD, with the source and build folders.

Everything happens in a fresh folder, in the order of the text. Of the fenced blocks
    ```sh            are run by sh -e, with this build's gemel in the PATH
    ```sh needs X    are run if Python has the module X (in the environment that GEMEL_PEERS names, or else the system's)
    ```c name.c      are saved under that name, so are ```python name.py
and all others are shown only. Minutes become seconds by SMALLER, each row of which must apply somewhere. Pictures and files that the
text links to must exist, and together the pictures must stay below MOST_PICTURES bytes. With GEMEL_ISA set it does nothing (77).
"""
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time

SMALLER = [
    # 600 training and 200 test images in the format of MNIST take the place of Debian's 70000.
    (r"\bfashion-mnist(?= |$)", "small/fashion-mnist"),
    (r"gemel train small/fashion-mnist$", r"\g<0> --epochs 2 --hidden-size 64 --projection-dim 64"),
    (r"make_photos.py photos$", r"\g<0> 100"),
    (r"gemel train photos .*(?<!--dry-run)$", r"\g<0> --epochs 2"),
    (r"--epochs 40\b", "--epochs 3"),
]
BLOCK = re.compile(r"^```(\w+)(?: ([^\n]*))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r'(?:\]\(|src=")([^)"#:]+)(?:#[^)]*)?[)"]')
MOST_PICTURES = 300_000
SECONDS = 120  # for one block


def write_small_images(folder):
    """MNIST's four files with patterns that differ by class."""
    folder.mkdir(parents=True)
    for name, count in ("train", 600), ("t10k", 200):
        labels = bytes(i % 10 for i in range(count))
        pixels = bytearray()
        for i, label in enumerate(labels):
            pixels += bytes((label * 25 + x * (label + 1) + y * (i % 7)) & 255 for y in range(28) for x in range(28))
        (folder / f"{name}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 0x803, count, 28, 28) + pixels)
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 0x801, count) + labels)


def check_links(source, text):
    pictures = 0
    for target in set(LINK.findall(text)):
        path = source / "docs" / target
        if not path.exists():
            sys.exit(f"tutorial.md: {target} does not exist")
        if path.parent.name == "pictures":
            pictures += path.stat().st_size
    if pictures > MOST_PICTURES:
        sys.exit(f"tutorial.md: {pictures} bytes of pictures, more than {MOST_PICTURES}")


def environment(source, build, bin_folder):
    bin_folder.mkdir()
    (bin_folder / "gemel").symlink_to(build / "tools/gemel/gemel")
    peers = os.environ.get("GEMEL_PEERS")
    places = [bin_folder, *([pathlib.Path(peers).absolute() / "bin"] if peers else []), os.environ["PATH"]]
    return {**os.environ, "PATH": os.pathsep.join(map(str, places)), "GEMEL": str(source),
            "PKG_CONFIG_PATH": str(build / "meson-uninstalled"), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "2",
            "LD_LIBRARY_PATH": os.pathsep.join(str(build / part) for part in ("kernels", "tools"))}


def made_smaller(script, used):
    for pattern, replacement in SMALLER:
        script, count = re.subn(pattern, replacement, script, flags=re.MULTILINE)
        if count:
            used.add(pattern)
    return script


def has_module(name, variables):
    return subprocess.run(["python3", "-c", f"import {name}"], env=variables, capture_output=True, check=False).returncode == 0


def follow(text, folder, variables):
    used = set()
    for language, about, body in BLOCK.findall(text):
        if language in ("c", "python") and about:
            (folder / about).write_text(body, encoding="utf-8")
        if language != "sh":
            continue
        script, began = made_smaller(body, used), time.monotonic()
        missing = [name for name in about.removeprefix("needs ").split() if not has_module(name, variables)]
        if missing:
            print(f"--- skipped, no {missing[0]}:\n{body}", end="")
            continue
        print(f"--- {script}", end="", flush=True)
        done = subprocess.run(["sh", "-e"], input=script, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder,
                              env=variables, timeout=SECONDS, check=False)
        if done.returncode != 0:
            sys.exit(f"exit code {done.returncode}\n{done.stdout}")
        print(f"    ({time.monotonic() - began:.1f} s)")
    unused = [pattern for pattern, _ in SMALLER if pattern not in used]
    if unused:
        sys.exit(f"test_tutorial.py: {unused[0]} applies nowhere")


def main(source, build):
    if "GEMEL_ISA" in os.environ:
        print("skipped: once is enough, whatever the instruction set")
        return 77
    source, build = pathlib.Path(source).resolve(), pathlib.Path(build).resolve()
    text = (source / "docs/tutorial.md").read_text(encoding="utf-8")
    check_links(source, text)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="gemel-tutorial-"))
    try:
        write_small_images(folder / "small/fashion-mnist")
        follow(text, folder, environment(source, build, folder / "bin"))
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
