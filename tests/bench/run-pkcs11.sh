#!/bin/bash
# qh-bench-pkcs11 on a node and tokens of its own, beside SoftHSM2 where it is installed. Options are
# passed on. QH_BENCH_ALONE=1: without SoftHSM2.
set -u
# shellcheck source=tests/lib/cluster.sh
. "${top_srcdir:-$(dirname "$0")/../..}/tests/lib/cluster.sh"
softhsm=${SOFTHSM2_MODULE:-/usr/lib/softhsm/libsofthsm2.so}
other=()

softhsm_make() {
    export SOFTHSM2_CONF=$work/softhsm2.conf
    mkdir "$work/softhsm" &&
        printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' \
            "$work/softhsm" >"$SOFTHSM2_CONF" &&
        softhsm2-util --init-token --free --label bench --so-pin "$(cat "$pins/po")" --pin "$(cat "$pins/co")"
}

if [ -z "${QH_BENCH_ALONE:-}" ]; then
    if [ ! -e "$softhsm" ] || ! command -v softhsm2-util >/dev/null; then
        echo "SoftHSM2 is not installed: apt-get install softhsm2, or QH_BENCH_ALONE=1 to do without" >&2
        exit 1
    fi
    softhsm_make >"$work/out" 2>&1 || { cat "$work/out"; exit 1; }
    other=(--other "$softhsm" --other-token bench)
fi
node_config alpha east hsm
{ node_init alpha && wait_for 10 node_is_ready alpha && partition_make apps; } >"$work/out" 2>&1 || { cat "$work/out"; exit 1; }
"$bin/tests/bench/qh-bench-pkcs11" --module "${QH_BENCH_MODULE:-$bin/.libs/libquadhsm-pkcs11.so}" --token apps \
    --pin-file "$pins/co" --pid "${node_pid[alpha]}" "${other[@]}" "$@"
