#!/bin/sh
# Draws the pictures of tutorial.md again, some minutes: docs/pictures.sh [GEMEL], the command (default: that of build/). The
# matrices are those of the README, tools/man/correlation.png, which this also replaces, and of a small network.
set -eu
cd "$(dirname "$0")/.."
gemel=$(realpath "${1:-build/tools/gemel/gemel}")
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
mkdir -p docs/pictures

"$gemel" train fashion-mnist --checkpoint-dir "$work/run" --quiet
python3 -B docs/report_pictures.py "$work/run/report.html" docs/pictures
"$gemel" train fashion-mnist --arch mlp --projection-dim 256 --epochs 7 --checkpoint-dir "$work/small" --quiet
cp "$work/small/correlation.png" tools/man/correlation.png

python3 -B docs/make_photos.py "$work/photos"
"$gemel" augment "$work/photos" --image-size 72 --samples 4 --pairs 2 --preview docs/pictures/views.png
