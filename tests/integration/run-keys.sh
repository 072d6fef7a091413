#!/bin/bash
# 10,000 keys in a partition: a node is ready again soon after a restart, and finding does not slow
# down. Times are printed, not judged, but for bounds that a busy machine keeps. Ends with "N
# passed, N failed". QH_KEYS changes how many.
set -u
. "${top_srcdir:-$(dirname "$0")/../..}/tests/lib/cluster.sh"
count=${QH_KEYS:-10000}
keys=$bin/tests/integration/qh-keys

run_keys() { # PARTITION ARGUMENT...
    local partition=$1

    shift
    "$keys" --partition "$partition" --pin-file "$pins/co" "$@" >"$work/run" || return 1
    cat "$work/run"
    cat "$work/run" >>"$work/times"
}
list_many() {
    "$bin/tests/bench/qh-bench-objects" --module "$bin/.libs/libquadhsm-pkcs11.so" --token apps \
        --pin-file "$pins/co" --pid "${node_pid[alpha]}" --count "$count" --seconds 1 >"$work/run" || return 1
    cat "$work/run" >>"$work/times"
}
# Finding among all may cost at most five times as much as among a hundred.
compare_finds() {
    awk '/^find by label:/ { label[++n] = $5 } /^find by id:/ { id[++m] = $5 }
         END { printf "by label %s then %s ms, by id %s then %s ms\n", label[1], label[2], id[1], id[2]
               exit !(n == 2 && m == 2 && label[2] < 5 * label[1] + 1 && id[2] < 5 * id[1] + 1) }' "$work/times"
}

node_config alpha east hsm
node_config beta east hsm
check "a pair" node_init alpha
check "its second node" node_join beta
check "both are ready" wait_for 20 node_is_ready beta
check "a partition for a few keys" partition_make few
check "and one for many" partition_make apps
check "a hundred keys are made" run_keys few --count 100
check "each of them is found by label and by id" run_keys few --find 100
check "$count keys are made" run_keys apps --count "$count"
check "each of them is found by label and by id" run_keys apps --find "$count"
check "finding among many costs what it did among few" compare_finds
check "the module finds, lists and reads them, and sees what another client changes" list_many
for node in alpha beta; do
    node_stop "$node" KILL
done
from=$(date +%s%N)
node_start alpha
node_start beta
check "the first node is ready again" wait_for 30 node_is_ready alpha
check "the second, too" wait_for 30 node_is_ready beta
check "and keys can be used" key list --json
printf 'ready %s ms after the start, with %s keys\n' $((($(date +%s%N) - from) / 1000000)) "$count"
cat "$work/times"
finish
