#!/bin/bash
# OpenSC's pkcs11-tool against a node: its own test, keys of every kind made, used and checked by
# OpenSSL, objects written and read back, PINs.
#
# Reads top_srcdir, top_builddir, and what tests/interop/lib.sh names. Ends with "N passed, N failed".
# shellcheck source=tests/interop/lib.sh
. "$(dirname "$0")/lib.sh"
need pkcs11-tool openssl
start_cluster

# The tool says what it does on stderr, and does not always say by its exit status that it failed.
tool() {
    pkcs11-tool --module "$MODULE" "$@"
}
user() {
    tool --login --pin "$PIN" "$@"
}

# Its own tests. What was skipped is a key that the test at hand cannot be made with.
own_test() { # OPTION...
    prints '^No errors$' user --test --allow-sw "$@" && ! grep -Ei 'err(:|or) |failed|wrong' "$work/printed"
}

# A pair made, changed, used and deleted.
ec_test() { # CURVE
    prints '^==> OK$' user --session-rw --test-ec --key-type "EC:$1" --id 70 --label test --allow-sw &&
        not prints '^ *ID: *70' user --list-objects
}

# The child initialises the module again; the parent then goes on with its own test.
fork_test() {
    own_test --test-fork && grep -q 'forked child' "$work/printed"
}

# Threads that initialise the module, list its slots and describe its token while the tool's own test
# runs; none may see anything but CKR_OK, or that another one was quicker to initialise.
thread_test() {
    own_test --use-locking --test-threads ILGISLT0GISLT0 --test-threads ILGISLT0GISLT0 \
        --test-threads INGISLT0GISLT0 &&
        grep -q 'all threads have ended with CKR_OK' "$work/printed" &&
        ! grep -E 'returned CKR_|rv:CKR_' "$work/printed" |
            grep -Ev 'CKR_OK$|C_Initialize.*CKR_CRYPTOKI_ALREADY_INITIALIZED$'
}

# As a browser has it: a pair for a certificate's request, and the certificate afterwards.
browser_test() {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/moz.pem" -out "$work/moz.crt" \
        -subj /CN=browser -days 2 &&
        openssl x509 -in "$work/moz.crt" -outform DER -out "$work/moz.der" &&
        prints '^==> OK, successful' user --session-rw --moz-cert "$work/moz.der" --id 71 \
            --key-type rsa:2048
}

# The tool says the PIN again for each signature of such a key.
asks_each_time() {
    user --keypairgen --key-type EC:prime256v1 --id 72 --label always --always-auth --usage-sign &&
        prints 'always authenticate' user --list-objects --type privkey --id 72 &&
        user --sign -m ECDSA-SHA256 --id 72 -i "$work/data" -o "$work/signature" &&
        prints 'Signature is valid' user --verify -m ECDSA-SHA256 --id 72 -i "$work/data" \
            --signature-file "$work/signature" &&
        user --delete-object --type privkey --id 72 && user --delete-object --type pubkey --id 72
}

make_keys() {
    user --keypairgen --key-type rsa:2048 --label rsa --id 01 &&
        user --keypairgen --key-type EC:prime256v1 --label p256 --id 02 --usage-sign &&
        user --keypairgen --key-type EC:secp384r1 --label p384 --id 03 --usage-sign &&
        user --keypairgen --key-type EC:edwards25519 --label ed --id 04 --usage-sign &&
        user --keygen --key-type AES:32 --label aes --id 05 &&
        user --keygen --key-type GENERIC:32 --label hmac --id 06
}

# The point of an EC key, which the tool lists, behind what stands before it in a SubjectPublicKeyInfo:
# OpenSC 0.23's own way to read such a key out fails now and then, with every module. There is one
# of each size, by which it is told from the others.
ec_public_key() { # ID
    local size=41 before=3059301306072a8648ce3d020106082a8648ce3d030107034200

    if [ "$1" = 03 ]; then
        size=61 before=3076301006072a8648ce3d020106052b81040022036200
    fi
    tool --list-objects --type pubkey | sed -n "s/^ *EC_POINT: *04$size/$before/p" |
        tr -d '\n' | sed 's/../\\x&/g' | xargs -0 printf '%b' >"$work/$1.der"
}

public_key() { # ID
    case $1 in
    01) tool --read-object --type pubkey --id "$1" -o "$work/$1.der" ;;
    *) ec_public_key "$1" ;;
    esac &&
        openssl pkey -pubin -inform DER -in "$work/$1.der" -out "$work/$1.pem"
}

# Signed by the token, verified by OpenSSL.
signs() { # MECHANISM ID HASH [OPTION...]
    local mechanism=$1 id=$2 hash=$3

    shift 3
    user --sign -m "$mechanism" --id "$id" -i "$work/data" -o "$work/signature" "$@" &&
        public_key "$id" &&
        openssl dgst "-$hash" -verify "$work/$id.pem" -signature "$work/signature" "$work/data"
}

