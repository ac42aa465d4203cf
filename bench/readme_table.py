#!/usr/bin/env python3
"""Writes the table of measurements between the two markers of README.md: bench/readme_table.py [--check]

The figures are those of bench/results/*.csv, which compare.sh --csv wrote; the words are those of LINES below. A line whose
case no file holds keeps the figures that README.md has. --check writes nothing and fails where README.md differs.
"""
import argparse
import csv
import dataclasses
import difflib
import math
import pathlib
import re
import sys
from typing import Callable

ROOT = pathlib.Path(__file__).resolve().parents[1]
README, RESULTS = ROOT / "README.md", ROOT / "bench/results"
BEGIN, END = "<!-- bench/readme_table.py: begin -->\n", "<!-- bench/readme_table.py: end -->\n"
HEADING = ["| what | Gemel | instead | ratio | repeat with |\n", "|---|---|---|---|---|\n"]
T = "t2"  # threads of the cases with as many as there are processors

UNITS = {"s": [(1, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")], "B": [(1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B")]}
# How texts call the isa and the peers of the files' comments.
NAMES = {"avx512": "AVX-512", "avx2": "AVX2", "neon": "NEON", "torch": "PyTorch", "pillow": "Pillow",
         "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "mkl": "MKL", "scipy-openblas32": "OpenBLAS",
         "aoclda": "AOCL", "libopenblas0": "Debian's OpenBLAS", "libblis4": "BLIS"}


# --- what the files hold ---------------------------------------------------------------------------------------------

@dataclasses.dataclass
class Results:
    rows: dict = dataclasses.field(default_factory=dict)  # by case
    facts: list = dataclasses.field(default_factory=list)  # of each file: a list of pairs

    def read(self, path):
        """Comments of a name and a text, then the rows that report.write_csv() writes."""
        facts, lines = [], []
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("# "):
                facts.append(tuple(line[2:].split(": ", 1)))
            else:
                lines.append(line)
        self.facts.append(facts)
        for row in csv.DictReader(lines):
            self.rows[row["case"]] = row

    def all_of(self, name):
        """Every text under that name, once each, in order."""
        return sorted({text for facts in self.facts for key, text in facts if key == name})

    def cost(self, case, who="ours"):
        """Raises KeyError where it was not measured."""
        text = self.rows[case].get(who)
        if not text:
            raise KeyError(f"{case}: {who}")
        return float(text)

    def best(self, case):
        row = self.rows[case]
        names = list(row)[list(row).index("ours") + 1:list(row).index("ratio")]
        costs = [float(row[name]) for name in names if row[name]]
        if not costs:
            raise KeyError(f"{case}: no peer")
        return min(costs)

    def ratio(self, case):
        """To the best peer, with the interval where it is wider than a tenth of it."""
        row = self.rows[case]
        if not row["ratio"]:
            raise KeyError(f"{case}: no peer")
        ratio, low, high = (float(row[name]) for name in ("ratio", "low", "high"))
        text = times(ratio)
        if high - low > 0.1 * ratio:
            digits = digits_of(ratio)
            text += f" [{low:.{digits}f}, {high:.{digits}f}]"
        return text

    def geometric_mean(self, pattern):
        """Of the ratios of all cases that match as a whole, and their number."""
        ratios = [float(row["ratio"]) for case, row in self.rows.items() if re.fullmatch(pattern, case) and row["ratio"]]
        if not ratios:
            raise KeyError(pattern)
        return math.exp(math.fsum(map(math.log, ratios)) / len(ratios)), len(ratios)


# --- figures as text -------------------------------------------------------------------------------------------------

def amount(value, unit):
    """With three digits and a unit of readable size."""
    scale, name = next(pair for pair in UNITS[unit.partition("/")[0]] if value >= 0.9995 * pair[0])
    value /= scale
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {name}"


