#!/usr/bin/env python3
"""Takes pictures out of a run's report, as files that stand alone: report_pictures.py REPORT.html FOLDER

Charts and the map become SVG with their key inside, nearest neighbours a PNG.
"""
import base64
import html
import pathlib
import re
import sys

# File name and what stands before the picture in the report.
CHARTS = {"loss.svg": "<figcaption>Loss and its two terms", "rank.svg": "<figcaption>Effective rank",
          "map.svg": "<h2>The features in the plane</h2>"}
SHEET, BEFORE_SHEET = "neighbours.png", "<h2>Nearest neighbours</h2>"
KEY_HEIGHT, LETTER = 26, 7.2  # of one line of the key; rough width of a letter in pixels
RULES = re.compile(r"^(?:svg text|svg \.|\.map path)")
OWN_RULES = "svg{font-family:sans-serif}svg .key{font-size:13px}svg .card{fill:var(--card)}"


def style_of(page):
    """The rules that the pictures need, with the report's colours in place of its variables, which not every program knows."""
    rules = re.search(r"<style>\n(.*?)</style>", page, re.DOTALL).group(1).splitlines()
    light, dark = (dict(re.findall(r"--(\w+):([^;}]+)", rule)) for rule in rules[:2])
    kept = "\n".join([*(rule for rule in rules if RULES.match(rule)), OWN_RULES])

    def coloured(colours):
        return re.sub(r"var\(--(\w+)\)", lambda found: colours[found.group(1)], kept)

    return f"{coloured(light)}\n@media(prefers-color-scheme:dark){{{coloured(dark)}}}"


def key_of(part, width):
    """Marks and words in lines, and their height."""
    found = re.search(r'<p class="key">(.*?)</p>', part, re.DOTALL)
    x, y, drawn = 8.0, 18, []
    for mark, words in re.findall(r"<span><i ([^>]*)></i>(.*?)</span>", found.group(1) if found else "", re.DOTALL):
        text = html.unescape(re.sub(r"<.*?>", "", words)).strip()
        if x + 22 + LETTER * len(text) > width:
            x, y = 8.0, y + KEY_HEIGHT - 6
        stroke = mark.replace("background", "stroke") if "background" in mark else mark
        drawn.append(f'<path {stroke} stroke-width="4" d="M{x:.0f} {y - 4}h14"/>'
                     f'<text class="key" x="{x + 20:.0f}" y="{y}">{html.escape(text)}</text>')
        x += 40 + LETTER * len(text)
    return "\n".join(drawn), y + 10 if drawn else 0


def chart(page, marker):
    part = page[page.index(marker):]
    attributes, width, height, body = re.search(r'<svg ([^>]*viewBox="0 0 (\S+) (\S+)"[^>]*)>(.*?)</svg>', part,
                                                re.DOTALL).groups()
    name = "map" if 'class="map"' in attributes else "chart"
    key, top = key_of(part[:part.index("<svg")], float(width))
    total = float(height) + top
    return (f'<svg xmlns="http://www.w3.org/2000/svg" class="{name}" viewBox="0 0 {width} {total:g}" width="{width}" '
            f'height="{total:g}">\n<style>{style_of(page)}</style>\n<rect class="card" width="100%" height="100%"/>\n{key}\n'
            f'<g transform="translate(0 {top})">{body}</g>\n</svg>\n')


def main(report, folder):
    page = pathlib.Path(report).read_text(encoding="utf-8")
    for name, marker in CHARTS.items():
        pathlib.Path(folder, name).write_text(chart(page, marker), encoding="utf-8")
    sheet = re.search(r'href="data:image/png;base64,([^"]*)"', page[page.index(BEFORE_SHEET):]).group(1)
    pathlib.Path(folder, SHEET).write_bytes(base64.b64decode(sheet))


if __name__ == "__main__":
    main(*sys.argv[1:])
