"""Rows as lines, as CSV and as a picture."""
import csv
import math
import statistics


SCALES = {"s": [(1, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")], "B": [(1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B")]}


def cost(costs, unit):
    """The median with a unit of readable size: "12.3 us", "4.4 MB", "120 us/image"."""
    if not costs:
        return "skipped"
    value, (base, slash, per) = statistics.median(costs), unit.partition("/")
    scale, name = next((pair for pair in SCALES.get(base, ()) if value >= pair[0]), (1, base))
    return f"{value / scale:.4g} {name}{slash}{per}"


def number(value, digits=2):
    return "-" if value is None else f"{value:.{digits}f}"


class Table:
    """Rows as lines under a heading."""
    columns = "{:36} {:>10}  {:28} {:{}} {:>6} {:>14} {:>8} {:>5} {}"

    def __init__(self):
        self.width = None  # of the column that differs between areas

    def lines(self, row):
        """The row's line, after the heading if it is the first."""
        others = "  ".join(f"{name} {number(row.ratio_to(name)) if costs else 'skipped'}"
                           for name, costs in row.peers.items() if name != row.best)
        if self.width is None:
            self.width = len(others) + 8 if others else 0
            yield self.columns.format("case", "ours", "best peer", "ratios to the others" if others else "", self.width,
                                      "ratio", "95 % interval", "of limit", "goal", "")
        best = f"{row.best} {cost(row.peers[row.best], row.unit)}" if row.best else "-"
        within = "-" if row.ratio is None else f"[{row.low:.2f}, {row.high:.2f}]"
        yield self.columns.format(row.case, cost(row.ours, row.unit), best, others, self.width, number(row.ratio), within,
                                  number(row.fraction), number(row.goal), row.verdict)


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))


class Closing:
    """What follows from all rows: means, the worst, and how many goals are reached."""

    def __init__(self, rows, mean_goals):
        measured = [row for row in rows if row.measured]
        compared = [row for row in measured if row.is_reference]
        self.goals = [row.verdict == "pass" for row in measured if row.goal is not None]
        self.means, self.mean_goals = {}, mean_goals
        self.worst = min(compared, key=lambda row: row.ratio, default=None)
        if compared:
            self.means["geomean"] = geometric_mean([row.ratio for row in compared])
        for peer in dict.fromkeys(name for row in compared for name in row.peers):
            ratios = [row.ratio_to(peer) for row in compared if row.peers.get(peer)]
            if ratios:
                self.means[f"to {peer}"] = geometric_mean(ratios)
        self.goals += [self.means[name] >= goal for name, goal in mean_goals.items() if name in self.means]
        self.succeeded = bool(measured) and all(self.goals)

    def lines(self):
        for name, mean in self.means.items():
            goal = self.mean_goals.get(name)
            verdict = "" if goal is None else f" (goal {goal:.2f}: {'pass' if mean >= goal else 'FAIL'})"
            yield f"{name} {mean:.3f}{verdict}"
        if self.worst:
            yield f"worst {self.worst.ratio:.3f} {self.worst.case}"
        yield f"goals {sum(self.goals)}/{len(self.goals)}"


def write_csv(path, rows, facts):
    """facts: pairs of a name and a text, which become comments before the heading."""
    peers = list(dict.fromkeys(name for row in rows for name in row.peers))
    with open(path, "w", newline="", encoding="utf-8") as file:
        file.writelines(f"# {name}: {text}\n" for name, text in facts)
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["case", "unit", "ours", *peers, "ratio", "low", "high", "fraction-of-limit", "goal", "verdict"])
        for row in rows:
            costs = [row.peers.get(name) for name in peers]
            out.writerow([row.case, row.unit, *(statistics.median(c) if c else "" for c in (row.ours, *costs)),
                          *("" if v is None else f"{v:.4f}" for v in (row.ratio, row.low, row.high, row.fraction)),
                          "" if row.goal is None else row.goal, row.verdict])
