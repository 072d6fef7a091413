#!/bin/bash
# A certification authority on a pair of nodes: openssl ca issues and revokes with an RSA and a P-384
# key of the token through libp11's engine, and openssl ocsp answers, while each node is killed once.
#
# Reads top_srcdir, top_builddir. Ends with "N passed, N failed".
# shellcheck source=tests/interop/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/interop/steady.sh
. "$(dirname "$0")/steady.sh"
# shellcheck source=tests/interop/engine.sh
. "$(dirname "$0")/engine.sh"
need openssl
start_pair
start_engine
responder=
port=$((20000 + $$ % 20000))

stop_responder() {
    [ -z "$responder" ] || { kill "$responder" && wait "$responder"; } 2>/dev/null
    responder=
}
trap 'steady_end; stop_responder; stop_all' EXIT

# An authority's name is that of its key, and of the folder of what it has issued.
write_authority() { # LABEL
    local dir=$work/$1.ca

    mkdir -p "$dir/issued"
    : >"$dir/index"
    echo 1000 >"$dir/serial"
    echo 01 >"$dir/crl-number"
    cat >"$work/$1.cnf" <<END
[ca]
default_ca = this
[this]
database = $dir/index
new_certs_dir = $dir/issued
serial = $dir/serial
crlnumber = $dir/crl-number
certificate = $work/$1.crt
default_md = sha384
default_days = 2
default_crl_days = 1
unique_subject = no
policy = policy
x509_extensions = server
[policy]
commonName = supplied
[server]
basicConstraints = CA:false
keyUsage = digitalSignature
extendedKeyUsage = serverAuth
[responder]
basicConstraints = CA:false
keyUsage = digitalSignature
extendedKeyUsage = OCSPSigning
END
}

authority() { # LABEL OPTION...
    local label=$1

    shift
    engine ca -config "$work/$label.cnf" -keyfile "$(key_uri "$label")" -batch -notext "$@"
}

is_made() { # LABEL TYPE
    write_authority "$1" && new_key "$1" "$2" && make_authority "$1" &&
        openssl verify -CAfile "$work/$1.crt" "$work/$1.crt"
}

# Applicants have keys of their own, in files.
make_request() {
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=www.example.org \
        -keyout "$work/www.key" -out "$work/www.csr"
}

# The serial number rises by one each time.
issues() { # LABEL [OPTION...]
    local label=$1 serial

    shift
    serial=$(cat "$work/$label.ca/serial")
    authority "$label" -in "$work/www.csr" -out "$work/$label.www.crt" "$@" &&
        prints "^serial=$serial\$" openssl x509 -in "$work/$label.www.crt" -noout -serial &&
        openssl verify -CAfile "$work/$label.crt" -purpose sslserver "$work/$label.www.crt"
}

lists_revoked() { # LABEL
    authority "$1" -gencrl -out "$work/$1.crl" &&
        openssl crl -in "$work/$1.crl" -CAfile "$work/$1.crt" -noout
}

verify_with_list() { # LABEL CERTIFICATE
    openssl verify -crl_check -CRLfile "$work/$1.crl" -CAfile "$work/$1.crt" "$2"
}

# What was issued last; the next one is good.
revokes() { # LABEL
    cp "$work/$1.www.crt" "$work/$1.revoked.crt" && issues "$1" &&
        authority "$1" -revoke "$work/$1.revoked.crt" -crl_reason keyCompromise && lists_revoked "$1" &&
        verify_with_list "$1" "$work/$1.www.crt" &&
        not verify_with_list "$1" "$work/$1.revoked.crt" &&
        prints 'Key Compromise' openssl crl -in "$work/$1.crl" -noout -text
}

# An authority below the root, both in the cluster.
certifies_authority() {
    engine req -new -subj /CN=p384 -key "$(key_uri p384)" -out "$work/p384.csr" &&
        printf '%s\n' basicConstraints=critical,CA:true keyUsage=keyCertSign,cRLSign >"$work/extensions" &&
        authority rsa -in "$work/p384.csr" -extfile "$work/extensions" -out "$work/below.crt" &&
        openssl verify -CAfile "$work/rsa.crt" -untrusted "$work/below.crt" "$work/p384.www.crt"
}

# openssl ocsp has no -engine, but takes the name of an engine before that of the key.
start_responder() {
    new_key responder ec:P-256 &&
        engine req -new -subj /CN=responder -key "$(key_uri responder)" -out "$work/responder.csr" &&
        authority p384 -in "$work/responder.csr" -extensions responder -out "$work/responder.crt" ||
        return 1
    OPENSSL_CONF=$work/openssl.cnf openssl ocsp -index "$work/p384.ca/index" -CA "$work/p384.crt" \
        -rsigner "$work/responder.crt" -rkey "org.openssl.engine:pkcs11:$(key_uri responder)" \
        -port "$port" >"$work/responder.log" 2>&1 </dev/null &
    responder=$!
    soon answers p384.www good
}

answers() { # CERTIFICATE STATUS
    prints "$1\.crt: $2" openssl ocsp -url "http://127.0.0.1:$port" -issuer "$work/p384.crt" \
        -cert "$work/$1.crt" -CAfile "$work/p384.crt" && grep -q 'Response verify OK' "$work/printed"
}

# A turn of the authority's day.
works() {
    issues p384 && lists_revoked rsa
}

answers_both() {
    answers p384.good good && answers p384.revoked revoked
}

serials_are_unique() { # LABEL
    [ -z "$(cut -f 4 "$work/$1.ca/index" | sort | uniq -d)" ]
}

check "an RSA authority is made" is_made rsa rsa:3072
check "a P-384 authority is made" is_made p384 ec:P-384
check "an applicant makes a request" make_request
for label in rsa p384; do
    check "$label issues a certificate" issues "$label"
    check "$label revokes one, and lists it" revokes "$label"
done
check "RSA PSS signs a certificate" issues rsa -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:-1
check "the RSA authority certifies the P-384 one" certifies_authority
check "issuing goes on while each node is killed once" steady_outlives works
steady_say "openssl ca, a certificate and a list each"
check "issuing waits while both nodes are gone, and goes on" steady_outlives_both works
steady_say "openssl ca, both nodes gone"
for label in rsa p384; do
    check "no serial number of $label was given twice" serials_are_unique "$label"
done
cp "$work/p384.www.crt" "$work/p384.good.crt"
check "an OCSP responder starts with a key of the token" start_responder
check "it knows good certificates from revoked ones" answers_both
check "it goes on while each node is killed once" steady_outlives answers_both
steady_say "openssl ocsp, two answers each"
check "it waits while both nodes are gone, and goes on" steady_outlives_both answers_both
steady_say "openssl ocsp, both nodes gone"
finish
