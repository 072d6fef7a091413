#!/bin/bash
# Knot DNS against a pair of nodes: a server that signs its zones by keys of the token, ECDSA and RSA,
# through changes of a zone and of its keys, while each node is killed once. BIND's dnssec-verify says
# whether the zones are signed well.
#
# Reads top_srcdir, top_builddir. Ends with "N passed, N failed".
# shellcheck source=tests/interop/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/interop/steady.sh
. "$(dirname "$0")/steady.sh"
PATH=$PATH:/usr/sbin:/sbin
need knotd knotc keymgr kdig kzonecheck dnssec-verify
start_pair
server=''
turn=0

stop_server() {
    [ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null
    server=''
}
trap 'steady_end; stop_server; stop_all' EXIT

zone_config() { # DOMAIN POLICY
    cat <<END
  - domain: $1
    storage: "$work"
    file: $1.zone
    dnssec-signing: on
    dnssec-policy: $2
    zonefile-load: difference-no-serial
    journal-content: all
END
}

zone_file() { # DOMAIN
    cat >"$work/$1.zone" <<END
\$ORIGIN $1.
\$TTL 60
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
END
}

# The server is told the PIN in its own configuration, which only it reads.
write_config() {
    mkdir "$work/run" "$work/db"
    cat >"$work/knot.conf" <<END
server:
    rundir: "$work/run"
    listen: $host@5300
log:
  - target: stderr
    any: info
database:
    storage: "$work/db"
keystore:
  - id: cluster
    backend: pkcs11
    config: "pkcs11:token=interop;pin-value=$PIN $MODULE"
policy:
  - id: ecdsa
    keystore: cluster
    algorithm: ecdsap256sha256
  - id: rsa
    keystore: cluster
    algorithm: rsasha256
    ksk-size: 2048
    zsk-size: 2048
  - id: own
    keystore: cluster
    algorithm: ecdsap256sha256
    manual: on
zone:
END
    {
        zone_config ecdsa.test ecdsa
        zone_config rsa.test rsa
        zone_config own.test own
    } >>"$work/knot.conf"
    zone_file ecdsa.test
    zone_file rsa.test
    zone_file own.test
}

# Knot knows a key of the token by its CKA_ID, of 20 bytes.
imports_keys() {
    local id kind

    for kind in yes:no:11 no:yes:22; do
        id=$(printf "${kind##*:}%.0s" $(seq 20))
        kind=${kind%:*}
        "$top_builddir/quadhsm" key generate --partition interop --pin-file "$PIN_FILE" \
            --type ec:P-256 --label own.test --id "$id" &&
            keymgr -c "$work/knot.conf" own.test import-pkcs11 "$id" algorithm=ecdsap256sha256 \
                ksk="${kind%:*}" zsk="${kind#*:}" || return 1
    done
}

start_server() {
    knotd -c "$work/knot.conf" >"$work/knot.log" 2>&1 &
    server=$!
    wait_for "the server" control status
}

control() {
    knotc -c "$work/knot.conf" "$@"
}

ask() { # NAME TYPE [OPTION...]
    kdig "@$host" -p 5300 +tcp "$@"
}

key_count_is() { # DOMAIN COUNT
    [ "$(ask "$1" DNSKEY +short | grep -c .)" -eq "$2" ]
}

# Two programs that know nothing of the token check every signature.
is_signed() { # DOMAIN
    soon key_count_is "$1" 2 && is_verified "$1"
}

is_verified() { # DOMAIN
    rm -f "$work/dump/$1.zone"
    control -b zone-flush "$1" +outdir "$work/dump" &&
        kzonecheck -d on -o "$1" "$work/dump/$1.zone" &&
        dnssec-verify -z -o "$1" "$work/dump/$1.zone"
}

# One record more, and its signature is given out at once.
changes() { # DOMAIN
    turn=$((turn + 1))
    control zone-begin "$1" && control zone-set "$1" "new$turn" 60 A 127.0.0.9 &&
        control zone-commit "$1" && prints "^A (8|13) " ask "new$turn.$1" A +dnssec +short
}

changes_both() {
    changes ecdsa.test && changes rsa.test
}

# The server makes a key in the cluster by itself, and signs by it.
rolls_its_key() {
    control zone-key-rollover ecdsa.test zsk && soon key_count_is ecdsa.test 3 &&
        is_verified ecdsa.test
}

write_config
check "keys of the token are made known to Knot" imports_keys
start_server
check "a zone is signed by keys that Knot made, ECDSA" is_signed ecdsa.test
check "a zone is signed by keys that Knot made, RSA" is_signed rsa.test
check "a zone is signed by keys that were there" is_signed own.test
check "zones change while each node is killed once" steady_outlives changes_both
steady_say "Knot, a change of an ECDSA and of an RSA zone each"
check "the changed ECDSA zone is signed well" is_verified ecdsa.test
check "the changed RSA zone is signed well" is_verified rsa.test
check "changes wait while both nodes are gone, and go on" steady_outlives_both changes own.test
steady_say "Knot, both nodes gone"
check "the key of a zone is changed after that" rolls_its_key
finish
