#!/bin/bash
# GnuTLS against a pair of nodes: an authority's, a server's and a client's key of the token in
# certtool, gnutls-serv and gnutls-cli, while each node is killed once. run-p11tool.sh has p11tool.
#
# Reads top_srcdir, top_builddir. Ends with "N passed, N failed".
# shellcheck source=tests/interop/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/interop/steady.sh
. "$(dirname "$0")/steady.sh"
need p11tool certtool gnutls-serv gnutls-cli openssl
start_pair
server=''
# gnutls-serv listens on all addresses.
port=$(free_port)
export GNUTLS_PIN=$PIN
token="pkcs11:token=interop"
private="$token;type=private;object"
public="$token;type=public;object"

stop_server() {
    [ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null
    server=''
}
trap 'steady_end; stop_server; stop_all' EXIT

user() {
    p11tool --provider "$MODULE" --login "$@"
}
certify() {
    certtool --provider "$MODULE" --no-text "$@"
}

make_keys() {
    user --generate-privkey=ecc --curve=secp256r1 --label ca --id 01 --outfile "$work/ca.pub" "$token" &&
        user --generate-privkey=rsa --bits=2048 --label rsa --id 02 --outfile "$work/rsa.pub" "$token" &&
        user --generate-privkey=ecc --curve=secp256r1 --label ec --id 03 --outfile "$work/ec.pub" "$token" &&
        user --generate-privkey=ed25519 --label client --id 04 --outfile "$work/client.pub" "$token"
}

# A key from outside comes in, signs, is exported as a public key, and is deleted.
imports_pkcs8() {
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out "$work/p384.pem" &&
        openssl pkey -in "$work/p384.pem" -pubout -out "$work/p384.pub" &&
        user --write --load-privkey "$work/p384.pem" --label p384 --id 05 "$token" &&
        user --write --load-pubkey "$work/p384.pub" --label p384 --id 05 "$token" &&
        user --export "$public=p384" --outfile "$work/back.pub" &&
        openssl pkey -pubin -in "$work/back.pub" | cmp "$work/p384.pub" - &&
        user --test-sign --hash SHA384 "$private=p384" &&
        user --batch --delete "$token;object=p384" &&
        not user --export "$public=p384"
}

signs_pss() {
    prints 'Verifying against public key in the token\.\.\. ok' \
        user --test-sign --sign-params=rsa-pss --hash SHA256 "$private=rsa"
}

authority_is_made() {
    printf 'cn = "authority"\nexpiration_days = 2\nca\ncert_signing_key\ncrl_signing_key\n' \
        >"$work/ca.template"
    certify --generate-self-signed --template "$work/ca.template" --load-privkey "$private=ca" \
        --outfile "$work/ca.crt" &&
        openssl verify -CAfile "$work/ca.crt" "$work/ca.crt"
}

# A request signed by its own key, a certificate signed by the authority's: both are the token's.
certifies() { # LABEL
    printf 'cn = "%s"\ndns_name = "localhost"\nip_address = 127.0.0.1\nexpiration_days = 2\n%s' "$1" \
        $'tls_www_server\ntls_www_client\nsigning_key\nencryption_key\n' >"$work/template"
    certify --generate-request --template "$work/template" --load-privkey "$private=$1" \
        --outfile "$work/$1.csr" &&
        openssl req -in "$work/$1.csr" -verify -noout &&
        certify --generate-certificate --template "$work/template" --load-request "$work/$1.csr" \
            --load-ca-privkey "$private=ca" --load-ca-certificate "$work/ca.crt" \
            --outfile "$work/$1.crt" &&
        openssl verify -CAfile "$work/ca.crt" "$work/$1.crt"
}

revokes() {
    printf 'crl_next_update = 2\ncrl_number = 1\n' >"$work/template"
    certify --generate-crl --template "$work/template" --load-ca-privkey "$private=ca" \
        --load-ca-certificate "$work/ca.crt" --load-certificate "$work/rsa.crt" \
        --outfile "$work/crl.pem" &&
        openssl crl -in "$work/crl.pem" -CAfile "$work/ca.crt" -noout &&
        not openssl verify -crl_check -CRLfile "$work/crl.pem" -CAfile "$work/ca.crt" "$work/rsa.crt"
}

signs_a_file() {
    certify --p7-sign --load-privkey "$private=rsa" --load-certificate "$work/rsa.crt" \
        --infile "$work/rsa.csr" --outfile "$work/signed" &&
        openssl smime -verify -inform PEM -in "$work/signed" -CAfile "$work/ca.crt" \
            -purpose any -out "$work/content" &&
        cmp "$work/rsa.csr" "$work/content"
}

start_server() {
    gnutls-serv --provider "$MODULE" --port "$port" --echo --disable-client-cert --quiet \
        --x509keyfile "$private=rsa" --x509certfile "$work/rsa.crt" \
        --x509keyfile "$private=ec" --x509certfile "$work/ec.crt" \
        >"$work/server.log" 2>&1 </dev/null &
    server=$!
    wait_for "the server" openssl s_client -connect "127.0.0.1:$port"
}

shakes_hands() { # OPTION...
    prints 'Verify return code: 0' openssl s_client -connect "127.0.0.1:$port" \
        -CAfile "$work/ca.crt" -verify_return_error "$@"
}

serves() {
    shakes_hands -tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256 &&
        shakes_hands -tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256 &&
        shakes_hands -tls1_3 -sigalgs rsa_pss_rsae_sha256 &&
        shakes_hands -tls1_3 -sigalgs ecdsa_secp256r1_sha256
}

serves_both() {
    shakes_hands -tls1_3 -sigalgs rsa_pss_rsae_sha256 &&
        shakes_hands -tls1_3 -sigalgs ecdsa_secp256r1_sha256
}

# Mutual TLS: the client's key is the token's, the server's OpenSSL's own.
client_is_known() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -days 2 \
        -addext subjectAltName=DNS:localhost -keyout "$work/own.key" -out "$work/own.crt" || return 1
    openssl s_server -accept "127.0.0.1:$port" -cert "$work/own.crt" -key "$work/own.key" \
        -CAfile "$work/ca.crt" -Verify 2 -verify_return_error -naccept 1 -rev \
        >"$work/server.log" 2>&1 </dev/null &
    server=$!
    wait_for "OpenSSL's server" grep -q ACCEPT "$work/server.log"
    echo drawer | prints reward gnutls-cli --provider "$MODULE" --x509cafile "$work/own.crt" \
        --x509keyfile "$private=client" --x509certfile "$work/client.crt" --port "$port" localhost
}

check "keys are made" make_keys
check "a P-384 key comes in, signs, and is deleted" imports_pkcs8
check "RSA PSS signs" signs_pss
check "an authority signs its own certificate" authority_is_made
for label in rsa ec client; do
    check "$label requests a certificate, and the authority gives it" certifies "$label"
done
check "the authority revokes a certificate" revokes
check "a file is signed as PKCS #7" signs_a_file
check "a client shows itself to a server by its key of the token" client_is_known
stop_server
start_server
check "a server uses both keys, in TLS 1.2 and 1.3" serves
check "handshakes go on while each node is killed once" steady_outlives serves_both
steady_say "gnutls-serv, an RSA and a P-256 handshake each"
check "handshakes wait while both nodes are gone, and go on" steady_outlives_both serves_both
steady_say "gnutls-serv, both nodes gone"
finish
