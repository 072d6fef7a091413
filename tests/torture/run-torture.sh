#!/bin/sh
# Real processes on real disks: kill -9 of random nodes under load, then an offline comparison
# of all data directories with everything that was acknowledged.
#
# Ends with "N passed, N failed". TORTURE_ROUNDS and TORTURE_SEED change the campaign.
set -u
programs=$(cd "${top_builddir:-.}/tests/torture" && pwd) || exit 1
rounds=${TORTURE_ROUNDS:-60}
passed=0
failed=0

campaign() { # WHAT ARGUMENT...
    what=$1
    shift
    echo "== $what"
    if "$programs/qh-torture" "$@" ${TORTURE_SEED:+--seed "$TORTURE_SEED"}; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $what"
    fi
    echo
}

campaign "three nodes, $rounds rounds" --nodes 3 --rounds "$rounds"
campaign "four nodes and a witness, 15 rounds" --nodes 5 --witness --rounds 15
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
