"""The picture of the area gemm: GFLOP/s over the size of squares, and the fraction of the FMA peak of every other shape."""
import math
import re
import statistics

from plot import Drawing

# Okabe and Ito's colours, which differ for every kind of sight, and a mark each.
LOOKS = {"ours": ("#d55e00", "circle"), "aocl": ("#0072b2", "square"), "openblas": ("#009e73", "up"),
         "openblas-debian": ("#56b4e9", "down"), "blis-debian": ("#e69f00", "diamond"), "mkl": ("#cc79a7", "cross"),
         "before": ("#848d97", "diamond")}

LEFT, PANEL, GAP, TOP, HEIGHT, STEP = 180, 430, 60, 84, 300, 16


class Case:
    """A row against the libraries, in GFLOP/s."""

    def __init__(self, row):
        name, self.threads = re.fullmatch(r"(.*)/t(\d+)", row.case).groups()
        transposes, sizes = name.split("-")
        self.sizes = [int(size) for size in sizes.split("x")]
        self.label = f"{transposes} {' × '.join(map(str, self.sizes))}"
        self.is_square = transposes == "NN" and len(set(self.sizes)) == 1
        work = 2e-9 * math.prod(self.sizes)
        self.peak = work / statistics.median(row.limit)
        self.rates = {name: work / statistics.median(costs)
                      for name, costs in {"ours": row.ours, **row.peers}.items() if costs}


def legend(drawing, x, y, names):
    for name in names:
        colour, shape = LOOKS[name]
        drawing.line((x, y), (x + 24, y), style=f"stroke: {colour}; stroke-width: {3 if name == 'ours' else 1.5}")
        drawing.mark(x + 12, y, shape, 4, colour)
        label = "Gemel" if name == "ours" else name
        drawing.text(x + 30, y + 4, label)
        x += 60 + 7 * len(label)


def squares(drawing, left, cases):
    peak = statistics.median(case.peak for case in cases)
    sizes = [case.sizes[0] for case in cases]
    lowest, highest = math.log2(min(sizes)), math.log2(max(sizes))
    top = 1.08 * max(peak, *(rate for case in cases for rate in case.rates.values()))

    def x(size):
        return left + PANEL * (math.log2(size) - lowest) / ((highest - lowest) or 1)

    def y(rate):
        return TOP + HEIGHT * (1 - rate / top)

    step = 50 if top > 150 else 25 if top > 60 else 10
    for rate in range(0, int(top), step):
        drawing.line((left, y(rate)), (left + PANEL, y(rate)), kind="grid" if rate else "axis")
        drawing.text(left - 8, y(rate) + 4, str(rate), "end")
    for power in range(math.ceil(lowest), math.floor(highest) + 1, 2):
        drawing.line((x(2**power), TOP), (x(2**power), TOP + HEIGHT))
        drawing.text(x(2**power), TOP + HEIGHT + 16, str(2**power), "middle")
    drawing.line((left, y(peak)), (left + PANEL, y(peak)), kind="axis", style="stroke-dasharray: 6 4")
    drawing.text(left + 4, y(peak) - 5, f"FMA peak {peak:.0f}")
    for name, (colour, shape) in reversed(LOOKS.items()):
        points = [(x(case.sizes[0]), y(case.rates[name])) for case in cases if name in case.rates]
        if points:
            drawing.line(*points, style=f"stroke: {colour}; stroke-width: {3 if name == 'ours' else 1.5}; fill: none")
        for point in points:
            drawing.mark(*point, shape, 4 if name == "ours" else 3, colour)


def fractions(drawing, left, top, cases, labels):
    bottom = top + STEP * len(labels)
    most = max(1.0, *(rate / case.peak for case in cases for rate in case.rates.values()))

    def x(fraction):
        return left + PANEL * fraction / most

    for tenths in range(0, 11, 2):
        drawing.line((x(tenths / 10), top), (x(tenths / 10), bottom), kind="axis" if tenths in (0, 10) else "grid")
        drawing.text(x(tenths / 10), bottom + 16, f"{tenths / 10:g}", "middle")
    for case in cases:
        y = top + STEP * (labels.index(case.label) + 0.5)
        drawing.line((x(0), y), (x(1), y))
        for name, (colour, shape) in reversed(LOOKS.items()):
            if name in case.rates:
                drawing.mark(x(case.rates[name] / case.peak), y, shape, 5 if name == "ours" else 3.2, colour)


def write(path, rows):
    cases = [Case(row) for row in rows if row.measured and row.is_reference and row.limit]
    threads = sorted({case.threads for case in cases})
    labels = list(dict.fromkeys(case.label for case in cases if not case.is_square))
    dots = TOP + HEIGHT + 70 if any(case.is_square for case in cases) else TOP + 20
    drawing = Drawing(LEFT + len(threads) * (PANEL + GAP), dots + STEP * len(labels) + 40,
                      "Matrix products in float32 (greater is better)")
    legend(drawing, LEFT, 46, [name for name in LOOKS if any(name in case.rates for case in cases)])
    for i, count in enumerate(threads):
        left, of_count = LEFT + i * (PANEL + GAP), [case for case in cases if case.threads == count]
        heading = f"{count} thread{'s' if count != '1' else ''}"
        small, large = ([case for case in of_count if case.is_square == is_square] for is_square in (True, False))
        if small:
            drawing.text(left, TOP - 10, f"n × n × n, {heading}: GFLOP/s over n", kind="heading")
            squares(drawing, left, small)
        if large:
            drawing.text(left, dots - 10, f"m × n × k, {heading}: fraction of the FMA peak", kind="heading")
            fractions(drawing, left, dots, large, labels)
    for i, label in enumerate(labels):
        drawing.text(LEFT - 8, dots + STEP * (i + 0.5) + 4, label, "end")
    drawing.save(path)
