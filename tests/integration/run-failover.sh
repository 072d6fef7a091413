#!/bin/bash
# The client library against real nodes: an application that was told one address of a cluster
# learns the others, and signs on while nodes are killed and frozen; so do its children, and so does
# one that may have no threads. The example builds with pkg-config alone.
# Ends with "N passed, N failed".
set -u
. "${top_srcdir:-$(dirname "$0")/../..}/tests/lib/cluster.sh"
source_dir=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}

# --- an application that is asked now and then
app_start() { # [OPTION...]
    coproc APP { exec "$bin/tests/integration/qh-client" --config "$work/app.yaml" --partition apps \
        --pin-file "$pins/cu" --label key "$@" 2>>"$work/app.log"; }
    # shellcheck disable=SC2153 # coproc sets it
    app_pid=$APP_PID
    app_in=${APP[1]}
    app_out=${APP[0]}
}

# Sets made, lost, gap and node.
app_ask() {
    echo >&"$app_in" && read -r -t 30 _ made _ lost _ gap _ node <&"$app_out"
}

# More signatures than are under way, so that each thread has seen what is the case now.
app_signs_on() { # COUNT
    local goal longest=0

    app_ask || return 1
    goal=$((made + $1))
    longest=$gap
    for _ in $(seq 1200); do
        app_ask || return 1
        [ "$gap" -le "$longest" ] || longest=$gap
        if [ "$made" -ge "$goal" ]; then
            gap=$longest
            return 0
        fi
        sleep 0.1
    done
    return 1
}

app_end() {
    exec {app_in}>&-
    wait "$app_pid"
}

nothing_failed() { [ "$lost" = 0 ] || { tail -n 5 "$work/app.log"; return 1; }; }
# A machine with other things to do makes gaps without any node's help: those of before count.
gap_below() { [ "$gap" -lt $(($1 + 10 * usual)) ] || { echo "gap $gap ms, without a fault $usual ms"; return 1; }; }
told() { printf '    %s: longest gap %s ms, then at %s\n' "$1" "$gap" "$node"; }

node_config alpha east hsm
node_config beta east hsm
node_config gamma west hsm
check "a node is made" node_init alpha
check "a partition is made" partition_make apps
check "a second node joins" node_join beta
check "a third node joins" node_join gamma
for name in alpha beta gamma; do
    check "$name is ready" wait_for 20 node_is_ready $name
done
check "a key is made" key generate --type ec:P-256 --label key

# One address of three.
sed -e '/^endpoints:/,/^[a-z]/{/^  *-/d}' -e "s|^endpoints:.*|endpoints: ['$net.1:7600']|" \
    "$work/admin/client.yaml" | sed -E "s|^(ca\|certificate\|key): *([^/].*)|\1: $work/admin/\2|" |
    grep -vE '^(cache|region):' >"$work/app.yaml"
printf 'cache: %s/cache/endpoints\nregion: east\n' "$work" >>"$work/app.yaml"

app_start --fork
check "it signs" app_signs_on 100
usual=$gap
check "the other nodes are remembered" wait_for 10 test -s "$work/cache/endpoints"
first=$node
node_stop "$first" KILL
check "it signs on when its node is killed" app_signs_on 300
told "kill -9 $first"
check "without a failure" nothing_failed
check "and without a long gap" gap_below 1000
node_start "$first"
check "the node comes back" wait_for 20 node_is_ready "$first"
check "it signs on" app_signs_on 100
frozen=$node
kill -STOP "${node_pid[$frozen]}"
check "it signs on when its node is frozen" app_signs_on 300
told "SIGSTOP $frozen"
check "without a failure" nothing_failed
check "and without a long gap" gap_below 2000
kill -CONT "${node_pid[$frozen]}"
check "it ends well" app_end

# --- without a thread of the library
app_start --no-threads --threads 2
check "an application without the library's thread signs" app_signs_on 50
first=$node
kill -STOP "${node_pid[$first]}"
check "it signs on when its node is frozen" app_signs_on 100
told "SIGSTOP $first"
check "without a failure" nothing_failed
kill -CONT "${node_pid[$first]}"
check "it ends well" app_end

# --- the address that it was born with is gone
node_stop alpha KILL
check "a new application finds the cluster by what was remembered" \
    "$bin/tests/integration/qh-client" --config "$work/app.yaml" --partition apps \
    --pin-file "$pins/cu" --label key --once
printf 'damaged' >"$work/cache/endpoints"
sed -i "s/^timeout_ms:.*//" "$work/app.yaml"
printf 'timeout_ms: 1500\n' >>"$work/app.yaml"
check_refused "a damaged memory is as good as none" 1 "no connection|$net.1:7600" \
    "$bin/tests/integration/qh-client" --config "$work/app.yaml" --partition apps \
    --pin-file "$pins/cu" --label key --once
node_start alpha
check "the node comes back" wait_for 20 node_is_ready alpha

# --- the example, as an application's author builds it
mkdir -p "$work/prefix/lib/pkgconfig" "$work/prefix/include"
cp "$bin"/.libs/libquadhsm.so* "$work/prefix/lib/"
cp "$source_dir/src/client/quadhsm.h" "$work/prefix/include/"
sed -e "s|^prefix=.*|prefix=$work/prefix|" -e 's|^libdir=.*|libdir=${prefix}/lib|' \
    -e 's|^includedir=.*|includedir=${prefix}/include|' \
    "$bin/src/client/quadhsm.pc" >"$work/prefix/lib/pkgconfig/quadhsm.pc"
build_example() {
    # shellcheck disable=SC2046 # words are what pkg-config gives
    cc -Wall -Wextra -Werror -o "$work/sign" "$source_dir/doc/examples/sign.c" \
        $(PKG_CONFIG_PATH=$work/prefix/lib/pkgconfig pkg-config --cflags --libs quadhsm)
}
run_example() {
    LD_LIBRARY_PATH=$work/prefix/lib QUADHSM_CONFIG=$work/app.yaml QUADHSM_PIN=cu-pin-1234 \
        "$work/sign" apps key "a message" >"$work/example.out" || return 1
    cat "$work/example.out"
    grep -qE '^[0-9a-f]{128}$' "$work/example.out" && grep -qE '^by node (alpha|beta|gamma)$' "$work/example.out"
}
if [ "${QH_SANITIZE:-no}" = no ]; then
    check "the example builds with pkg-config alone" build_example
    check "it signs, and tells which node did" run_example
fi
finish
