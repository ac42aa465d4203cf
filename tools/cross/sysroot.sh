#!/bin/sh
# Unpacks Debian's arm64 libraries that Gemel needs into DIR, and writes DIR/place.txt for the cross file beside this
# script. It uses the system's package sources with a state of its own: nothing is installed, and no root is needed.
set -eu
[ $# -eq 1 ] || { echo "usage: sh tools/cross/sysroot.sh DIR" >&2; exit 2; }
packages='libjansson4 libjansson-dev zlib1g zlib1g-dev libspng0 libspng-dev libturbojpeg0 libturbojpeg0-dev check libsubunit0 libsubunit-dev'

mkdir -p "$1"
root=$(cd "$1" && pwd)
[ "$(cat "$root/packages.txt" 2>&1)" != "$packages" ] || exit 0
mkdir -p "$root/apt/lists/partial" "$root/apt/archives/partial"
: >"$root/apt/status"
arm64_apt() {
    apt-get -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User= \
        -o "Dir::State::status=$root/apt/status" -o "Dir::State::lists=$root/apt/lists" \
        -o "Dir::Cache::archives=$root/apt/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= "$@"
}
arm64_apt update
# shellcheck disable=SC2086 # a list of names
(cd "$root/apt/archives" && arm64_apt download $packages)
for deb in "$root"/apt/archives/*.deb; do
    dpkg -x "$deb" "$root"
done
# Development links name their library by an absolute path.
find "$root/usr/lib" -type l -lname '/*' | while read -r link; do
    ln -sf "$root$(readlink "$link")" "$link"
done
rm -r "$root/apt"
printf '[constants]\nsysroot = '"'%s'"'\n' "$root" >"$root/place.txt"
echo "$packages" >"$root/packages.txt"
