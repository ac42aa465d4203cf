"""The picture of sweep.py's file: accuracy over the learning rate for each batch size, and over lambda for each width of the
embedding. Usage: sweep_plot.py FILE.csv FILE.svg"""
import csv
import math
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench" / "compare"))
from plot import Drawing

from sweep import BATCHES, EMBEDDINGS, SETTINGS

LOOKS = [("#d55e00", "circle"), ("#0072b2", "square"), ("#009e73", "up")]
LEFT, WIDTH, GAP, TOP, HEIGHT = 60, 330, 70, 80, 170
PANELS = [(BATCHES, "learning_rate", "batch_size", "batch", "learning rate of Adam"),
          (EMBEDDINGS, "lambd", "projection_dim", "D", "lambda")]


def lines(rows, cells, x, group, measure):
    points = {}
    for cell in dict.fromkeys(cells):
        row = rows.get(cell)
        if row:
            points.setdefault(row[group], []).append((math.log(row[x]), row[measure]))
    return {name: sorted(line) for name, line in sorted(points.items())}


def panel(drawing, left, top, curves, x_label, span):
    xs = [x for line in curves.values() for x, _ in line]
    first, last = min(xs), max(xs)
    least, most = span

    def place(x, y):
        return left + 15 + (WIDTH - 30) * (x - first) / (last - first), top + HEIGHT * (most - y) / (most - least)

    for hundredth in range(math.ceil(100 * least), math.floor(100 * most) + 1):
        y = place(first, hundredth / 100)[1]
        drawing.line((left, y), (left + WIDTH, y))
        drawing.text(left - 8, y + 4, f"{hundredth / 100:.2f}", "end")
    for x in sorted(set(xs)):
        drawing.text(place(x, least)[0], top + HEIGHT + 16, f"{math.exp(x):.4g}", "middle")
    drawing.text(left + WIDTH / 2, top + HEIGHT + 34, x_label, "middle")
    drawing.line((left, top + HEIGHT), (left + WIDTH, top + HEIGHT), kind="axis")
    for (colour, shape), line in zip(LOOKS, curves.values()):
        points = [place(*point) for point in line]
        drawing.line(*points, style=f"stroke: {colour}; stroke-width: 2; fill: none")
        for x, y in points:
            drawing.mark(x, y, shape, 4, colour)


def main(source, target):
    with open(source, newline="", encoding="utf-8") as file:
        table = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    rows = {tuple(row[name] for name in SETTINGS): row for row in table}
    drawing = Drawing(2 * (LEFT + WIDTH) + GAP - 30, 2 * (TOP + HEIGHT) + 50,
                      "Fashion-MNIST, conv, 20,000 images three times: what batch, rate, D and lambda are worth")
    for i, (measure, label) in enumerate((("linear", "linear"), ("knn", "kNN"))):
        values = [row[measure] for row in table]
        span = min(values) - 0.003, max(values) + 0.003
        for j, (cells, x, group, name, x_label) in enumerate(PANELS):
            left, top = LEFT + j * (WIDTH + GAP), TOP + i * (HEIGHT + TOP)
            curves = lines(rows, cells, x, group, measure)
            panel(drawing, left, top, curves, x_label, span)
            drawing.text(left, top - 10, label, kind="heading")
            for k, (value, (colour, shape)) in enumerate(zip(curves, LOOKS)):
                drawing.mark(left + 70 + 85 * k, top - 14, shape, 4, colour)
                drawing.text(left + 80 + 85 * k, top - 10, f"{name} {value:g}")
    drawing.save(target)


if len(sys.argv) != 3:
    sys.exit(__doc__)
main(*sys.argv[1:])
