#!/bin/bash
# qh-bench-objects on a node of its own, with QH_OBJECTS keys (100,000) in a partition. Options are
# passed on.
set -u
. "${top_srcdir:-$(dirname "$0")/../..}/tests/lib/cluster.sh"
count=${QH_OBJECTS:-100000}

memory() { awk '/^VmRSS/ { print $2 }' "/proc/${node_pid[alpha]}/status"; }
# Of all its threads, in ms.
processor() { awk '{ ns += $1 } END { printf "%d", ns / 1000000 }' "/proc/${node_pid[alpha]}"/task/*/schedstat; }
now_ms() { printf '%s' $(($(date +%s%N) / 1000000)); }

node_config alpha east hsm
{ node_init alpha && wait_for 10 node_is_ready alpha && partition_make apps; } >"$work/out" 2>&1 || { cat "$work/out"; exit 1; }
before=$(memory)
"$bin/tests/integration/qh-keys" --partition apps --pin-file "$pins/co" --threads 32 --count "$count" || exit 1
printf 'memory of the node, with all it keeps: %s bytes an object\n' $((($(memory) - before) * 1024 / count))
node_stop alpha KILL
from=$(now_ms)
node_start alpha && wait_for 60 node_is_ready alpha || exit 1
printf 'ready %s ms after the start, with %s ms of processor time\n' $(($(now_ms) - from)) "$(processor)"
printf 'memory of the node after that: %s bytes an object\n' $((($(memory) - before) * 1024 / count))
"$bin/tests/bench/qh-bench-objects" --module "$bin/.libs/libquadhsm-pkcs11.so" --token apps \
    --pin-file "$pins/co" --pid "${node_pid[alpha]}" --count "$count" "$@"
