"""Peers as processes, interleaved rounds, and what is concluded from them."""
import dataclasses
import os
import pathlib
import random
import statistics
import subprocess
import time
from typing import Callable

ROUNDS = 9
# A thread pool goes on spinning for a while after its work (OpenBLAS for 26 ms) and would disturb the next peer.
CALM = 0.04

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = SOURCE / "build-bench"
PROGRAMS = BUILD / "bench"
GEMEL = BUILD / "tools/gemel/gemel"


class Peer:
    """A program that answers each line with a number. None is answered by a program that cannot run here."""

    def __init__(self, command, **environment):
        self.command = [str(word) for word in command]
        self.environment = {**os.environ, **{name: str(value) for name, value in environment.items()}}
        self.process = None
        self.absent = False

    def ask(self, request):
        if self.absent:
            return None
        if not self.process:
            self.process = subprocess.Popen(self.command, env=self.environment, text=True, bufsize=1,
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            print(request, file=self.process.stdin, flush=True)
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self.process.wait()
            self.reason = self.process.stderr.read().strip() or f"ended with {self.process.returncode}"
            self.absent = True
            return None
        return float(answer)

    def need(self, request):
        """Like ask(), for a program that must be able to run."""
        answer = self.ask(request)
        if answer is None:
            raise SystemExit(f"{self.command[0]}: {request}: {self.reason}")
        return answer

    def close(self):
        if self.process and not self.absent:
            self.process.stdin.close()
            self.process.wait()
            self.process = None


def threads_environment(threads):
    """What tells each library how many threads to use."""
    return {name: threads for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "BLIS_NUM_THREADS",
                                       "MKL_NUM_THREADS")}


def interleave(asks: dict[str, Callable[[], float]], rounds=ROUNDS):
    """Asks all in turn, `rounds` times after one that warms them, each time beginning with another one."""
    names = list(asks)
    samples = {name: [] for name in names}
    for turn in range(rounds + 1):
        for name in names[turn % len(names):] + names[:turn % len(names)]:
            value = asks[name]()
            time.sleep(CALM)
            if turn > 0 and value is not None:
                samples[name].append(value)
    return samples


def interval(reference, ours):
    """The ratio of the medians, and its 95 % interval by bootstrap over the rounds."""
    def ratio(turns):
        return statistics.median(reference[t] for t in turns) / statistics.median(ours[t] for t in turns)

    turns = range(min(len(reference), len(ours)))
    dice = random.Random(1)
    ratios = sorted(ratio(dice.choices(turns, k=len(turns))) for _ in range(2000))
    return ratio(turns), ratios[49], ratios[1949]


@dataclasses.dataclass
class Row:
    """One case: costs of ours and of the peers, in rounds. The ratio is the cheapest peer's cost over ours."""
    case: str
    ours: list
    peers: dict  # name: costs in rounds, empty where the peer is absent
    unit: str = "ms"
    goal: float = None
    limit: list = None  # the cost that the machine's peak or bandwidth sets, in the same rounds
    is_reference: bool = True  # whether it counts in geomean and worst: not for fractions of limits and the like

    def __post_init__(self):
        present = [costs for costs in self.peers.values() if costs]
        self.measured = bool(present and self.ours)
        self.ratio = self.low = self.high = self.fraction = None
        if self.measured:
            reference = min(present, key=statistics.median)
            self.ratio, self.low, self.high = interval(reference, self.ours)
        if self.limit and self.ours:
            self.fraction = statistics.median(self.limit) / statistics.median(self.ours)

    @property
    def verdict(self):
        if not self.measured:
            return "skipped"
        if self.goal is None:
            return "-"
        return "pass" if self.high >= self.goal else "FAIL"
