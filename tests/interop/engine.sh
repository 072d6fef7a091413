# What the tests that sign through libp11's engine share: OpenSSL's configuration, keys, an
# authority and certificates of its. Sourced by bash after lib.sh, not run.
# shellcheck shell=bash disable=SC2154

start_engine() {
    OPENSSL_CONF=/dev/null openssl engine -t pkcs11 2>/dev/null | grep -q '\[ available \]' ||
        skip "OpenSSL has no pkcs11 engine"
    cat >"$work/openssl.cnf" <<END
openssl_conf = init
[init]
engines = engines
[engines]
pkcs11 = pkcs11
[pkcs11]
engine_id = pkcs11
MODULE_PATH = $MODULE
init = 1
[req]
distinguished_name = name
[name]
END
}

key_uri() { # LABEL
    printf 'pkcs11:token=interop;object=%s;type=private;pin-source=file:%s' "$1" "$PIN_FILE"
}

engine() { # COMMAND OPTION...
    local command=$1

    shift
    OPENSSL_CONF=$work/openssl.cnf openssl "$command" -engine pkcs11 -keyform engine "$@"
}

new_key() { # LABEL TYPE
    "$top_builddir/quadhsm" key generate --partition interop --pin-file "$PIN_FILE" --label "$1" --type "$2"
}

make_authority() { # LABEL
    engine req -new -x509 -subj "/CN=$1" -days 2 -key "$(key_uri "$1")" -sha384 \
        -addext keyUsage=keyCertSign,cRLSign -out "$work/$1.crt"
}

# Both the request and the certificate are signed in the cluster.
certify() { # AUTHORITY LABEL EXTENSION
    printf '%s\n' keyUsage=digitalSignature "$3" >"$work/extensions"
    engine req -new -subj "/CN=$2" -key "$(key_uri "$2")" -out "$work/$2.csr" &&
        OPENSSL_CONF=$work/openssl.cnf openssl x509 -req -engine pkcs11 -in "$work/$2.csr" -days 2 \
            -CA "$work/$1.crt" -CAkeyform engine -CAkey "$(key_uri "$1")" -sha384 \
            -extfile "$work/extensions" -out "$work/$2.crt" &&
        openssl verify -CAfile "$work/$1.crt" "$work/$2.crt"
}
