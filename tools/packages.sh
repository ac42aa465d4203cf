# shellcheck shell=sh
# Sourced by the scripts that must work on a bare Debian: which packages they need, and need_packages, which installs the
# missing ones and leaves the package manager alone when there are none.

build_packages='gcc libc6-dev meson ninja-build pkg-config libjansson-dev libspng-dev libturbojpeg0-dev zlib1g-dev'
# shellcheck disable=SC2034 # for the scripts that source this file
quickstart_packages="$build_packages dataset-fashion-mnist"
# shellcheck disable=SC2034
test_packages="$build_packages check dataset-fashion-mnist python3"
# shellcheck disable=SC2034
bench_packages="$build_packages g++ libbenchmark-dev python3"
# shellcheck disable=SC2034
peers_packages='python3 python3-venv libopenblas0 libblis4'

# Usage: need_packages NAME...
need_packages() {
    if ! command -v dpkg-query >/dev/null; then
        echo "not a Debian system: taking for granted what Debian calls $*" >&2
        return 0
    fi
    missing=
    for package; do
        case $(dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null) in
        *'install ok installed'*) ;;
        *) missing="$missing $package" ;;
        esac
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        echo "these packages are missing; run as root: apt-get install$missing" >&2
        return 1
    fi
    echo "installing:$missing"
    # shellcheck disable=SC2086 # a list of names
    DEBIAN_FRONTEND=noninteractive apt-get -qq update &&
        DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing </dev/null >/dev/null
}
