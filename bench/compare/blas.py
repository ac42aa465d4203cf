"""The BLAS libraries that are peers: Debian's, and those that bench/peers/install.sh takes from PyPI."""
import dataclasses
import os
import pathlib

from peer import PEERS, PROGRAMS, Peer, threads_environment


@dataclasses.dataclass
class Library:
    file: str
    symbol: str = "cblas_sgemm"
    environment: dict = dataclasses.field(default_factory=dict)


def installed(pattern):
    """The file under GEMEL_PEERS; the pattern itself, which no loader finds, where it is absent."""
    return next(iter(sorted(PEERS.glob(pattern))), PEERS / pattern)


def beside(file):
    """For a library whose dependencies lie beside it without its knowing."""
    return {"LD_LIBRARY_PATH": pathlib.Path(file).parent}


PACKAGES = "lib/python3*/site-packages"
AOCL = installed(f"{PACKAGES}/aoclda.libs/libblis-mt*.so*")
MKL = installed("lib/libmkl_rt.so*")
LIBRARIES = {
    "aocl": Library(AOCL, environment=beside(AOCL)),
    "openblas": Library(installed(f"{PACKAGES}/scipy_openblas32/lib/libscipy_openblas.so"), "scipy_cblas_sgemm"),
    "openblas-debian": Library("libopenblas.so.0"),
    "blis-debian": Library("libblis.so.4"),
    "mkl": Library(MKL, environment={**beside(MKL), "MKL_INTERFACE_LAYER": "LP64", "MKL_DYNAMIC": "FALSE"}),
}


def mkl_threading(threads):
    """MKL's fastest layer: TBB, with 0.83 of the time of Intel's OpenMP and 0.93 of GNU's (geometric mean of the grid, two
    threads of a Zen 4). But TBB takes every processor, whatever it is told."""
    if threads == 1:
        return "SEQUENTIAL"
    return "TBB" if threads == len(os.sched_getaffinity(0)) else "INTEL"


def blas_peer(program, name, threads, **environment):
    library = LIBRARIES[name]
    return Peer([PROGRAMS / program, library.file, library.symbol], **threads_environment(threads),
                **library.environment, MKL_THREADING_LAYER=mkl_threading(threads), **environment)
