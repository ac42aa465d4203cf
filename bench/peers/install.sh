#!/bin/sh
# Installs what Gemel is compared with: Debian's BLAS libraries, and from PyPI PyTorch, ONNX Runtime, OpenVINO and three more BLAS libraries (7 GB) into
# a Python environment that is created when it is missing. Usage: bench/peers/install.sh DIR; without DIR, GEMEL_PEERS names it.
set -eu
dir=${1:-${GEMEL_PEERS:-}}
if [ -z "$dir" ] || [ $# -gt 1 ]; then
    echo "usage: bench/peers/install.sh DIR, or GEMEL_PEERS=DIR bench/peers/install.sh" >&2
    exit 2
fi
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tools/packages.sh
. "$root/tools/packages.sh"
# shellcheck disable=SC2086 # a list of names
need_packages $peers_packages
[ -x "$dir/bin/python" ] || python3 -m venv "$dir"
"$dir/bin/python" -m pip install -q torch torchvision numpy mkl scipy-openblas32 onnx onnxruntime openvino
# For AMD's BLAS, which travels inside; what the package depends on serves its Python side.
"$dir/bin/python" -m pip install -q --no-deps aoclda
