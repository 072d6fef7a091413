# What the tests with other people's PKCS#11 clients share: a cluster of one node or of a pair, made
# through the daemon and the command as an operator would, and a count of what passed. Sourced by
# bash, not run.
# shellcheck shell=bash
#
# After start_cluster (one node, $daemon) or start_pair (the nodes alpha and beta of one region):
#   QUADHSM_CONFIG   the configuration of a client that may use partition "interop" (exported)
#   MODULE           the PKCS#11 module
#   PIN_FILE, PIN    the user's PIN; SO_PIN that of the partition's officer, "" if it is not known
#   work             a directory of its own, removed at the end
# With QUADHSM_CONFIG, MODULE and PIN_FILE set beforehand start_cluster uses that cluster instead.
#
# Of a pair: kill_node alpha, restart_node alpha, freeze_node alpha 1, roll_nodes (each is killed
# once, and one is always up). A test with a trap of its own calls stop_all in it.
set -u
top_srcdir=$(cd "${top_srcdir:-.}" && pwd)
top_builddir=$(cd "${top_builddir:-.}" && pwd)
export LC_ALL=C
work=$(mktemp -d) || exit 1
passed=0
failed=0
daemon=
declare -A node_pid=()
# An address of this process's own, so that tests can run side by side. The nodes have ports 76xx.
host=127.$(($$ / 65536 % 250 + 2)).$(($$ / 256 % 256)).$(($$ % 254 + 1))

stop_all() {
    local name

    for name in "${!node_pid[@]}"; do
        kill_node "$name"
    done
    if [ -n "$daemon" ]; then
        kill "$daemon" 2>/dev/null
        wait "$daemon" 2>/dev/null
    fi
    rm -rf "$work"
}
trap stop_all EXIT

# Not something that this test can judge.
skip() {
    echo "skipped: $*"
    exit 77
}

