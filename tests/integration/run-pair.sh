#!/bin/bash
# A pair without a witness: with one node left keys stay usable and changes are refused with a reason;
# both go on when the peer is back. Ends with "N passed, N failed".
set -u
. "${top_srcdir:-$(dirname "$0")/../..}/tests/lib/cluster.sh"
module=$bin/.libs/libquadhsm-pkcs11.so

sign() {
    printf 'twenty bytes or so..' >"$work/data"
    pkcs11-tool --module "$module" --token-label apps --login --pin "$(cat "$pins/co")" \
        --sign --mechanism ECDSA-SHA256 --label "$1" --input-file "$work/data" --output-file "$work/sig"
}

lonely() {
    local status

    key generate --type ec:P-256 --label lonely >"$work/lonely" 2>&1
    status=$?
    cat "$work/lonely"
    { [ "$status" -eq 1 ] || [ "$status" -eq 5 ]; } && grep -q majority "$work/lonely"
}

node_config alpha east hsm
node_config beta east hsm
check "the first node" node_init alpha
check "the second node joins" node_join beta
check "both are ready" wait_for 20 node_is_ready beta
check "a partition" partition_make apps
check "a key" key generate --type ec:P-256 --label ec
check "the key signs" sign ec
node_stop beta KILL
# Whether it had begun when the node noticed that it is alone is a matter of milliseconds.
check "a change that is asked for then is refused, or has no known outcome, and why is said" lonely
check "with one node left the key signs" sign ec
check_refused "the next is refused with a reason" 5 "majority" key generate --type ec:P-256 --label lonely2
check "cluster status tells of it" sh -c "'$quadhsm' cluster status | grep -q 'no quorum'"
node_start beta
check "with the peer back a change is made" wait_for 30 key generate --type ec:P-256 --label both
check "and signs" sign both
node_stop alpha KILL
check "at the other node, too" sign both
finish
