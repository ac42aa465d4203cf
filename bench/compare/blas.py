"""The BLAS libraries that are peers: Debian's, and those that bench/peers/install.sh takes from PyPI."""
import dataclasses
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
    "mkl": Library(MKL, environment={**beside(MKL), "MKL_INTERFACE_LAYER": "LP64", "MKL_THREADING_LAYER": "INTEL",
                                     "MKL_DYNAMIC": "FALSE"}),
}


def blas_peer(program, name, threads, **environment):
    library = LIBRARIES[name]
    return Peer([PROGRAMS / program, library.file, library.symbol], **threads_environment(threads),
                **library.environment, **environment)
