#!/bin/bash
# NSS against a pair of nodes: its tools make keys and certificates in the token through an NSS
# database, import a key, sign and open CMS, sign an archive, and serve TLS while each node is killed
# once.
#
# Reads top_srcdir, top_builddir. Ends with "N passed, N failed".
# shellcheck source=tests/interop/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/interop/steady.sh
. "$(dirname "$0")/steady.sh"
need certutil modutil pk12util cmsutil signtool selfserv tstclnt vfyserv openssl
start_pair
server=''
# selfserv listens on all addresses.
port=$((20000 + $$ % 20000))
database=sql:$work/nss
head -c 64 /dev/urandom >"$work/noise"
printf 'GET / HTTP/1.0\r\n\r\n' >"$work/request"
echo 'a letter' >"$work/letter"

stop_server() {
    [ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null
    server=''
}
trap 'steady_end; stop_server; stop_all' EXIT

certs() {
    certutil -d "$database" -f "$PIN_FILE" "$@"
}

# The database, and the module in it. "Friendly" is a token whose certificates need no login.
add_module() {
    mkdir "$work/nss" &&
        certutil -N -d "$database" --empty-password &&
        modutil -dbdir "$database" -force -add quadhsm -libfile "$MODULE" -mechanisms FRIENDLY &&
        prints 'token: interop' modutil -dbdir "$database" -list
}

authority_is_made() {
    printf 'y\n-1\nn\n' >"$work/answers"
    certs -S -h interop -n ca -s CN=authority -x -t CT,C,C -k ec -q nistp256 -m 1 -v 12 \
        -2 --keyUsage certSigning,crlSigning -z "$work/noise" <"$work/answers" &&
        certs -L -n interop:ca -a >"$work/ca.crt" &&
        openssl verify -CAfile "$work/ca.crt" "$work/ca.crt"
}

# A key of the token, and a certificate that the authority's key signs.
certifies() { # NAME SERIAL OPTION...
    local name=$1 serial=$2

    shift 2
    certs -S -h interop -n "$name" -s "CN=localhost,OU=$name" -c interop:ca -t ,, -m "$serial" -v 12 \
        -z "$work/noise" "$@" &&
        certs -L -n "interop:$name" -a >"$work/$name.crt" &&
        openssl verify -CAfile "$work/ca.crt" "$work/$name.crt"
}

keys_are_listed() {
    prints 'rsa +[0-9a-f]+ +interop:site$' certs -K -h interop &&
        prints 'ec +[0-9a-f]+ +interop:site-ec$' certs -K -h interop &&
        prints 'certificate is valid' certs -V -n interop:site -u V
}

# A request of a key in the token, and a certificate from elsewhere that comes to it.
certificate_comes_in() {
    certs -R -h interop -s CN=visitor -k ec -q nistp384 -z "$work/noise" -a -o "$work/visitor.csr" &&
        openssl req -in "$work/visitor.csr" -verify -noout &&
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=elsewhere \
            -keyout "$work/else.key" -out "$work/else.crt" &&
        openssl x509 -req -in "$work/visitor.csr" -CA "$work/else.crt" -CAkey "$work/else.key" \
            -out "$work/visitor.crt" &&
        certs -A -h interop -n visitor -t ,, -i "$work/visitor.crt" &&
        prints 'ec +[0-9a-f]+ +interop:visitor$' certs -K -h interop &&
        certs -F -h interop -n interop:visitor &&
        not certs -L -n interop:visitor &&
        not prints visitor certs -K -h interop
}

# The key comes in wrapped, is sensitive from then on, and does not leave.
imports_pkcs12() { # NAME OPTION...
    local name=$1

    shift
    openssl req -x509 -nodes -subj "/CN=$name" -days 2 -keyout "$work/$name.key" -out "$work/$name.crt" \
        -addext keyUsage=digitalSignature,keyEncipherment "$@" &&
        openssl pkcs12 -export -in "$work/$name.crt" -inkey "$work/$name.key" -name "$name" \
            -passout pass:outside -out "$work/$name.p12" &&
        pk12util -d "$database" -i "$work/$name.p12" -h interop -k "$PIN_FILE" -W outside &&
        certs -M -n "interop:$name" -t C,C,C &&
        signs "$name" "$work/$name.crt" &&
        not pk12util -d "$database" -o "$work/back.p12" -n "interop:$name" -k "$PIN_FILE" -W outside
}

signs() { # NAME [AUTHORITY]
    cmsutil -S -d "$database" -f "$PIN_FILE" -N "interop:$1" -H SHA256 -G \
        -i "$work/letter" -o "$work/letter.p7" &&
        openssl cms -verify -inform DER -in "$work/letter.p7" -CAfile "${2:-$work/ca.crt}" \
            -purpose any -out "$work/content" &&
        cmp "$work/letter" "$work/content"
}

opens() {
    openssl cms -encrypt -binary -aes256 -in "$work/letter" -outform DER -out "$work/closed.p7" \
        "$work/mail.crt" &&
        cmsutil -D -d "$database" -f "$PIN_FILE" -i "$work/closed.p7" -o "$work/content" &&
        cmp "$work/letter" "$work/content"
}

signs_archive() {
    mkdir "$work/tree" && cp "$work/letter" "$work/tree" &&
        signtool -d "$database" -k interop:mail -p "$PIN" -Z "$work/tree.jar" "$work/tree" &&
        prints 'verified +letter' signtool -d "$database" -v "$work/tree.jar"
}

start_server() { # OPTION...
    selfserv -d "$database" -f "$PIN_FILE" -n interop:site -e interop:site-ec -p "$port" -V tls1.2: \
        -N "$@" >"$work/server.log" 2>&1 </dev/null &
    server=$!
    wait_for "the server" bash -c "exec 3<>/dev/tcp/127.0.0.1/$port"
}

shakes_hands() { # OPTION...
    prints 'Verif.*: (0|OK)' timeout 20 openssl s_client -connect "127.0.0.1:$port" \
        -CAfile "$work/ca.crt" -verify_return_error "$@"
}

serves_both() {
    shakes_hands -tls1_3 -sigalgs rsa_pss_rsae_sha256 &&
        shakes_hands -tls1_3 -sigalgs ecdsa_secp256r1_sha256
}

serves() {
    serves_both &&
        shakes_hands -tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256 &&
        shakes_hands -tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256 &&
        shakes_hands -tls1_2 -cipher AES128-GCM-SHA256 &&
        prints 'CN=localhost' timeout 20 vfyserv -d "$database" -p "$port" localhost
}

visits() { # OPTION...
    timeout 20 tstclnt -d "$database" -h localhost -p "$port" -A "$work/request" "$@"
}

client_is_known() {
    visits -V tls1.3: -n interop:client -W "$PIN_FILE" &&
        visits -V tls1.2:tls1.2 -n interop:client -W "$PIN_FILE" &&
        not visits -V tls1.3:
}

check "the module is added to a database" add_module
check "an authority's key and certificate are made" authority_is_made
check "a server's RSA key is certified" certifies site 2 -k rsa -g 2048 -8 localhost
check "a server's P-256 key is certified" certifies site-ec 3 -k ec -q nistp256 -8 localhost
check "a client's P-256 key is certified" certifies client 4 -k ec -q nistp256
check "a key for mail is certified" certifies mail 5 -k rsa -g 2048 \
    --keyUsage digitalSignature,keyEncipherment --extKeyUsage emailProtection,codeSigning
check "the keys are found by their certificates" keys_are_listed
check "a certificate from elsewhere comes in, and goes with its key" certificate_comes_in
check "an RSA key comes in as PKCS #12 and signs" imports_pkcs12 rsa -newkey rsa:2048
check "a P-256 key comes in as PKCS #12 and signs" imports_pkcs12 ec -newkey ec \
    -pkeyopt ec_paramgen_curve:P-256
check "a letter is signed" signs mail
check "a letter is opened" opens
check "an archive is signed" signs_archive
start_server -r -r
check "a client shows itself to a server by its key of the token" client_is_known
stop_server
start_server
check "a server uses both keys, in TLS 1.2 and 1.3" serves
check "letters are signed while each node is killed once" steady_outlives signs mail
steady_say "cmsutil, a login and an RSA signature each"
check "handshakes go on while each node is killed once" steady_outlives serves_both
steady_say "selfserv, an RSA and a P-256 handshake each"
check "handshakes wait while both nodes are gone, and go on" steady_outlives_both serves_both
steady_say "selfserv, both nodes gone"
finish
