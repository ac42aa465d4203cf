"""The picture of the area barlow: time and memory of forward and backward over the columns, at 256 rows."""
import math
import re
import statistics

from plot import Drawing

ROWS = 256

# Okabe and Ito's colours, which differ for every kind of sight, a mark and a label each.
LOOKS = {"ours": ("#d55e00", "circle", "Gemel"), "torch": ("#0072b2", "square", "PyTorch, usual code"),
         "torch-compiled": ("#56b4e9", "down", "PyTorch, usual code compiled"),
         "torch-dual": ("#009e73", "up", "PyTorch, dual form by hand"),
         "torch-dual-compiled": ("#e69f00", "cross", "PyTorch, dual form by hand compiled"),
         "naive-openblas": ("#cc79a7", "diamond", "the formula on OpenBLAS"), "before": ("#848d97", "diamond", "before")}

LEFT, PANEL, GAP, TOP, HEIGHT = 70, 380, 90, 100, 320

TIMES = [(1e-6, "1 µs"), (1e-5, "10 µs"), (1e-4, "100 µs"), (1e-3, "1 ms"), (1e-2, "10 ms"), (0.1, "100 ms"), (1, "1 s"),
         (10, "10 s")]
SIZES = [(1e5, "100 kB"), (1e6, "1 MB"), (1e7, "10 MB"), (1e8, "100 MB"), (1e9, "1 GB"), (1e10, "10 GB")]


def curves(rows, kind):
    """Of each program the points (columns, cost), where both are logarithms."""
    points = {}
    for row in rows:
        found = re.fullmatch(rf"{kind}-{ROWS}x(\d+)/t\d+", row.case)
        if found:
            for name, costs in {"ours": row.ours, **row.peers}.items():
                if costs:
                    points.setdefault(name, []).append((math.log(int(found[1])), math.log(statistics.median(costs))))
    return {name: sorted(line) for name, line in points.items()}


def panel(drawing, left, heading, lines, ticks):
    values = [point for line in lines.values() for point in line]
    first, last = min(p[0] for p in values), max(p[0] for p in values)
    least, most = min(p[1] for p in values) - 0.3, max(p[1] for p in values) + 0.3

    def place(point):
        return (left + PANEL * (point[0] - first) / ((last - first) or 1),
                TOP + HEIGHT * (most - point[1]) / (most - least))

    drawing.text(left, TOP - 10, heading, kind="heading")
    for value, label in ticks:
        if least <= math.log(value) <= most:
            y = place((first, math.log(value)))[1]
            drawing.line((left, y), (left + PANEL, y))
            drawing.text(left - 8, y + 4, label, "end")
    for cols in sorted({p[0] for p in values}):
        x = place((cols, least))[0]
        drawing.line((x, TOP), (x, TOP + HEIGHT))
        drawing.text(x, TOP + HEIGHT + 16, f"{math.exp(cols):.0f}", "middle")
    drawing.line((left, TOP + HEIGHT), (left + PANEL, TOP + HEIGHT), kind="axis")
    for name, (colour, shape, _) in reversed(LOOKS.items()):
        points = [place(point) for point in lines.get(name, ())]
        if len(points) > 1:
            drawing.line(*points, style=f"stroke: {colour}; stroke-width: {3 if name == 'ours' else 1.5}; fill: none")
        for x, y in points:
            drawing.mark(x, y, shape, 4 if name == "ours" else 3.2, colour)


def write(path, rows):
    panels = [(f"time over D, N = {ROWS}", curves(rows, "loss"), TIMES),
              (f"memory beyond inputs and gradients over D, N = {ROWS}", curves(rows, "memory"), SIZES)]
    panels = [entry for entry in panels if entry[1]]
    drawing = Drawing(LEFT + len(panels) * (PANEL + GAP), TOP + HEIGHT + 36,
                      "Barlow Twins loss, forward and backward (less is better)")
    x = 12
    for name, (colour, shape, label) in LOOKS.items():
        if any(name in lines for _, lines, _ in panels):
            drawing.line((x, 52), (x + 24, 52), style=f"stroke: {colour}; stroke-width: {3 if name == 'ours' else 1.5}")
            drawing.mark(x + 12, 52, shape, 4, colour)
            drawing.text(x + 30, 56, label)
            x += 60 + 7 * len(label)
    for i, (heading, lines, ticks) in enumerate(panels):
        panel(drawing, LEFT + i * (PANEL + GAP), heading, lines, ticks)
    drawing.save(path)
