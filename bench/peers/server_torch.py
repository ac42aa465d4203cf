"""What the programs on PyTorch share with those of server.h: one request a line, one number back, the same inputs and the
same way of timing."""
import mmap
import resource
import sys
import time

import numpy as np
import torch


def floats(shape, seed):
    """The numbers of bench_floats() in pages like its: a linear congruential generator, all steps at once."""
    count = int(np.prod(shape))
    powers = np.cumprod(np.full(count, 1664525, np.uint32), dtype=np.uint32)
    sums = np.cumsum(np.concatenate(([1], powers[:-1])), dtype=np.uint32)
    start = np.uint32((seed * 2654435769 + 1) % 2**32)
    bits = powers * start + sums * np.uint32(1013904223)
    pages = mmap.mmap(-1, max(4 * count, 2 << 20))
    pages.madvise(mmap.MADV_HUGEPAGE)
    x = np.frombuffer(pages, np.float32, count)
    np.multiply((bits & np.uint32(0xffffff00)).view(np.int32), np.float32(2.0**-31), out=x)
    return torch.from_numpy(x).view(shape)


def preemptions():
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def time_calls(call, count):
    start = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - start


def server_time(call, last):
    """server_time() of server.h; last: seconds of the latest call, None at first."""
    count, passed = 1, 0.0
    while (last is None or last < 0.035) and passed < 0.005:
        passed = time_calls(call, count)
        last = passed / count
        count *= 2
    count = int(0.004 / last) + 1 if last < 0.004 else 1
    least, passed, calm = float("inf"), 0.0, False
    while passed < 0.035 or (not calm and passed < 0.35):
        before = preemptions()
        seconds = time_calls(call, count)
        calm = calm or preemptions() == before
        least = min(least, seconds)
        passed += seconds
    return least / count


def status_bytes(field):
    with open("/proc/self/status", encoding="utf-8") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith(field))


def peak_memory(call):
    """Bytes of peak memory that the call adds."""
    with open("/proc/self/clear_refs", "w", encoding="utf-8") as file:
        file.write("5")
    before = status_bytes("VmRSS:")
    call()
    return status_bytes("VmHWM:") - before


def serve(prepare, value):
    """Answers requests "WHAT CASE...", WHAT being time, memory or the name of a value. prepare(*case) returns the call that
    is timed, value(what, *call()) a number of its result."""
    current, call, last = None, None, None
    for line in sys.stdin:
        what, *case = line.split()
        if case != current:
            call, last = None, None  # frees the operands before there are new ones
            current, call = case, prepare(*case)
        if what == "time":
            answer = last = server_time(call, last)
        elif what == "memory":
            answer = peak_memory(call)
        else:
            answer = value(what, *call())
        print(f"{answer:.9g}", flush=True)
