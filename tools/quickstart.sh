#!/bin/sh
# Installs what is missing, builds Gemel and trains it on Fashion-MNIST; prints what came of it. Usage: tools/quickstart.sh
# [--seed N]. Nothing is installed where nothing is missing, so it then runs without root.
set -eu
cd "$(dirname "$0")/.."
. tools/packages.sh

seed=0
while [ $# -gt 0 ]; do
    case $1 in
    --seed)
        [ $# -ge 2 ] || { echo "quickstart: --seed wants a number" >&2; exit 2; }
        seed=$2
        shift 2
        ;;
    *)
        echo "usage: tools/quickstart.sh [--seed N]" >&2
        exit 2
        ;;
    esac
done

# shellcheck disable=SC2086 # a list of names
need_packages $quickstart_packages
[ -e build/build.ninja ] || meson setup build -Dbuildtype=release -Dtools=enabled
ninja -C build
gemel=build/tools/gemel/gemel

log=$(mktemp)
trap 'rm -f "$log"' EXIT
$gemel train fashion-mnist --seed "$seed"
