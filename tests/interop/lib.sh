# What the tests with other people's PKCS#11 clients share: a cluster of one node, made through the
# daemon and the command as an operator would, and a count of what passed. Sourced by bash, not run.
# shellcheck shell=bash
#
# After start_cluster:
#   QUADHSM_CONFIG   the configuration of a client that may use partition "interop" (exported)
#   MODULE           the PKCS#11 module
#   PIN_FILE, PIN    the user's PIN; SO_PIN that of the partition's officer, "" if it is not known
#   work             a directory of its own, removed at the end
# With QUADHSM_CONFIG, MODULE and PIN_FILE set beforehand that cluster is used instead.
set -u
top_srcdir=$(cd "${top_srcdir:-.}" && pwd)
top_builddir=$(cd "${top_builddir:-.}" && pwd)
export LC_ALL=C
work=$(mktemp -d) || exit 1
passed=0
failed=0
daemon=

stop_all() {
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
    [ ! -f "$work/node.log" ] || tail -n 20 "$work/node.log" >&2
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

wait_for() { # WHAT COMMAND...
    local what=$1 turn

    shift
    for turn in $(seq 200); do
        if "$@" >"$work/output" 2>&1; then
            return 0
        fi
        kill -0 "$daemon" 2>/dev/null || give_up "the daemon ended"
        sleep 0.05
    done
    give_up "$what did not come in $turn turns: $(cat "$work/output")"
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

# An address of this process's own, so that tests can run side by side.
write_config() {
    local host=127.$(($$ / 65536 % 250 + 2)).$(($$ / 256 % 256)).$(($$ % 254 + 1))

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

start_cluster() {
    local command=$top_builddir/quadhsm
    # The programs that load the module are not sanitized.
    [ "${QH_SANITIZE:-no}" = no ] || skip "a sanitized build"
    local admin=(--config "$work/admin/client.yaml")
    local so=(--password-file "$work/pin/so")

    MODULE=${MODULE:-$top_builddir/.libs/libquadhsm-pkcs11.so}
    if [ -n "${QUADHSM_CONFIG:-}" ] && [ -n "${PIN_FILE:-}" ]; then
        # shellcheck disable=SC2034 # for who sources this
        PIN=$(cat "$PIN_FILE") SO_PIN=
        return
    fi
    make_secrets
    write_config
    start_daemon
    run "$command" node init --control "$work/control.sock" --cluster interop --admin admin \
        --out "$work/admin" "${so[@]}"
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
