#!/bin/bash
# pkcs11-tool and p11tool on a pair of nodes: they run again and again, and one of each kind of their
# long operations is under way, while each node is killed once. run-pkcs11-tool.sh and run-p11tool.sh
# have what they can do.
#
# Reads top_srcdir, top_builddir. Ends with "N passed, N failed".
# shellcheck source=tests/interop/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/interop/steady.sh
. "$(dirname "$0")/steady.sh"
need pkcs11-tool p11tool openssl
start_pair
export GNUTLS_PIN=$PIN
token="pkcs11:token=interop"
iv=000102030405060708090a0b0c0d0e0f
declare -A long=()

end_long() {
    touch "$work/go"
    [ "${#long[@]}" -eq 0 ] || { kill "${long[@]}" && wait "${long[@]}"; } 2>/dev/null
}
trap 'steady_end; end_long; stop_all' EXIT

user() {
    pkcs11-tool --module "$MODULE" --login --pin "$PIN" "$@"
}

make_keys() {
    user --keypairgen --key-type rsa:2048 --label rsa --id 01 &&
        user --keypairgen --key-type EC:prime256v1 --label p256 --id 02 --usage-sign &&
        user --keygen --key-type AES:32 --label aes --id 03 &&
        user --keygen --key-type GENERIC:32 --label hmac --id 04 &&
        user --read-object --type pubkey --id 01 -o "$work/rsa.der" &&
        openssl pkey -pubin -inform DER -in "$work/rsa.der" -out "$work/rsa.pem"
}

rsa_is_right() { # DATA
    openssl dgst -sha256 -verify "$work/rsa.pem" -signature "$work/signature" "$1"
}

# Two processes: what the first signed the second verifies, and OpenSSL, too.
tool_signs() {
    user --sign -m SHA256-RSA-PKCS --id 01 -i "$work/data" -o "$work/signature" &&
        rsa_is_right "$work/data" &&
        prints 'Signature is valid' user --verify -m SHA256-RSA-PKCS --id 01 -i "$work/data" \
            --signature-file "$work/signature"
}

kit_signs() {
    prints 'Verifying against public key in the token\.\.\. ok' \
        p11tool --provider "$MODULE" --login --test-sign "$token;object=p256;type=private"
}

both_sign() {
    tool_signs && kit_signs
}

tests_itself() {
    prints '^No errors$' user --test --allow-sw
}

# Nobody but this one has the pipe open: not the nodes that are started meanwhile.
feed() { # NAME
    cat "$work/half"
    touch "$work/$1.begun"
    until [ -e "$work/go" ]; do
        sleep 0.05
    done
    cat "$work/half"
}

# Of a pipe, so that the tool is in the middle of its data for as long as we want.
long_start() { # NAME OPTION...
    local name=$1

    shift
    mkfifo "$work/$name.pipe" || return 1
    feed "$name" >"$work/$name.pipe" &
    user "$@" -i "$work/$name.pipe" -o "$work/$name.made" >"$work/$name.log" 2>&1 </dev/null &
    long[$name]=$!
    soon test -e "$work/$name.begun"
}

# Each in one process and one operation: the first half before, the other one after the deaths.
long_all_outlive() {
    local name status=0

    long_start rsa --sign -m SHA256-RSA-PKCS --id 01 &&
        long_start hmac --sign -m SHA256-HMAC --id 04 &&
        long_start aes --encrypt -m AES-CBC-PAD --iv "$iv" --id 03 &&
        roll_nodes 1 && restart_node beta || return 1
    touch "$work/go"
    for name in "${!long[@]}"; do
        wait "${long[$name]}" || status=1
        unset "long[$name]"
        cat "$work/$name.log"
    done
    return "$status"
}

rsa_was_right() {
    cp "$work/rsa.made" "$work/signature" && rsa_is_right "$work/whole"
}

hmac_was_right() {
    user --sign -m SHA256-HMAC --id 04 -i "$work/whole" -o "$work/wanted" &&
        cmp "$work/wanted" "$work/hmac.made"
}

aes_was_right() {
    user --decrypt -m AES-CBC-PAD --iv "$iv" --id 03 -i "$work/aes.made" -o "$work/back" &&
        cmp "$work/whole" "$work/back"
}

head -c 5000 /dev/urandom >"$work/data"
# More than a pipe holds, so that some of it has been read when the feeder waits.
head -c 100000 /dev/urandom >"$work/half"
cat "$work/half" "$work/half" >"$work/whole"

check "keys are made" make_keys
check "they sign and verify again and again while each node is killed once" steady_outlives both_sign
steady_say "pkcs11-tool and p11tool, four processes each"
check "they wait while both nodes are gone, and go on" steady_outlives_both both_sign
steady_say "pkcs11-tool and p11tool, both nodes gone"
check "pkcs11-tool's own test goes on while each node is killed once" steady_outlives tests_itself
steady_say "pkcs11-tool --test"
check "operations in parts outlive each node" long_all_outlive
check "a signature in parts is right" rsa_was_right
check "an HMAC in parts is right" hmac_was_right
check "an encryption in parts is right" aes_was_right
finish
