#!/bin/bash
# OpenSSL with its pkcs11 engine (libp11) against a node: RSA and EC keys of the token in openssl dgst,
# pkeyutl, req and s_server.
#
# There is no Ed25519 key on the token: libp11 0.4.12 finds no key at all beside one.
#
# Reads top_srcdir, top_builddir, and what tests/interop/lib.sh names. Ends with "N passed, N failed".
# shellcheck source=tests/interop/lib.sh
. "$(dirname "$0")/lib.sh"
need openssl
OPENSSL_CONF=/dev/null openssl engine -t pkcs11 2>/dev/null | grep -q '\[ available \]' ||
    skip "OpenSSL has no pkcs11 engine"
start_cluster
server=
port=7443

stop_server() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null
        wait "$server" 2>/dev/null
    fi
    server=
}
trap 'stop_server; stop_all' EXIT

cat >"$work/engine.cnf" <<END
openssl_conf = init
[init]
engines = engines
[engines]
pkcs11 = pkcs11
[pkcs11]
engine_id = pkcs11
MODULE_PATH = $MODULE
PIN = $PIN
init = 0
[req]
distinguished_name = name
[name]
END

engine() { # COMMAND OPTION...
    local command=$1

    shift
    OPENSSL_CONF=$work/engine.cnf openssl "$command" -engine pkcs11 -keyform engine "$@"
}

private="pkcs11:token=interop;type=private;object"
public="pkcs11:token=interop;type=public;object"

make_keys() {
    local key=("$top_builddir/quadhsm" key generate --partition interop --pin-file "$PIN_FILE")

    "${key[@]}" --type rsa:2048 --label rsa && "${key[@]}" --type ec:P-256 --label p256 &&
        "${key[@]}" --type ec:P-384 --label p384
}

reads_public() { # LABEL
    OPENSSL_CONF=$work/engine.cnf openssl pkey -engine pkcs11 -inform engine -pubin \
        -in "$public=$1" -pubout -out "$work/$1.pem" &&
        openssl pkey -pubin -in "$work/$1.pem" -noout
}

signs() { # LABEL HASH [OPTION...]
    local label=$1 hash=$2

    shift 2
    engine dgst "-$hash" "$@" -sign "$private=$label" -out "$work/signature" "$work/data" &&
        openssl dgst "-$hash" "$@" -verify "$work/$label.pem" -signature "$work/signature" "$work/data"
}

verifies() { # LABEL HASH
    engine dgst "-$2" -sign "$private=$1" -out "$work/signature" "$work/data" &&
        engine dgst "-$2" -verify "$public=$1" -signature "$work/signature" "$work/data" &&
        not engine dgst "-$2" -verify "$public=$1" -signature "$work/signature" "$work/other"
}

decrypts() { # OPTION...
    openssl pkeyutl -encrypt -pubin -inkey "$work/rsa.pem" -in "$work/secret" "$@" \
        -out "$work/encrypted" &&
        engine pkeyutl -decrypt -inkey "$private=rsa" -in "$work/encrypted" "$@" \
            -out "$work/decrypted" &&
        cmp "$work/secret" "$work/decrypted"
}

makes_certificate() { # LABEL
    engine req -new -x509 -subj "/CN=$1" -days 2 -key "$private=$1" -out "$work/$1.crt" &&
        openssl verify -CAfile "$work/$1.crt" "$work/$1.crt"
}

connects() { # LABEL
    openssl s_client -connect "$host:$port" -CAfile "$work/$1.crt" -verify_return_error \
        </dev/null
}

connects_well() { # LABEL
    prints 'Verify return code: 0' connects "$1"
}

# As a web server has it: each handshake is signed by the token.
start_server() { # LABEL
    stop_server
    OPENSSL_CONF=$work/engine.cnf openssl s_server -engine pkcs11 -keyform engine \
        -key "$private=$1" -cert "$work/$1.crt" -accept "$host:$port" -quiet \
        </dev/null >"$work/server.log" 2>&1 &
    server=$!
}

# A server that starts, or that has lost its node, needs some turns.
connects_soon() { # LABEL
    for _ in $(seq 1200); do
        if connects_well "$1" >"$work/client.log" 2>&1; then
            return 0
        fi
        kill -0 "$server" 2>/dev/null || break
        sleep 0.05
    done
    cat "$work/client.log" "$work/server.log"
    return 1
}

serves() { # LABEL
    start_server "$1"
    connects_soon "$1" || return 1
    for _ in 1 2 3 4 5; do
        connects_well "$1" || return 1
    done
    stop_server
}

# Nobody restarts the server, and nobody tells it the PIN again.
outlives_the_node() { # LABEL
    start_server "$1"
    connects_soon "$1" || return 1
    kill_daemon
    start_daemon
    connects_soon "$1" || return 1
    stop_server
}

head -c 5000 /dev/urandom >"$work/data"
head -c 5000 /dev/urandom >"$work/other"
printf 'a secret' >"$work/secret"

check "keys are made" make_keys
for label in rsa p256 p384; do
    check "the public key of $label is read" reads_public "$label"
done
check "RSA signs" signs rsa sha256
check "RSA signs with SHA-512" signs rsa sha512
check "RSA PSS signs" signs rsa sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32
check "P-256 signs" signs p256 sha256
check "P-384 signs" signs p384 sha384
check "RSA is verified, and wrong data refused" verifies rsa sha256
check "P-256 is verified, and wrong data refused" verifies p256 sha256
check "RSA decrypts" decrypts
check "RSA OAEP decrypts" decrypts -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 \
    -pkeyopt rsa_mgf1_md:sha256
for label in rsa p256; do
    check "$label signs its certificate" makes_certificate "$label"
    check "a TLS server uses $label" serves "$label"
done
if [ -n "$daemon" ]; then
    check "a TLS server goes on when the node was killed and started again" outlives_the_node p256
fi
check_not "a key that is not there is not found" engine dgst -sha256 -sign "$private=nothing" "$work/data"
finish
