#!/bin/bash
# Java's SunPKCS11 against a pair of nodes: keytool and jarsigner with keys of the token, what the
# provider computes against what the JDK computes, and a TLS server while each node is killed once.
#
# Reads top_srcdir, top_builddir. Ends with "N passed, N failed".
# shellcheck source=tests/interop/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/interop/steady.sh
. "$(dirname "$0")/steady.sh"
need java keytool jarsigner openssl
start_pair
server=''
# Little is done for long enough to be worth compiling well.
quick=(-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto)

stop_server() {
    [ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null
    server=''
}
trap 'steady_end; stop_server; stop_all' EXIT

cat >"$work/quadhsm.cfg" <<END
name = Quadhsm
library = $MODULE
slotListIndex = 0
END
store=(-keystore NONE -storetype PKCS11 -storepass:file "$PIN_FILE"
    -providerClass sun.security.pkcs11.SunPKCS11 -providerArg "$work/quadhsm.cfg")

tool() { # COMMAND OPTION...
    local command=$1

    shift
    "$command" "${quick[@]/#/-J}" "$@" "${store[@]}"
}

# Without one already in the token each comes with its own certificate.
make_rsa() {
    tool keytool -genkeypair -alias rsa -keyalg RSA -keysize 2048 -sigalg SHA256withRSA \
        -dname CN=localhost -ext san=dns:localhost
}
make_ec() {
    tool keytool -genkeypair -alias ec -keyalg EC -groupname secp256r1 -dname CN=localhost
}

# An authority of OpenSSL's signs the request; its answer takes the place of the key's own certificate.
gets_certificate() { # ALIAS
    tool keytool -certreq -alias "$1" -file "$work/$1.csr" &&
        openssl req -in "$work/$1.csr" -verify -noout &&
        openssl x509 -req -in "$work/$1.csr" -CA "$work/ca.crt" -CAkey "$work/ca.key" \
            -set_serial 2 -days 2 -out "$work/$1.crt" &&
        cat "$work/$1.crt" "$work/ca.crt" >"$work/$1.chain" &&
        tool keytool -importcert -noprompt -alias "$1" -file "$work/$1.chain"
}

make_authority() {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/ca.key" \
        -out "$work/ca.crt" -subj /CN=authority -days 2
}

lists() {
    prints 'Owner: CN=localhost' tool keytool -list -v && cp "$work/printed" "$work/list" &&
        grep -q 'Alias name: rsa' "$work/list" && grep -q 'Alias name: ec' "$work/list" &&
        grep -q 'Issuer: CN=authority' "$work/list"
}

signs_jar() {
    # A jar is a zip; the smallest is made by hand where the JDK's tool would need one more start.
    (cd "$work" && printf 'hello\n' >hello.txt && jar "${quick[@]/#/-J}" -cf hello.jar hello.txt) &&
        tool jarsigner -sigalg SHA256withRSA "$work/hello.jar" rsa &&
        prints 'jar verified' jarsigner "${quick[@]/#/-J}" -verify -certs -verbose "$work/hello.jar" &&
        grep -q 'CN=localhost' "$work/printed"
}

start_server() {
    java "${quick[@]}" "$(dirname "$0")/TokenServer.java" "$work/quadhsm.cfg" "$PIN_FILE" "$host" \
        8443 >"$work/server.log" 2>&1 &
    server=$!
    for _ in $(seq 1200); do
        ! grep -q '^listening' "$work/server.log" || return 0
        kill -0 "$server" 2>/dev/null || break
        sleep 0.05
    done
    cat "$work/server.log"
    return 1
}

shakes_hands() { # OPTION...
    prints 'Verify return code: 0' openssl s_client -connect "$host:8443" \
        -CAfile "$work/trusted.crt" -verify_return_error "$@"
}

serves() {
    shakes_hands -tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256 &&
        shakes_hands -tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256 && serves_both
}

# Java wants to see its certificate's own signature among those that the client takes, too.
serves_both() {
    shakes_hands -tls1_3 -sigalgs rsa_pss_rsae_sha256:rsa_pkcs1_sha256 &&
        shakes_hands -tls1_3 -sigalgs ecdsa_secp256r1_sha256
}

check "an RSA key is made with its certificate" make_rsa
check "a P-256 key is made with its certificate" make_ec
run make_authority
check "a request is signed, and the authority's certificate imported" gets_certificate rsa
check "both keys are listed, one with the authority's certificate" lists
check "a jar is signed and verified" signs_jar
check "the provider computes what the JDK computes, and a server starts" start_server
openssl s_client -connect "$host:8443" -sigalgs ecdsa_secp256r1_sha256 </dev/null 2>/dev/null |
    openssl x509 | cat - "$work/ca.crt" >"$work/trusted.crt"
check "a TLS server uses both keys" serves
check "handshakes go on while each node is killed once" steady_outlives serves_both
steady_say "Java TLS server, an RSA and a P-256 handshake each"
check "handshakes wait while both nodes are gone, and go on" steady_outlives_both serves_both
steady_say "Java TLS server, both nodes gone"
finish