def rough(value):
    """Bytes with two digits."""
    scale, name = next(pair for pair in UNITS["B"] if value >= 0.95 * pair[0])
    value /= scale
    return f"{value:.{1 if value < 9.95 else 0}f} {name}"


def digits_of(ratio):
    return 2 if ratio < 2 else 1 if ratio < 20 else 0


def times(ratio):
    return f"{ratio:.{digits_of(ratio)}f}×"


# --- kinds of lines: functions of the results that give the cells Gemel, instead and ratio ---------------------------

def timed(case, instead, peak=False, words="{ours}"):
    """peak: how much of the limit that the row names."""
    def cells(results):
        unit, row = results.rows[case]["unit"], results.rows[case]
        ours = words.format(ours=amount(results.cost(case), unit))
        if peak:
            ours += f", {100 * float(row['fraction-of-limit']):.0f} % of the FMA peak"
        return ours, f"{amount(results.best(case), unit)}: {instead}", results.ratio(case)
    return cells


def timed_with_memory(case, memory_case, peer, instead):
    """The time of one row, and the memory of another beside the same peer."""
    def cells(results):
        mine, theirs = results.cost(memory_case), results.cost(memory_case, peer)
        ours, others, ratio = timed(case, instead)(results)
        return (f"{ours}, {rough(mine)} more", others.replace(":", f", {rough(theirs)}:", 1),
                f"{ratio} faster, {times(theirs / mine)} less memory")
    return cells


def memory_alone(case, instead):
    return lambda results: (f"{rough(results.cost(case))} more", instead, "")


def images_a_second(case, instead):
    def cells(results):
        rates = [f"{round(1 / seconds, -2):,.0f}" for seconds in (results.cost(case), results.best(case))]
        return f"{rates[0]} images/s", f"{rates[1]}: {instead}", results.ratio(case)
    return cells


def mean_of(pattern, ours, instead, example=None):
    """example: a case whose time stands in `ours`."""
    def cells(results):
        mean, count = results.geometric_mean(pattern)
        time = amount(results.cost(example), "s") if example else ""
        return ours.format(time=time), instead.format(count=count), f"{times(mean)} (geometric mean)"
    return cells


@dataclasses.dataclass
class Line:
    what: str
    area: str
    cells: Callable


