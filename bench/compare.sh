#!/bin/sh
# Pairs Gemel with what a user would run instead; builds a release with the benchmarks in build-bench/ first. README.md beside
# tells how to read it. Usage: bench/compare.sh gemm|barlow|normalization|conv|resnet|inference|train-mlp|train-conv|augment|parity [--quick] [--only REGEX] [--threads N]
# [--against BUILD] [--csv FILE] [--plot FILE.svg]
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
(
    cd "$root"
    . tools/packages.sh
    # shellcheck disable=SC2086 # a list of names
    need_packages $bench_packages
    [ -e build-bench/build.ninja ] ||
        meson setup build-bench -Dbuildtype=release -Dbenchmarks=true -Dtests=disabled >/dev/null
    ninja -C build-bench >build-bench/compare.log || { cat build-bench/compare.log; exit 1; }
)
exec python3 -B "$root/bench/compare/main.py" "$@"