signs_pss() { # HASH
    local hash=$1

    user --sign -m "${hash^^}-RSA-PKCS-PSS" --id 01 -i "$work/data" -o "$work/signature" &&
        public_key 01 &&
        openssl dgst "-$hash" -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:-1 \
            -verify "$work/01.pem" -signature "$work/signature" "$work/data"
}

# The other way round: the module itself verifies.
verifies() { # MECHANISM ID
    user --sign -m "$1" --id "$2" -i "$work/data" -o "$work/signature" &&
        prints 'Signature is valid' user --verify -m "$1" --id "$2" -i "$work/data" \
            --signature-file "$work/signature"
}

refuses_wrong_data() {
    user --sign -m ECDSA-SHA256 --id 02 -i "$work/data" -o "$work/signature" &&
        prints 'Invalid signature' user --verify -m ECDSA-SHA256 --id 02 -i "$work/other" \
            --signature-file "$work/signature"
}

# It works in parts of a kilobyte, and has no more room for what comes at the end.
encrypts() {
    local iv=000102030405060708090a0b0c0d0e0f

    user --encrypt -m AES-CBC-PAD --iv "$iv" --id 05 -i "$work/data" -o "$work/encrypted" &&
        user --decrypt -m AES-CBC-PAD --iv "$iv" --id 05 -i "$work/encrypted" -o "$work/decrypted" &&
        cmp "$work/data" "$work/decrypted"
}

decrypts_rsa() {
    printf 'a secret' >"$work/secret"
    public_key 01 &&
        openssl pkeyutl -encrypt -pubin -inkey "$work/01.pem" -in "$work/secret" \
            -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 \
            -pkeyopt rsa_mgf1_md:sha256 -out "$work/encrypted" &&
        user --decrypt -m RSA-PKCS-OAEP --hash-algorithm SHA256 --mgf MGF1-SHA256 --id 01 \
            -i "$work/encrypted" -o "$work/decrypted" &&
        cmp "$work/secret" "$work/decrypted"
}

hashes() {
    tool --hash -m SHA256 -i "$work/data" -o "$work/hash" &&
        [ "$(od -An -tx1 "$work/hash" | tr -d ' \n')" = "$(sha256sum <"$work/data" | cut -d' ' -f1)" ]
}

# A file of 4 MiB: more than one request takes.
signs_large() {
    head -c 4194304 /dev/urandom >"$work/data.large"
    user --sign -m SHA256-RSA-PKCS --id 01 -i "$work/data.large" -o "$work/signature" &&
        openssl dgst -sha256 -verify "$work/01.pem" -signature "$work/signature" "$work/data.large"
}

certificate_comes_back() {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/key.pem" -out "$work/cert.pem" \
        -subj /CN=interop -days 2 &&
        openssl x509 -in "$work/cert.pem" -outform DER -out "$work/cert.der" &&
        user --write-object "$work/cert.der" --type cert --label cert --id 20 &&
        tool --read-object --type cert --id 20 -o "$work/back.der" &&
        cmp "$work/cert.der" "$work/back.der"
}

imported_key_signs() {
    openssl pkey -in "$work/key.pem" -outform DER -out "$work/key.der" &&
        user --write-object "$work/key.der" --type privkey --label imported --id 20 --usage-sign &&
        user --sign -m SHA256-RSA-PKCS --id 20 -i "$work/data" -o "$work/signature" &&
        openssl x509 -in "$work/cert.pem" -noout -pubkey >"$work/20.pem" &&
        openssl dgst -sha256 -verify "$work/20.pem" -signature "$work/signature" "$work/data"
}

id_is_changed() {
    user --set-id 21 --id 20 --type privkey &&
        prints 'ID: *21' user --list-objects --type privkey
}

object_is_deleted() {
    user --delete-object --type privkey --id 21 &&
        not prints 'imported' user --list-objects --type privkey
}

data_comes_back() {
    user --write-object "$work/data" --type data --label blob --application-label app &&
        user --read-object --type data --label blob --application-label app -o "$work/back" &&
        cmp "$work/data" "$work/back"
}

random_bytes() {
    tool --generate-random 100000 -o "$work/random" &&
        [ "$(wc -c <"$work/random")" -eq 100000 ]
}

private_objects_are_hidden() {
    not prints 'Private Key Object' tool --list-objects
}

pin_is_changed_and_back() {
    tool --login --pin "$PIN" --change-pin --new-pin another-pin &&
        tool --login --pin another-pin --list-objects &&
        tool --login --pin another-pin --change-pin --new-pin "$PIN" &&
        user --list-objects
}

officer_sets_the_pin() {
    tool --login --login-type so --so-pin "$SO_PIN" --init-pin --pin new-user-pin &&
        tool --login --pin new-user-pin --list-objects &&
        tool --login --login-type so --so-pin "$SO_PIN" --init-pin --pin "$PIN" &&
        user --list-objects
}