USUAL, DUAL = "PyTorch, the usual code", "PyTorch, the dual form by hand"
TORCHVISION = "torchvision and Pillow"
LINES = [
    Line("loss and gradients, N 256, D 8192", "barlow",
         timed_with_memory(f"loss-256x8192/{T}/usual", f"memory-256x8192/{T}", "torch", USUAL)),
    Line("the same beside the best that PyTorch can do", "barlow",
         timed_with_memory(f"loss-256x8192/{T}/dual", f"memory-256x8192/{T}", "torch-dual", DUAL)),
    Line("loss and gradients, N 2048, D 8192", "barlow", timed(f"loss-2048x8192/{T}/usual", USUAL)),
    Line("loss and gradients, N 512, D 512", "barlow", timed(f"loss-512x512/{T}/usual", USUAL)),
    Line("loss and gradients, N 32, D 65536", "barlow", memory_alone(f"memory-32x65536/{T}/limit", "C alone is 16 GiB")),
    Line("1024³ product", "gemm",
         timed(f"NN-1024x1024x1024/{T}", "the best of AOCL, two OpenBLAS, BLIS and MKL", peak=True)),
    Line("products 4³ to 128³, one thread", "gemm",
         mean_of(r"NN-(4|8|16|24|32|48|64|100|128)x\1x\1/t1", "8³ in {time}", "the best of the five for each size",
                 example="NN-8x8x8/t1")),
    Line("4096 × 4096 × 4 product", "gemm", timed(f"NN-4096x4096x4/{T}", "the best of the five")),
    Line("every layer of ResNet-18 and -50, forward and both gradients", "conv",
         mean_of(rf"\d.*/(forward|data|weight)/{T}", "", "the better of PyTorch's two layouts, {count} cases")),
    Line("column statistics, 65536×64", "normalization", timed(f"column_stats-65536x64/{T}/torch", "PyTorch")),
    Line("batch-norm + residual + ReLU, forward and backward, 16×56×56×256", "normalization",
         timed(f"batchnorm_add_relu-50176x256/{T}/torch", "PyTorch, best layout")),
    Line("training a perceptron on Fashion-MNIST, augmentation included", "train-mlp", images_a_second(f"train-mlp-default/{T}", "PyTorch")),
    Line("the same with convolutions", "train-conv",
         images_a_second(f"train-conv-default/{T}", "PyTorch, best layout")),
    Line("ResNet-18 with 3×3 stem, forward and backward, 64 images of 32 × 32", "resnet",
         timed(f"train-resnet18-small-64x32/{T}", "PyTorch, best layout")),
    Line("ResNet-50, forward and backward, 16 images of 224 × 224", "resnet",
         timed(f"train-resnet50-imagenet-16x224/{T}", "PyTorch, best layout")),
    Line("ResNet-50 inference, 16 images", "inference",
         timed(f"infer-resnet50-imagenet-16x224/{T}", "the best of ONNX Runtime, OpenVINO and PyTorch")),
    Line("ResNet-50 inference, one image", "inference",
         timed(f"infer-resnet50-imagenet-1x224/{T}", "the best of these three")),
    Line("two views of a 500 × 375 JPEG for training, as the method's authors make them, one thread", "augment",
         timed("views-files-500x375/t1", TORCHVISION)),
    Line("the same from pixels in memory", "augment", timed("views-decoded-500x375/t1", TORCHVISION)),
]


# --- the table -------------------------------------------------------------------------------------------------------

def enumeration(texts):
    return " and ".join(filter(None, [", ".join(texts[:-1]), texts[-1]])) if texts else ""


def sentence(results, older):
    """Where and beside which versions the figures were taken, but for those of the areas that are older."""
    peers = {}
    for text in results.all_of("peer"):
        name, _, version = text.partition(" ")
        peers.setdefault(NAMES.get(name, name), []).append(version)
    dates = results.all_of("date")
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    isa = enumeration([NAMES.get(isa, isa) for isa in results.all_of("isa")])
    beside = ", ".join(f"{name} {enumeration(versions)}" for name, versions in peers.items())
    but = f"; the lines of {enumeration(older)} are older" if older else ""
    return f"Measured {when} on {enumeration(results.all_of('machine'))}, {isa}, beside {beside}{but}.\n"


def rewritten(text, results, quiet):
    before, begin, rest = text.partition(BEGIN)
    old, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{README}: the markers are missing")
    kept = {line.split("|")[1].strip(): line for line in old.splitlines(keepends=True) if line.startswith("| ")}
    table, older = list(HEADING), []
    for line in LINES:
        try:
            cells = line.cells(results)
            table.append(f"| {' | '.join([line.what, *cells, f'`bench/compare.sh {line.area}`'])} |\n")
        except KeyError as missing:
            if not quiet:
                print(f"not measured: {line.what} ({missing.args[0]})")
            table.append(kept.get(line.what, ""))
            older.append(line.area)
    said = ["\n", sentence(results, list(dict.fromkeys(older)))] if results.facts else []
    return "".join([before, begin, "\n", *table, *said, "\n", end, after])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="fail where README.md differs, and write nothing")
    options = parser.parse_args()
    results = Results()
    for path in sorted(RESULTS.glob("*.csv")):
        results.read(path)
    old = README.read_text(encoding="utf-8")
    new = rewritten(old, results, quiet=options.check)
    if options.check:
        sys.stdout.writelines(difflib.unified_diff(old.splitlines(keepends=True), new.splitlines(keepends=True),
                                                   "README.md", "bench/results"))
        return old != new
    README.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
