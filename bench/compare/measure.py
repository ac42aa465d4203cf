"""What is wanted, interleaved rounds, and what is concluded from them."""
import dataclasses
import os
import pathlib
import random
import re
import statistics
import time
from typing import Callable

ROUNDS = 9
# Where a round takes longer than these seconds, five must do.
LONG_ROUND, FEWER_ROUNDS = 8.0, 5


@dataclasses.dataclass
class Selection:
    """Which cases of an area are wanted."""
    quick: bool = False
    only: str = ""  # regular expression that is searched in the case's name
    threads: int = None
    against: pathlib.Path = None  # build folder of another Gemel, which takes the place of the peers

    @property
    def complete(self):
        return not (self.quick or self.only or self.threads or self.against)

    def wants(self, case):
        return bool(re.search(self.only, case))

    def thread_counts(self, *default):
        """The numbers of threads to measure; every processor without a default."""
        return (self.threads,) if self.threads else default or (len(os.sched_getaffinity(0)),)


def await_calm(until):
    """Waits as long as another program computes, at most until then. The peers are stopped at such times."""
    while time.monotonic() < until:
        running = pathlib.Path("/proc/loadavg").read_text(encoding="utf-8").split()[3].split("/")[0]
        if int(running) <= 1:  # this one
            return
        time.sleep(0.002)


def interleave(asks: dict[str, Callable[[], float]], rounds=ROUNDS, patience=3.0):
    """Asks all, each time in another order, `rounds` times after one that warms them; waits for a calm machine before each
    measurement, `patience` seconds in all."""
    samples = {name: [] for name in asks}
    dice = random.Random(1)
    turn, began = 0, time.monotonic()
    while turn <= rounds:
        for name in dice.sample(list(asks), len(asks)):
            waiting = time.monotonic()
            await_calm(waiting + patience)
            patience -= time.monotonic() - waiting
            value = asks[name]()
            if turn > 0 and value is not None:
                samples[name].append(value)
        turn += 1
        if turn == 2 and time.monotonic() - began > 2 * LONG_ROUND:
            rounds = min(rounds, FEWER_ROUNDS)
    return samples


def least_seconds(work, peak, request):
    """What a peak allows, asked of its program; None where that does not know it (no program for scalar code)."""
    rate = peak.ask(request)
    return rate and work / rate


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
    unit: str = "s"
    goal: float = None
    limit: list = None  # the cost that the machine's peak or bandwidth sets, in the same rounds
    is_reference: bool = True  # whether it counts in the means and the worst: not for fractions of limits and the like

    def __post_init__(self):
        present = {name: costs for name, costs in self.peers.items() if costs}
        self.measured = bool(present and self.ours)
        self.best = self.ratio = self.low = self.high = self.fraction = None
        if self.measured:
            self.best = min(present, key=lambda name: statistics.median(present[name]))
            self.ratio, self.low, self.high = interval(present[self.best], self.ours)
        if self.limit and self.ours:
            self.fraction = statistics.median(self.limit) / statistics.median(self.ours)

    def ratio_to(self, peer):
        """None where that peer is absent."""
        costs = self.peers.get(peer)
        return statistics.median(costs) / statistics.median(self.ours) if costs and self.ours else None

    @property
    def verdict(self):
        if not self.measured:
            return "skipped"
        if self.goal is None:
            return "-"
        return "pass" if self.high >= self.goal else "FAIL"