# The tool lists all keys, in the order they were made.
derives_as_openssl() {
    local point peer=$work/peer.pem

    user --keypairgen --key-type EC:prime256v1 --id 40 --label derive --usage-derive &&
        openssl ecparam -name prime256v1 -genkey -noout -out "$peer" &&
        openssl pkey -in "$peer" -pubout -outform DER -out "$work/peer.der" &&
        user --derive -m ECDH1-DERIVE --id 40 -i "$work/peer.der" -o "$work/secret" &&
        point=$(tool --list-objects --type pubkey |
            sed -n 's/^ *EC_POINT: *0441//p' | tail -n 1) &&
        printf '3059301306072a8648ce3d020106082a8648ce3d030107034200%s' "$point" |
        sed 's/../\\x&/g' | xargs -0 printf '%b' >"$work/derive.der" &&
        openssl pkeyutl -derive -inkey "$peer" -peerform DER -peerkey "$work/derive.der" \
            -out "$work/wanted" &&
        cmp "$work/secret" "$work/wanted"
}

head -c 5000 /dev/urandom >"$work/data"
head -c 5000 /dev/urandom >"$work/other"

# Only with a cluster of our own, whose security officer we are.
claim() {
    local command=$top_builddir/quadhsm admin=(--config "$work/admin/client.yaml")

    "$command" partition create fresh --claimable "${admin[@]}" --password-file "$work/pin/so" &&
        "$command" client enroll claimer --partition fresh --out "$work/claimer" "${admin[@]}" \
            --password-file "$work/pin/so"
}

fresh_tool() {
    QUADHSM_CONFIG=$work/claimer/client.yaml pkcs11-tool --module "$MODULE" "$@"
}

token_is_initialized() {
    prints 'uninitialized' fresh_tool --list-slots &&
        fresh_tool --init-token --slot-index 0 --label fresh --so-pin first-so-pin &&
        fresh_tool --init-pin --slot-index 0 --login --login-type so --so-pin first-so-pin \
            --new-pin 987654 &&
        fresh_tool --login --pin 987654 --keypairgen --key-type EC:prime256v1 --label gone
}

token_is_initialized_again() {
    not fresh_tool --init-token --slot-index 0 --label other --so-pin wrong-so-pin &&
        prints 'gone' fresh_tool --login --pin 987654 --list-objects &&
        fresh_tool --init-token --slot-index 0 --label other --so-pin first-so-pin &&
        prints 'token label *: other' fresh_tool --list-slots &&
        not fresh_tool --login --pin 987654 --list-objects &&
        not prints 'gone' fresh_tool --list-objects
}

check "the slot is listed" prints 'token label *: interop' tool --list-slots
check "the mechanisms are listed" prints 'SHA256-RSA-PKCS-PSS.*sign, verify' tool --list-mechanisms
check "keys of every kind are made" make_keys
check "the tool's own test finds no error" own_test
check "its test of P-256 keys finds no error" ec_test prime256v1
check "its test of P-384 keys finds no error" ec_test secp384r1
check "a child of a fork starts afresh, and the parent goes on" fork_test
check "threads that start and ask at once find no error" thread_test
check "its test of what browsers do finds no error" browser_test
check "a key that is to be authenticated each time signs" asks_each_time
check "RSA PKCS#1 signs" signs SHA256-RSA-PKCS 01 sha256
check "RSA PKCS#1 with SHA-512 signs" signs SHA512-RSA-PKCS 01 sha512
check "RSA PSS signs" signs_pss sha256
check "RSA PSS with SHA-384 signs" signs_pss sha384
check "P-256 signs" signs ECDSA-SHA256 02 sha256 --signature-format openssl
check "P-384 signs" signs ECDSA-SHA384 03 sha384 --signature-format openssl
check "Ed25519 signs and is verified" verifies EDDSA 04
check "RSA is verified" verifies SHA256-RSA-PKCS 01
check "P-256 is verified" verifies ECDSA-SHA256 02
check "HMAC is made and verified" verifies SHA256-HMAC 06
check "a signature of other data is refused" refuses_wrong_data
check "AES encrypts and decrypts in parts" encrypts
check "RSA OAEP decrypts" decrypts_rsa
check "a secret is derived as by OpenSSL" derives_as_openssl
check "files are hashed" hashes
check "a file of 4 MiB is signed" signs_large
check "a certificate comes back as it was written" certificate_comes_back
check "an imported key signs" imported_key_signs
check "an id is changed" id_is_changed
check "a key is deleted" object_is_deleted
check "data come back as they were written" data_comes_back
check "random bytes come in any number" random_bytes
check "private objects are hidden without a login" private_objects_are_hidden
check_not "a wrong PIN is refused" tool --login --pin wrong-pin --list-objects
check "the PIN is changed and changed back" pin_is_changed_and_back
if [ -n "$SO_PIN" ]; then
    check "the officer sets the user's PIN" officer_sets_the_pin
    check "a partition that may be claimed is made" claim
    check "its first C_InitToken claims it, and the user gets a PIN" token_is_initialized
    check "another one destroys all, if the officer's PIN is right" token_is_initialized_again
fi
finish
