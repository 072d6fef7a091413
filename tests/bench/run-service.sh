#!/bin/bash
# qh-bench-service on a node of its own. Options are passed on.
set -u
. "${top_srcdir:-$(dirname "$0")/../..}/tests/lib/cluster.sh"
node_config alpha east hsm
{ node_init alpha && wait_for 10 node_is_ready alpha && partition_make apps; } >"$work/out" 2>&1 || { cat "$work/out"; exit 1; }
"$bin/tests/bench/qh-bench-service" --partition apps --pin-file "$pins/co" --pid "${node_pid[alpha]}" "$@"
