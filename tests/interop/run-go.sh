#!/bin/bash
# Go's crypto11 against a pair of nodes: keys and a certificate made, found again and used, and a
# process of many goroutines that signs while each node is killed once, and while both are.
#
# Reads top_srcdir, top_builddir. Ends with "N passed, N failed".
# shellcheck source=tests/interop/lib.sh
. "$(dirname "$0")/lib.sh"
need go gcc
gopath=/usr/share/gocode
[ -d "$gopath/src/github.com/ThalesIgnite/crypto11" ] || skip "crypto11 is not installed"
signing=''

# Nothing of a user's own, nothing from the network.
builds() {
    env -u GOFLAGS GO111MODULE=off GOPATH="$gopath" GOCACHE="$work/go" CGO_ENABLED=1 CC=gcc \
        go build -p 2 -o "$work/signer" "$top_srcdir/tests/interop/signer.go"
}

end_signing() {
    [ -z "$signing" ] || { kill "$signing" && wait "$signing"; } 2>/dev/null
}
trap 'end_signing; stop_all' EXIT

signs_on() {
    kill -0 "$signing" && grep -q '^signing' "$work/signed"
}

start_signing() {
    "$work/signer" sign "$MODULE" "$PIN_FILE" >"$work/signed" 2>"$work/signer.log" &
    signing=$!
    wait_for "the first signature" signs_on
}

# Did every signature come, and was it right?
stop_signing() {
    local status

    kill "$signing"
    wait "$signing"
    status=$?
    signing=''
    tail -n 1 "$work/signed"
    head -n 30 "$work/signer.log"
    return "$status"
}

outlives_each() {
    start_signing
    roll_nodes
    sleep 0.5
    restart_node beta
    stop_signing
}

outlives_both() {
    start_signing
    kill_node alpha
    kill_node beta
    start_node alpha
    restart_node beta
    wait_for "readiness of alpha" node_is_ready alpha
    sleep 0.5
    stop_signing
}

start_pair
check "a program with crypto11 is built" builds
check "keys and a certificate are made, found again and used" \
    "$work/signer" make "$MODULE" "$PIN_FILE"
check "it signs on while each node is killed once" outlives_each
echo "Go, 16 goroutines, RSA-2048 and P-256: $(tail -n 1 "$work/signed")"
check "it waits while both nodes are gone, and signs on" outlives_both
echo "Go, both nodes gone: $(tail -n 1 "$work/signed")"
finish
