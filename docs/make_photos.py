#!/usr/bin/env python3
"""Invents photographs for trying things out: make_photos.py FOLDER [COUNT] [--flat]

Landscapes of five kinds as PNG files, each kind in a folder of its own, or with --flat all in one. No two are alike, and equal
counts give equal files. Needs nothing but Python.
"""
import argparse
import math
import pathlib
import random
import struct
import zlib



class Picture:
    """Rows of RGB bytes, painted from the back to the front."""

    def __init__(self, width, height):
        self.width, self.height = width, height
        self.rows = [bytearray(3 * width) for _ in range(height)]

    def paint(self, x, y, color):
        if 0 <= x < self.width and 0 <= y < self.height:
            self.rows[y][3 * x:3 * x + 3] = bytes(color)

    def sky(self, top, bottom):
        for y, row in enumerate(self.rows):
            row[:] = bytes(mixed(top, bottom, y / self.height)) * self.width

    def below(self, outline, color, darker=0.4):
        """Everything under a line of heights, darker towards the ground."""
        for y, row in enumerate(self.rows):
            shade = bytes(mixed(color, (0, 0, 0), darker * y / self.height))
            for x, top in enumerate(outline):
                if y >= top:
                    row[3 * x:3 * x + 3] = shade

    def disc(self, cx, cy, radius, color):
        for y in range(int(cy - radius), int(cy + radius) + 1):
            half = math.sqrt(max(0.0, radius**2 - (y - cy)**2))
            for x in range(int(cx - half), int(cx + half) + 1):
                self.paint(x, y, color)

    def tree(self, x, foot, size, color):
        for step in range(size):
            for dx in range(-step // 3, step // 3 + 1):
                self.paint(x + dx, foot - size + step, color)

    def grain(self, dice, strength):
        """The noise of a camera."""
        table = bytes(dice.randrange(2 * strength + 1) for _ in range(4093))
        for y, row in enumerate(self.rows):
            shift = dice.randrange(4093 - 1024)
            noise = table[shift:shift + 1024]
            self.rows[y] = bytearray(min(255, max(0, value + noise[i & 1023] - strength)) for i, value in enumerate(row))

    def png(self):
        def chunk(kind, body):
            return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

        lines = b"".join(b"\0" + bytes(row) for row in self.rows)
        header = struct.pack(">2I5B", self.width, self.height, 8, 2, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def mixed(a, b, share):
    return tuple(int(p + (q - p) * min(1.0, max(0.0, share))) for p, q in zip(a, b))


def varied(dice, color, by=28):
    return tuple(min(255, max(0, level + dice.randint(-by, by))) for level in color)


def waves(dice, width, base, height, lengths):
    """A line of hills: a sum of waves."""
    parts = [(height * dice.uniform(0.4, 1) / n, dice.uniform(0.7, 1.4) * n * 2 * math.pi / width, dice.uniform(0, 6))
             for n in lengths]
    return [base + sum(a * math.sin(f * x + p) for a, f, p in parts) for x in range(width)]


def beach(picture, dice):
    picture.sky(varied(dice, (90, 160, 230)), varied(dice, (215, 230, 240)))
    horizon, shore = int(picture.height * dice.uniform(0.35, 0.5)), picture.height * dice.uniform(0.65, 0.8)
    picture.below([horizon] * picture.width, varied(dice, (30, 120, 160)))
    for _ in range(40):
        x, y = dice.randrange(picture.width), dice.randrange(horizon, picture.height)
        for dx in range(dice.randint(4, 14)):
            picture.paint(x + dx, y, (190, 220, 225))
    picture.below(waves(dice, picture.width, shore, 6, (1, 2)), varied(dice, (225, 200, 150)), 0.15)


def desert(picture, dice):
    picture.sky(varied(dice, (240, 170, 90)), varied(dice, (255, 225, 170)))
    picture.disc(dice.uniform(0.1, 0.9) * picture.width, dice.uniform(0.15, 0.4) * picture.height, dice.uniform(5, 11),
                 (255, 245, 200))
    for base, color in ((0.5, (205, 140, 80)), (0.65, (190, 115, 60)), (0.8, (165, 95, 50))):
        picture.below(waves(dice, picture.width, base * picture.height, 9, (1, 1.7)), varied(dice, color, 15))


def forest(picture, dice):
    picture.sky(varied(dice, (170, 200, 220)), varied(dice, (225, 230, 215)))
    hills = waves(dice, picture.width, dice.uniform(0.5, 0.65) * picture.height, 6, (1, 2))
    picture.below(hills, varied(dice, (70, 120, 60)))
    for _ in range(dice.randint(14, 26)):
        x = dice.randrange(picture.width)
        foot = int(dice.uniform(hills[x], picture.height))
        picture.tree(x, foot, dice.randint(14, 30), varied(dice, (25, 75, 40), 18))


def mountains(picture, dice):
    picture.sky(varied(dice, (110, 160, 215)), varied(dice, (230, 235, 240)))
    peak, slope = dice.uniform(0.3, 0.7) * picture.width, dice.uniform(0.6, 1.1)
    rough = waves(dice, picture.width, 0.2 * picture.height, 3, (5, 9, 14))
    ridge = [y + slope * abs(x - peak) * (0.8 if x < peak else 1.1) for x, y in enumerate(rough)]
    picture.below(ridge, varied(dice, (235, 238, 245), 10), 0.1)
    picture.below([y + 12 + 0.25 * abs(x - peak) for x, y in enumerate(ridge)], varied(dice, (105, 105, 120)))
    picture.below(waves(dice, picture.width, 0.82 * picture.height, 4, (1, 3)), varied(dice, (80, 115, 70)))


def night(picture, dice):
    picture.sky(varied(dice, (10, 15, 45), 10), varied(dice, (45, 50, 95), 15))
    for _ in range(60):
        picture.paint(dice.randrange(picture.width), dice.randrange(picture.height), varied(dice, (220, 220, 230)))
    picture.disc(dice.uniform(0.15, 0.85) * picture.width, dice.uniform(0.15, 0.4) * picture.height, dice.uniform(5, 9),
                 (245, 240, 210))
    picture.below(waves(dice, picture.width, dice.uniform(0.6, 0.8) * picture.height, 7, (1, 2, 3)),
                  varied(dice, (12, 18, 22), 8))


PAINTERS = {"beach": beach, "desert": desert, "forest": forest, "mountains": mountains, "night": night}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("count", type=int, nargs="?", default=600)
    parser.add_argument("--flat", action="store_true", help="all in one folder, without classes")
    options = parser.parse_args()
    for i in range(options.count):
        kind, dice = list(PAINTERS)[i % len(PAINTERS)], random.Random(i)
        picture = Picture(dice.randint(96, 160), dice.randint(80, 120))
        PAINTERS[kind](picture, dice)
        picture.grain(dice, 4)
        folder = options.folder if options.flat else options.folder / kind
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i:04}.png").write_bytes(picture.png())


if __name__ == "__main__":
    main()
