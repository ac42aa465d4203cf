#!/bin/sh
# Installs what is missing, builds Gemel, trains it on Fashion-MNIST and prints what came of it. Usage:
# tools/quickstart.sh [--seed N]. Where nothing is missing it needs neither root nor the package manager. The run lies in
# runs/quickstart afterwards and replaces the one of the last time.
set -eu
cd "$(dirname "$0")/.."
. tools/packages.sh

seed=0
while [ $# -gt 0 ]; do
    if [ "$1" = --seed ] && [ $# -ge 2 ]; then
        seed=$2
        shift 2
    else
        echo "usage: tools/quickstart.sh [--seed N]" >&2
        exit 2
    fi
done

# shellcheck disable=SC2086 # a list of names
need_packages $quickstart_packages
[ -e build/build.ninja ] || meson setup build -Dbuildtype=release -Dtools=enabled
ninja -C build

gemel=build/tools/gemel/gemel
run=runs/quickstart
$gemel train fashion-mnist --seed "$seed" --checkpoint-dir $run --overwrite
echo
echo 'What the loss costs with the cross-correlation matrix C in memory, and as Gemel computes it:'
$gemel bench loss
echo
cat $run/results.txt
