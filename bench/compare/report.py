"""Rows as lines, as CSV and as a picture."""
import csv
import math
import statistics
import xml.sax.saxutils


def cost(costs, unit):
    return f"{statistics.median(costs):.4g} {unit}" if costs else "skipped"


def number(value, digits=2):
    return "-" if value is None else f"{value:.{digits}f}"


HEADING = f"{'case':34} {'ours':>12} {'peers':40} {'ratio':>7} {'95 % interval':>16} {'of limit':>8} {'goal':>6}"


def line(row):
    peers = "  ".join(f"{name} {cost(costs, row.unit)}" for name, costs in row.peers.items())
    within = "-" if row.ratio is None else f"[{row.low:.2f}, {row.high:.2f}]"
    return (f"{row.case:34} {cost(row.ours, row.unit):>12} {peers:40} {number(row.ratio):>7} {within:>16} "
            f"{number(row.fraction):>8} {number(row.goal):>6} {row.verdict}")


def summary(rows):
    """The closing lines, and whether the comparison succeeded."""
    measured = [row for row in rows if row.measured]
    compared = [row for row in measured if row.is_reference]
    if compared:
        worst = min(compared, key=lambda row: row.ratio)
        yield f"geomean {math.exp(statistics.fmean(math.log(row.ratio) for row in compared)):.3f}"
        yield f"worst {worst.ratio:.3f} {worst.case}"
    aims = [row for row in measured if row.goal is not None]
    yield f"goals {sum(row.verdict == 'pass' for row in aims)}/{len(aims)}"


def succeeded(rows):
    return any(row.measured for row in rows) and all(row.verdict != "FAIL" for row in rows)


def write_csv(path, rows):
    peers = list(dict.fromkeys(name for row in rows for name in row.peers))
    with open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["case", "unit", "ours", *peers, "ratio", "low", "high", "fraction-of-limit", "goal", "verdict"])
        for row in rows:
            costs = [row.peers.get(name) for name in peers]
            out.writerow([row.case, row.unit, *(statistics.median(c) if c else "" for c in (row.ours, *costs)),
                          *("" if v is None else f"{v:.4f}" for v in (row.ratio, row.low, row.high, row.fraction)),
                          "" if row.goal is None else row.goal, row.verdict])


def write_svg(path, rows, title):
    """One bar a row, on a logarithmic axis that starts at equality; a whisker for the interval, a tick for the goal."""
    rows = [row for row in rows if row.measured]
    values = [v for row in rows for v in (row.low, row.high, row.goal or row.ratio)]
    least, most = min(0.5, *values), max(2.0, *values)
    left, width, step, top = 250, 520, 20, 50

    def x(value):
        return left + width * math.log(value / least) / math.log(most / least)

    def stroke(x1, y1, x2, y2, colour):
        return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{colour}"/>'

    bottom = top + step * len(rows)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 70}" height="{bottom + 40}" '
             'font-family="sans-serif" font-size="12">', '<rect width="100%" height="100%" fill="white"/>',
             f'<text x="10" y="24" font-size="15">{xml.sax.saxutils.escape(title)}</text>']
    for power in range(math.floor(math.log2(least)), math.ceil(math.log2(most)) + 1):
        if least <= 2.0**power <= most:
            parts += [stroke(x(2.0**power), top, x(2.0**power), bottom, "#ddd" if power else "#333"),
                      f'<text x="{x(2.0**power):.1f}" y="{bottom + 16}" text-anchor="middle">{2.0**power:g}</text>']
    for i, row in enumerate(rows):
        y = top + step * (i + 0.5)
        begin, end = sorted((x(1.0), x(row.ratio)))
        colour = {"FAIL": "#c0392b", "pass": "#27793f"}.get(row.verdict, "#4a7aa8")
        parts += [f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{xml.sax.saxutils.escape(row.case)}</text>',
                  f'<rect x="{begin:.1f}" y="{y - 6:.1f}" width="{end - begin:.1f}" height="12" fill="{colour}"/>',
                  stroke(x(row.low), y, x(row.high), y, "black"),
                  f'<text x="{left + width + 8}" y="{y + 4:.1f}">{row.ratio:.2f}</text>']
        if row.goal:
            parts.append(stroke(x(row.goal), y - 9, x(row.goal), y + 9, "black"))
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join([*parts, "</svg>\n"]))
