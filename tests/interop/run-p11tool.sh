#!/bin/bash
# GnuTLS's p11tool, and p11-kit, against a node: tokens, keys and certificates made, listed, used and
# deleted by their URLs.
#
# Reads top_srcdir, top_builddir, and what tests/interop/lib.sh names. Ends with "N passed, N failed".
# shellcheck source=tests/interop/lib.sh
. "$(dirname "$0")/lib.sh"
need p11tool p11-kit certtool openssl
start_cluster
export GNUTLS_PIN=$PIN
token="pkcs11:token=interop"

tool() {
    p11tool --provider "$MODULE" "$@"
}
user() {
    tool --login "$@"
}

makes() { # LABEL ID OPTION...
    local label=$1 id=$2

    shift 2
    user "$@" --label "$label" --id "$id" --outfile "$work/$label.pem" "$token" &&
        openssl pkey -pubin -in "$work/$label.pem" -noout
}

# GnuTLS signs with the private key, and verifies with the public one on the token and here.
signs() { # LABEL
    prints 'Verifying against public key in the token\.\.\. ok' \
        user --test-sign "$token;object=$1;type=private"
}

exports() { # LABEL
    user --export-pubkey "$token;object=$1;type=private" --outfile "$work/exported.pem" &&
        cmp "$work/exported.pem" "$work/$1.pem"
}

make_certificate() {
    printf 'cn = "interop"\nexpiration_days = 2\nsigning_key\n' >"$work/template"
    user --list-keys "$token" >"$work/keys" &&
        certtool --provider "$MODULE" --generate-self-signed --template "$work/template" \
            --load-privkey "$token;object=rsa;type=private" \
            --load-pubkey "$token;object=rsa;type=public" --outfile "$work/cert.pem" &&
        openssl verify -CAfile "$work/cert.pem" "$work/cert.pem"
}

writes_certificate() {
    user --write --load-certificate "$work/cert.pem" --label cert "$token" &&
        prints 'Label: cert' tool --list-all-certs "$token" &&
        tool --export "$token;object=cert;type=cert" --outfile "$work/back.pem" &&
        [ "$(openssl x509 -in "$work/back.pem" -outform DER | sha256sum)" = \
            "$(openssl x509 -in "$work/cert.pem" -outform DER | sha256sum)" ]
}

writes_key() {
    openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$work/key.pem" &&
        user --write --load-privkey "$work/key.pem" --label imported --id 20 "$token" &&
        prints 'Verifying against private key parameters\.\.\. ok' \
            user --test-sign "$token;object=imported;type=private"
}

renames() {
    user --set-label renamed "$token;object=imported;type=private" &&
        user --set-id 30 "$token;object=renamed;type=private" &&
        prints 'ID: 30' user --info "$token;object=renamed;type=private"
}

deletes() {
    user --batch --delete "$token;object=renamed" &&
        not prints 'Label: renamed' user --list-all "$token"
}

# As an administrator would make the module known, for one user.
kit_knows() {
    mkdir -p "$work/config/pkcs11/modules"
    sed "s|^module:.*|module: $MODULE|" "$top_srcdir/conf/quadhsm.module" \
        >"$work/config/pkcs11/modules/quadhsm.module"
    HOME=$work XDG_CONFIG_HOME=$work/config prints 'token: interop' p11-kit list-modules
}

check "the token is listed" prints 'Label: interop' tool --list-tokens
check "the mechanisms are listed" prints 'CKM_ECDSA_SHA256' tool --list-mechanisms "$token"
check "an RSA pair is made" makes rsa 01 --generate-privkey=rsa --bits=2048
check "a P-256 pair is made" makes p256 02 --generate-privkey=ecc --curve=secp256r1
check "a P-384 pair is made" makes p384 03 --generate-privkey=ecc --curve=secp384r1
check "an Ed25519 pair is made" makes ed 04 --generate-privkey=ed25519
check "RSA signs" signs rsa
check "P-256 signs" signs p256
check "P-384 signs" signs p384
check "everything is listed" prints 'Object 7:' user --list-all "$token"
check "without a login the private keys are not" not prints 'Private key' tool --list-all "$token"
check "a public key is read from the private one" exports p256
check "a certificate is signed by the token" make_certificate
check "a certificate is written and read" writes_certificate
check "a key is written and signs" writes_key
check "label and id are changed" renames
check "objects are deleted" deletes
check "random bytes are given" tool --generate-random=64 "$token" --outfile "$work/random"
check "a wrong PIN is refused" not env GNUTLS_PIN=wrong-pin \
    p11tool --provider "$MODULE" --login --batch --list-all "$token"
# p11-kit reads no user's configuration for root.
if [ "$(id -u)" -ne 0 ]; then
    check "p11-kit knows the token by the module file" kit_knows
fi
finish
