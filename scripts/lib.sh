# What the scripts share. Sourced by bash, not run.
# shellcheck shell=bash

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# What a build and its tests need on Debian 12. etcd-server, etcd-client and softhsm2 are for the
# benchmarks' comparison alone, and are never installed from here.
packages=(
    autoconf automake libtool make pkg-config
    gcc libc6-dev binutils
    clang libclang-rt-14-dev clang-format
    libraft-dev libuv1-dev libsodium-dev libssl-dev check
    libprotobuf-c-dev protobuf-c-compiler libcyaml-dev libyaml-dev liburcu-dev
    libjansson-dev libnss3-dev
    openssl xz-utils
    softhsm2 opensc gnutls-bin p11-kit libnss3-tools libengine-pkcs11-openssl
    osslsigncode sbsigntool cryptsetup-bin
    nginx-light apache2-bin stunnel4 haproxy
    openssh-client openssh-server openjdk-17-jdk-headless
    golang-go golang-github-thalesignite-crypto11-dev
    knot knot-dnsutils knot-dnssecutils bind9-utils
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

# As root: apt-get, and update-rc.d after it. Nothing else of the project ever is.
as_root() { # COMMAND...
    local -a root=()

    if [ "$(id -u)" -ne 0 ]; then
        root=(sudo)
        if [ "${CI:-false}" = true ]; then
            root=(sudo -n)
        fi
    fi
    "${root[@]}" "$@"
}

# The tests start servers of their own. Installed, a server would be started as the machine's, too:
# with SYSTEMD_OFFLINE systemctl leaves services alone.
apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive SYSTEMD_OFFLINE=1 apt-get -q \
        -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120 "$@"
}

# Those that the packages may bring, and that are here.
services() {
    local service

    for service in nginx apache2 stunnel4 haproxy ssh knot named; do
        [ ! -e "/etc/init.d/$service" ] || say "$service"
    done
}

# Nor are they to be started with the machine; those that were here before are not touched.
services_disable() { # THOSE-BEFORE
    local service

    for service in $(services); do
        case " ${1//$'\n'/ } " in
        *" $service "*) ;;
        *)
            as_root update-rc.d "$service" disable ||
                die "the service $service is there for tests and is enabled: as root, run:" \
                    "update-rc.d $service disable"
            ;;
        esac
    done
}

# Install what is missing. Without a missing package this is quick, needs no
# privilege and no network.
packages_install() {
    local -a missing
    local before

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
    before=$(services)
    { apt_get update && apt_get install -y --no-install-recommends "${missing[@]}"; } ||
        die "apt-get failed: as root, run: apt-get update && apt-get install ${missing[*]}"
    services_disable "$before"
    mapfile -t missing < <(packages_missing)
    [ "${#missing[@]}" -eq 0 ] || die "still missing after apt-get: ${missing[*]}"
}