give_up() {
    echo "$*" >&2
    tail -n 20 "$work"/*.log >&2 2>/dev/null
    echo "$passed passed, $((failed + 1)) failed"
    exit 1
}

need() { # COMMAND...
    local command

    for command in "$@"; do
        command -v "$command" >/dev/null || skip "$command is not installed"
    done
}

# One promise; what the command printed is shown if it does not hold.
check() { # SENTENCE COMMAND...
    local what=$1

    shift
    if "$@" >"$work/output" 2>&1 </dev/null; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $what"
        echo "  $*"
        sed 's/^/  | /' "$work/output"
    fi
}

# The same for a command that must fail.
check_not() { # SENTENCE COMMAND...
    local what=$1

    shift
    check "$what" not "$@"
}

not() {
    ! "$@"
}

# Does the command succeed, and print what matches?
prints() { # PATTERN COMMAND...
    local pattern=$1

    shift
    "$@" >"$work/printed" 2>&1 || { cat "$work/printed"; return 1; }
    grep -Eq -- "$pattern" "$work/printed" || { cat "$work/printed"; return 1; }
}

finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
    exit
}

# There is a bound, for a machine that is busy with others; nothing is measured by it.
wait_for() { # WHAT COMMAND...
    local what=$1 turn

    shift
    for turn in $(seq 1200); do
        if "$@" >"$work/output" 2>&1 </dev/null; then
            return 0
        fi
        [ -z "$daemon" ] || kill -0 "$daemon" 2>/dev/null || give_up "the daemon ended"
        sleep 0.05
    done
    give_up "$what did not come in $turn turns: $(cat "$work/output")"
}

# The same as a check: it fails, and the test goes on.
soon() { # COMMAND...
    for _ in $(seq 1200); do
        if "$@" >"$work/soon" 2>&1 </dev/null; then
            return 0
        fi
        sleep 0.05
    done
    cat "$work/soon"
    return 1
}

# A port where nobody listens, for programs that cannot be told an address of their own. The kernel
# gives out none below 32768 by itself.
free_port() {
    local port=$((20000 + $$ % 12000))

    while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        port=$((port + 1))
    done
    echo "$port"
}

run() { # COMMAND...
    "$@" >"$work/output" 2>&1 || give_up "$*: $(cat "$work/output")"
}

make_secrets() {
    mkdir -m 700 "$work/pin"
    printf '%s' "so-password-1" >"$work/pin/so"
    printf '%s' "po-password-1" >"$work/pin/po"
    printf '%s' "123456" >"$work/pin/co"
}

write_config() {
    cat >"$work/node.yaml" <<END
node: alpha
region: here
data: $work/node
control: $work/control.sock
client:
  listen: $host:7600
peer:
  listen: $host:7601
unlock:
  method: file
  file: $work/unlock.key
END
}

start_daemon() {
    "$top_builddir/quadhsmd" --config "$work/node.yaml" >>"$work/node.log" 2>&1 &
    daemon=$!
    wait_for "the control socket" "$top_builddir/quadhsm" node status --control "$work/control.sock"
}

kill_daemon() {
    kill -9 "$daemon" && wait "$daemon"
    daemon=
}

# A partition with its roles, and a client that may use it.
make_partition() {
    local command=$top_builddir/quadhsm
    local admin=(--config "$work/admin/client.yaml")
    local so=(--password-file "$work/pin/so")

    run "$command" partition create interop "${admin[@]}" "${so[@]}"
    run "$command" role init --partition interop --role po "${admin[@]}" "${so[@]}" \
        --new-pin-file "$work/pin/po"
    run "$command" role init --partition interop --role co "${admin[@]}" \
        --pin-file "$work/pin/po" --new-pin-file "$work/pin/co"
    run "$command" client enroll app --partition interop --out "$work/app" "${admin[@]}" "${so[@]}"
    export QUADHSM_CONFIG=$work/app/client.yaml
    PIN_FILE=$work/pin/co
    # shellcheck disable=SC2034 # for who sources this
    PIN=$(cat "$PIN_FILE") SO_PIN=$(cat "$work/pin/po")
}

start_cluster() {
    # The programs that load the module are not sanitized.
    [ "${QH_SANITIZE:-no}" = no ] || skip "a sanitized build"

    MODULE=${MODULE:-$top_builddir/.libs/libquadhsm-pkcs11.so}
    if [ -n "${QUADHSM_CONFIG:-}" ] && [ -n "${PIN_FILE:-}" ]; then
        # shellcheck disable=SC2034 # for who sources this
        PIN=$(cat "$PIN_FILE") SO_PIN=
        return
    fi
    make_secrets
    write_config
    start_daemon
    run "$top_builddir/quadhsm" node init --control "$work/control.sock" --cluster interop \
        --admin admin --out "$work/admin" --password-file "$work/pin/so"
    make_partition
}

# ---- a pair ----

write_node() { # NAME PORT
    cat >"$work/$1.yaml" <<END
node: $1
region: here
data: $work/$1
control: $work/$1.sock
client:
  listen: $host:$2
peer:
  listen: $host:$(($2 + 1))
unlock:
  method: file
  file: $work/$1.key
END
}

control_node() { # COMMAND NAME OPTION...
    local command=$1 name=$2

    shift 2
    "$top_builddir/quadhsm" node "$command" --control "$work/$name.sock" "$@"
}

node_is_ready() { # NAME
    control_node status "$1" --json | grep -q '"state": *"ready"'
}

start_node() { # NAME
    "$top_builddir/quadhsmd" --config "$work/$1.yaml" >>"$work/$1.log" 2>&1 &
    node_pid[$1]=$!
    wait_for "the control socket of $1" control_node status "$1"
}

kill_node() { # NAME
    kill -9 "${node_pid[$1]}" 2>/dev/null
    wait "${node_pid[$1]}" 2>/dev/null
    unset "node_pid[$1]"
}

restart_node() { # NAME
    start_node "$1"
    wait_for "readiness of $1" node_is_ready "$1"
}

# Whichever node serves a client is killed once: the first, for SECONDS; then the second, for good.
roll_nodes() { # [SECONDS]
    kill_node alpha
    sleep "${1:-1}"
    restart_node alpha
    kill_node beta
}

# As a machine that hangs: its connections stay, and nothing comes from it.
freeze_node() { # NAME SECONDS
    kill -STOP "${node_pid[$1]}"
    sleep "$2"
    kill -CONT "${node_pid[$1]}"
}

start_pair() {
    [ "${QH_SANITIZE:-no}" = no ] || skip "a sanitized build"
    MODULE=${MODULE:-$top_builddir/.libs/libquadhsm-pkcs11.so}
    make_secrets
    write_node alpha 7600
    write_node beta 7610
    start_node alpha
    run control_node init alpha --cluster interop --admin admin --out "$work/admin" \
        --password-file "$work/pin/so"
    start_node beta
    run "$top_builddir/quadhsm" cluster token --config "$work/admin/client.yaml" \
        --password-file "$work/pin/so"
    mv "$work/output" "$work/token"
    run control_node join beta --token-file "$work/token"
    wait_for "readiness of beta" node_is_ready beta
    make_partition
    # For as long as both nodes may be gone, on a machine that starts them slowly.
    printf 'timeout_ms: 30000\n' >>"$QUADHSM_CONFIG"
}
