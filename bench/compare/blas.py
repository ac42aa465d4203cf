"""The BLAS libraries of Debian, as peers."""
from measure import PROGRAMS, Peer, threads_environment

LIBRARIES = {"openblas": "libopenblas.so.0", "blis": "libblis.so.4"}


def blas_peer(program, library, threads, **environment):
    return Peer([PROGRAMS / program, LIBRARIES[library], "cblas_sgemm"], **threads_environment(threads), **environment)
