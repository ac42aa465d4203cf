"""Pairs Gemel with what a user would run instead; called by compare.sh, which builds the programs first."""
import argparse
import importlib
import sys

import report

AREAS = ("gemm", "barlow", "train-mlp")


def main():
    parser = argparse.ArgumentParser(prog="compare.sh", description=__doc__)
    parser.add_argument("area", choices=AREAS)
    parser.add_argument("--quick", action="store_true", help="fewer cases")
    parser.add_argument("--csv", metavar="FILE", help="also write the rows as CSV")
    parser.add_argument("--plot", metavar="FILE.svg", help="also draw the ratios")
    options = parser.parse_args()

    area = importlib.import_module(options.area.replace("-", "_"))
    rows = []
    print(report.HEADING)
    for row in area.rows(options.quick):
        rows.append(row)
        print(report.line(row), flush=True)
    if options.csv:
        report.write_csv(options.csv, rows)
    if options.plot:
        report.write_svg(options.plot, rows, f"{options.area}: times cheaper than the best peer")
    for closing in report.summary(rows):
        print(closing)
    return 0 if report.succeeded(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
