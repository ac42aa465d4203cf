"""Pictures as SVG, readable on light and dark backgrounds: a drawing, and bars of ratios for any area."""
import math
import xml.sax.saxutils

STYLE = """
text { font-family: sans-serif; font-size: 12px; fill: #24292f }
.title { font-size: 15px; font-weight: bold }
.heading { font-weight: bold }
.paper { fill: #ffffff }
.grid { stroke: #d8dee4; fill: none }
.axis { stroke: #57606a; fill: none }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.paper { fill: #0d1117 }
.grid { stroke: #30363d }
.axis { stroke: #9198a1 }
}
"""


class Drawing:
    def __init__(self, width, height, title):
        self.parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
                      f'viewBox="0 0 {width} {height}">', f"<style>{STYLE}</style>",
                      '<rect class="paper" width="100%" height="100%"/>']
        self.text(12, 24, title, kind="title")

    def text(self, x, y, text, anchor="start", kind=""):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">'
                          f"{xml.sax.saxutils.escape(text)}</text>")

    def line(self, *points, kind="grid", style=""):
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        self.parts.append(f'<path d="M{path}" class="{kind}" style="{style}"/>')

    def bar(self, x1, x2, y, height, colour):
        left, width = min(x1, x2), abs(x2 - x1)
        self.parts.append(f'<rect x="{left:.1f}" y="{y - height / 2:.1f}" width="{width:.1f}" height="{height}" '
                          f'fill="{colour}"/>')

    def mark(self, x, y, shape, size, colour):
        """A circle, square, diamond, up or down triangle, or cross of about the same area."""
        s = size
        corners = {"square": [(-s, -s), (s, -s), (s, s), (-s, s)], "up": [(-1.2 * s, s), (1.2 * s, s), (0, -1.2 * s)],
                   "diamond": [(0, -1.4 * s), (1.4 * s, 0), (0, 1.4 * s), (-1.4 * s, 0)],
                   "down": [(-1.2 * s, -s), (1.2 * s, -s), (0, 1.2 * s)]}
        if shape == "circle":
            self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{1.15 * s:.1f}" fill="{colour}"/>')
        elif shape == "cross":
            self.parts.append(f'<path d="M{x - s:.1f} {y - s:.1f}l{2 * s} {2 * s}m0 {-2 * s}l{-2 * s} {2 * s}" '
                              f'stroke="{colour}" stroke-width="2" fill="none"/>')
        else:
            path = "L".join(f"{x + dx:.1f} {y + dy:.1f}" for dx, dy in corners[shape])
            self.parts.append(f'<path d="M{path}Z" fill="{colour}"/>')

    def save(self, path):
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join([*self.parts, "</svg>\n"]))


def write_ratios(path, rows, title):
    """One bar a row, on a logarithmic axis that starts at equality; a whisker for the interval, a tick for the goal."""
    rows = [row for row in rows if row.measured]
    values = [v for row in rows for v in (row.low, row.high, row.goal or row.ratio)]
    least, most = min(0.5, *values), max(2.0, *values)
    left, width, step, top = 250, 520, 20, 50
    bottom = top + step * len(rows)
    drawing = Drawing(left + width + 70, bottom + 40, title)

    def x(value):
        return left + width * math.log(value / least) / math.log(most / least)

    powers = range(math.ceil(math.log2(least)), math.floor(math.log2(most)) + 1)
    for power in powers[::1 + len(powers) // 12]:
        drawing.line((x(2.0**power), top), (x(2.0**power), bottom))
        drawing.text(x(2.0**power), bottom + 16, f"{2.0**power:g}", "middle")
    drawing.line((x(1), top), (x(1), bottom), kind="axis")
    for i, row in enumerate(rows):
        y = top + step * (i + 0.5)
        drawing.text(left - 8, y + 4, row.case, "end")
        drawing.bar(x(1.0), x(row.ratio), y, 12, {"FAIL": "#d55e00", "pass": "#009e73"}.get(row.verdict, "#56b4e9"))
        drawing.line((x(row.low), y), (x(row.high), y), kind="axis")
        drawing.text(left + width + 8, y + 4, f"{row.ratio:.2f}")
        if row.goal:
            drawing.line((x(row.goal), y - 9), (x(row.goal), y + 9), kind="axis")
    drawing.save(path)
