"""What a file of results says of itself: when, where and beside which versions it was measured."""
import datetime
import os
import subprocess

from peer import PEERS, SOURCE, gemel_info

# As pip and Debian know them.
PACKAGES = ("torch", "torchvision", "pillow", "onnxruntime", "openvino", "mkl", "scipy-openblas32", "aoclda")
DEBIAN_PACKAGES = ("libopenblas0", "libblis4")
ASK_VERSIONS = """
import importlib.metadata, sys
for name in sys.argv[1:]:
    try:
        print(name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        pass
"""


def lines_of(*command):
    """What a command prints; nothing where it does not exist or fails."""
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=SOURCE, check=False)
    except FileNotFoundError:
        return []
    return done.stdout.splitlines()


def versions():
    """Lines of a name and a version, of the peers that are installed."""
    debian = lines_of("dpkg-query", "-W", "-f", "${Package} ${Version}\\n", *DEBIAN_PACKAGES)
    return lines_of(PEERS / "bin/python", "-c", ASK_VERSIONS, *PACKAGES) + debian


def facts(area):
    """Pairs of a name and a text."""
    info = gemel_info()
    yield "area", area
    yield "date", datetime.date.today().isoformat()
    yield "machine", f"{info['cpu']} ({info['core']}), {len(os.sched_getaffinity(0))} processors"
    yield "isa", info["isa"]
    yield "commit", " ".join(lines_of("git", "describe", "--always", "--dirty"))
    for line in versions():
        yield "peer", line
