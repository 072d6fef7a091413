#!/bin/bash
# What a database's and a vault's encryption at rest ask of a token, on a pair of nodes: qh-database
# makes the calls of Oracle's TDE and of OpenBao's seal in one session, while each node is killed once.
#
# Reads top_srcdir, top_builddir. Ends with "N passed, N failed".
# shellcheck source=tests/interop/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/interop/steady.sh
. "$(dirname "$0")/steady.sh"
[ -x "$top_builddir/tests/interop/qh-database" ] || give_up "tests/interop/qh-database is not built"
start_pair
database=
trap 'end_database; stop_all' EXIT

database() { # [OPTION]
    "$top_builddir/tests/interop/qh-database" "$MODULE" interop "$PIN_FILE" "$@"
}

end_database() {
    [ -z "$database" ] || { kill "$database" && wait "$database"; } 2>/dev/null
}

start_database() {
    "$top_builddir/tests/interop/qh-database" "$MODULE" interop "$PIN_FILE" --serve \
        >"$work/database.log" 2>&1 </dev/null &
    database=$!
    soon grep -q ready "$work/database.log"
}

# Of the same process, in the session that it began with.
stop_database() {
    local status

    sleep 0.5
    kill "$database" && wait "$database"
    status=$?
    database=
    cat "$work/database.log"
    return "$status"
}

outlives_each() {
    start_database && roll_nodes 1 && sleep 0.5 && restart_node beta && stop_database
}

outlives_both() {
    start_database || return 1
    kill_node alpha
    kill_node beta
    start_node alpha
    restart_node beta
    wait_for "readiness of alpha" node_is_ready alpha
    stop_database
}

say_database() { # WHAT
    echo "$1: $(tail -n 1 "$work/database.log")"
}

check "keys are made, found, read, used and changed" database
check "all of it goes on in the same session while each node is killed once" outlives_each
say_database "database and vault"
check "it waits while both nodes are gone, and goes on" outlives_both
say_database "database and vault, both nodes gone"
finish
