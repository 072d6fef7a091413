# What the scripts share. Sourced by bash, not run.
# shellcheck shell=bash

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# What a build and its tests need on Debian 12. etcd-server and etcd-client are for the
# benchmark's comparison alone, and are never installed from here.
packages=(
    autoconf automake libtool make pkg-config
    gcc libc6-dev binutils
    clang libclang-rt-14-dev clang-format
    libraft-dev libuv1-dev libsodium-dev libssl-dev check
    libprotobuf-c-dev protobuf-c-compiler libcyaml-dev libyaml-dev liburcu-dev
    libjansson-dev libnss3-dev
    openssl xz-utils
    opensc gnutls-bin p11-kit libengine-pkcs11-openssl
)

say() {
    printf '%s\n' "$*"
}

die() {
    printf '%s\n' "$*" >&2
    exit 1
}

# The packages that are not installed, one a line.
packages_missing() {
    local package

    for package in "${packages[@]}"; do
        # shellcheck disable=SC2016 # dpkg-query expands it
        case $(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null) in
        ?i*) ;;
        *) say "$package" ;;
        esac
    done
}

# Run apt-get as root. Nothing else of the project is ever run as root.
apt_get() {
    local -a root=()

    if [ "$(id -u)" -ne 0 ]; then
        root=(sudo)
        if [ "${CI:-false}" = true ]; then
            root=(sudo -n)
        fi
    fi
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o Acquire::Retries=3 \
        -o DPkg::Lock::Timeout=120 "$@"
}

# Install what is missing. Without a missing package this is quick, needs no
# privilege and no network.
packages_install() {
    local -a missing

    command -v dpkg-query >/dev/null ||
        die "this is not Debian: install by hand what corresponds to: ${packages[*]}"
    mapfile -t missing < <(packages_missing)
    if [ "${#missing[@]}" -eq 0 ]; then
        return 0
    fi
    say "missing packages: ${missing[*]}"
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        die "they need root: run as root: apt-get install ${missing[*]}"
    fi
    { apt_get update && apt_get install -y --no-install-recommends "${missing[@]}"; } ||
        die "apt-get failed: as root, run: apt-get update && apt-get install ${missing[*]}"
    mapfile -t missing < <(packages_missing)
    [ "${#missing[@]}" -eq 0 ] || die "still missing after apt-get: ${missing[*]}"
}
