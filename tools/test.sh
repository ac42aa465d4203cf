#!/bin/sh
# Builds Gemel with assertions and runs all its tests; installs Debian's packages that are missing. The last line is
# "N passed, N failed", and the exit status tells whether all passed.
set -eu
cd "$(dirname "$0")/.."
. tools/packages.sh
# shellcheck disable=SC2086 # a list of names
need_packages $test_packages

build='build-test'
[ -e $build/build.ninja ] || meson setup $build -Dbuildtype=debugoptimized -Dtests=enabled -Dtools=enabled
ninja -C $build
meson test -C $build --no-rebuild --print-errorlogs || true
python3 tests/tally.py $build/meson-logs/testlog.json
