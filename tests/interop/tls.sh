# What the tests of TLS servers share: RSA-2048 and P-256 keys in a pair of nodes, certificates for
# them, OpenSSL's configuration, and storms of handshakes. Sourced by bash after lib.sh, not run.
# shellcheck shell=bash
#
# After start_tls:
#   $work/openssl.cnf   for the server: OPENSSL_CONF
#   $work/rsa.crt, $work/p256.crt, $work/both.crt
#   key_rsa, key_p256   their keys' URIs, which name the file of the PIN
#   server_user         who runs the workers: "" is who runs the test
# The PIN stands in that file alone.
storm=
# shellcheck source=tests/interop/engine.sh
. "$(dirname "${BASH_SOURCE[0]}")/engine.sh"

make_key() { # LABEL TYPE
    run new_key "$1" "$2"
    run engine req -new -x509 -subj "/CN=$1" -days 2 -key "$(key_uri "$1")" -out "$work/$1.crt"
}

start_tls() {
    need openssl
    start_pair
    start_engine
    make_key rsa rsa:2048
    make_key p256 ec:P-256
    cat "$work/rsa.crt" "$work/p256.crt" >"$work/both.crt"
    prepare_workers
    # shellcheck disable=SC2034 # for who sources this
    key_rsa=$(key_uri rsa) key_p256=$(key_uri p256)
}

# As root, servers have their workers run as www-data, as Debian's do. These log in for themselves, so
# the client's files must be theirs to read; the PIN stays root's.
prepare_workers() {
    server_user=
    if [ "$(id -u)" -eq 0 ]; then
        server_user=www-data
        run chgrp -R "$server_user" "$work/app"
        run chmod 750 "$work/app"
        run chmod 640 "$work/app/client.key"
        run chmod 711 "$work"
    fi
}

# Which keys and versions a server has at one port.
targets_at() { # PORT KIND...
    local port=$1 kind

    shift
    for kind in "$@"; do
        printf '%s:%s/%s\n' "$host" "$port" "$kind"
    done
}

shake_hands() { # COUNT TARGET...
    local count=$1

    shift
    "$top_builddir/tests/interop/qh-handshakes" --ca "$work/both.crt" --count "$count" "$@"
}

# Wait until the server answers, or until it has ended.
serves_soon() { # PROCESS TARGET...
    local process=$1

    shift
    for _ in $(seq 1200); do
        if shake_hands 1 "$1" >"$work/first" 2>&1; then
            return 0
        fi
        kill -0 "$process" 2>/dev/null || break
        sleep 0.05
    done
    cat "$work/first"
    return 1
}

begin_storm() { # TARGET...
    "$top_builddir/tests/interop/qh-handshakes" --ca "$work/both.crt" --threads 8 --pause 10 "$@" \
        >"$work/storm.out" 2>&1 &
    storm=$!
}

# Everything went well, and while it lasted each target was used.
end_storm() {
    local result

    kill "$storm"
    wait "$storm"
    result=$?
    storm=
    cat "$work/storm.out"
    return "$result"
}

stop_storm() {
    if [ -n "$storm" ]; then
        kill -9 "$storm" 2>/dev/null
        wait "$storm" 2>/dev/null
    fi
    storm=
}
