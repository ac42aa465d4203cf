"""Pairs Gemel with what a user would run instead; called by compare.sh, which builds the programs first."""
import argparse
import importlib
import pathlib
import signal
import sys

import facts
import plot
import report
from measure import Selection

AREAS = ("gemm", "barlow", "normalization", "conv", "resnet", "inference", "train-mlp", "train-conv", "augment", "parity")


def parse():
    parser = argparse.ArgumentParser(prog="compare.sh", description=__doc__)
    parser.add_argument("area", choices=AREAS)
    parser.add_argument("--quick", action="store_true", help="fewer cases")
    parser.add_argument("--only", default="", metavar="REGEX", help="cases whose name contains a match")
    parser.add_argument("--threads", type=int, metavar="N", help="cases with that number of threads")
    parser.add_argument("--against", type=pathlib.Path, metavar="BUILD", help="another build of Gemel instead of the peers")
    parser.add_argument("--csv", metavar="FILE", help="also write the rows as CSV")
    parser.add_argument("--plot", metavar="FILE.svg", help="also draw a picture")
    return parser.parse_args()


def main():
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    area = importlib.import_module(options.area.replace("-", "_"))
    selection = Selection(options.quick, options.only, options.threads, options.against)
    for note in area.notes(selection) if hasattr(area, "notes") else ():
        print(note, flush=True)
    rows, table = [], report.Table()
    for row in area.rows(selection):
        rows.append(row)
        for text in table.lines(row):
            print(text, flush=True)
    if options.csv:
        report.write_csv(options.csv, rows, facts.facts(options.area))
    if options.plot:
        if hasattr(area, "draw"):
            area.draw(options.plot, rows)
        else:
            plot.write_ratios(options.plot, rows, f"{options.area}: times cheaper than the best peer")
    closing = report.Closing(rows, getattr(area, "MEAN_GOALS", {}) if selection.complete else {})
    for text in closing.lines():
        print(text)
    return 0 if closing.succeeded else 1


if __name__ == "__main__":
    sys.exit(main())
