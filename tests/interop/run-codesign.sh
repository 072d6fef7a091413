#!/bin/bash
# Code signing against a pair of nodes: osslsigncode, sbsign and openssl cms sign programs with keys
# of the token through libp11's engine, while each node is killed once.
#
# Reads top_srcdir, top_builddir. Ends with "N passed, N failed".
# shellcheck source=tests/interop/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/interop/steady.sh
. "$(dirname "$0")/steady.sh"
# shellcheck source=tests/interop/engine.sh
. "$(dirname "$0")/engine.sh"
need openssl osslsigncode sbsign sbverify
start_pair
start_engine
trap 'steady_end; stop_all' EXIT

# COUNT bytes, little endian.
number() { # COUNT VALUE
    local byte

    for ((byte = 0; byte < $1; byte++)); do
        # shellcheck disable=SC2059 # the format is the byte
        printf "\\x$(printf %02x $(($2 >> 8 * byte & 255)))"
    done
}

numbers() { # COUNT VALUE...
    local count=$1 value

    shift
    for value in "$@"; do
        number "$count" "$value"
    done
}

zeros() { # COUNT
    head -c "$1" /dev/zero
}

# The smallest that firmware and Windows take for a program: a section of code that returns at once.
# Subsystem 10 is EFI's.
make_program() { # SUBSYSTEM
    printf MZ && zeros 58 && number 4 64
    printf 'PE\0\0' && numbers 2 0x8664 1 && zeros 12 && numbers 2 240 0x22e
    number 2 0x20b && zeros 2 && numbers 4 512 0 0 0x1000 0x1000 && number 8 0x400000
    numbers 4 0x1000 512 && numbers 2 6 0 0 0 6 0 && numbers 4 0 0x2000 512 0
    numbers 2 "$1" 0x160 && numbers 8 0x10000 0x1000 0x10000 0x1000 && numbers 4 0 16 && zeros 128
    printf '.text\0\0\0' && numbers 4 512 0x1000 512 512 && zeros 12 && number 4 0x60000020
    zeros 144 && printf '\xc3' && zeros 511
}

make_keys() {
    local extension=extendedKeyUsage=codeSigning

    new_key authority ec:P-384 && new_key rsa rsa:3072 && new_key p256 ec:P-256 &&
        make_authority authority &&
        certify authority rsa "$extension" && certify authority p256 "$extension"
}

sign_program() { # LABEL OUT OPTION...
    local label=$1 out=$2

    shift 2
    rm -f "$out"
    osslsigncode sign -pkcs11module "$MODULE" -readpass "$PIN_FILE" \
        -key "pkcs11:token=interop;object=$label;type=private" -certs "$work/$label.crt" -h sha256 "$@" \
        -in "$work/program.exe" -out "$out"
}

program_is_signed() { # FILE
    osslsigncode verify -CAfile "$work/authority.crt" -in "$1"
}

signs_program() { # LABEL OPTION...
    local label=$1

    shift
    sign_program "$label" "$work/signed.exe" "$@" && program_is_signed "$work/signed.exe"
}

# A byte of the code; the signature stands behind.
refuses_changed_program() {
    cp "$work/signed.exe" "$work/changed.exe" &&
        printf '\x90' | dd of="$work/changed.exe" bs=1 seek=600 conv=notrunc &&
        not program_is_signed "$work/changed.exe"
}

# The certificate is the token's, too.
finds_certificate() {
    openssl x509 -in "$work/rsa.crt" -outform DER -out "$work/rsa.der" &&
        pkcs11-tool --module "$MODULE" --login --pin "$PIN" --write-object "$work/rsa.der" --type cert \
            --label rsa &&
        rm -f "$work/signed.exe" &&
        osslsigncode sign -pkcs11module "$MODULE" -readpass "$PIN_FILE" \
            -pkcs11cert "pkcs11:token=interop;object=rsa;type=cert" \
            -key "pkcs11:token=interop;object=rsa;type=private" -h sha256 \
            -in "$work/program.exe" -out "$work/signed.exe" &&
        program_is_signed "$work/signed.exe"
}

# As a boot loader or a kernel is signed for Secure Boot. sbsign wants RSA.
signs_boot_loader() {
    rm -f "$work/signed.efi"
    OPENSSL_CONF=$work/openssl.cnf sbsign --engine pkcs11 --key "$(key_uri rsa)" \
        --cert "$work/rsa.crt" --output "$work/signed.efi" "$work/loader.efi" &&
        sbverify --cert "$work/rsa.crt" "$work/signed.efi"
}

sbverify_takes_osslsigncode() {
    sign_program rsa "$work/signed.exe" && sbverify --cert "$work/rsa.crt" "$work/signed.exe"
}

# As the kernel's sign-file makes what it appends to a module: no certificate, no attribute.
signs_module() { # LABEL
    engine cms -sign -binary -noattr -nocerts -md sha256 -signer "$work/$1.crt" -inkey "$(key_uri "$1")" \
        -in "$work/data" -outform DER -out "$work/module.p7s" &&
        openssl cms -verify -binary -inform DER -in "$work/module.p7s" -content "$work/data" -nointern \
            -certfile "$work/$1.crt" -CAfile "$work/authority.crt" -purpose any -out "$work/content"
}

# With the certificate and the time, as an update or a package is signed.
signs_update() { # LABEL OPTION...
    local label=$1

    shift
    engine cms -sign -binary -cades -signer "$work/$label.crt" -inkey "$(key_uri "$label")" "$@" \
        -in "$work/data" -outform DER -out "$work/update.p7s" &&
        openssl cms -verify -binary -cades -inform DER -in "$work/update.p7s" -content "$work/data" \
            -CAfile "$work/authority.crt" -purpose any -out "$work/content" &&
        not openssl cms -verify -binary -inform DER -in "$work/update.p7s" -content "$work/other" \
            -CAfile "$work/authority.crt" -purpose any -out "$work/content"
}

# A release: a fresh process each, as a build server does it.
signs_release() {
    signs_program rsa && signs_boot_loader && signs_update p256 -md sha256
}

make_program 3 >"$work/program.exe"
make_program 10 >"$work/loader.efi"
head -c 100000 /dev/urandom >"$work/data"
head -c 100000 /dev/urandom >"$work/other"

check "keys and their certificates are made" make_keys
for label in rsa p256; do
    check "osslsigncode signs a program with $label" signs_program "$label"
    check "a changed program is refused" refuses_changed_program
    check "openssl cms signs a kernel's module with $label" signs_module "$label"
    check "openssl cms signs an update with $label" signs_update "$label" -md sha384
done
check "page hashes and a description are signed" signs_program rsa -ph -n "A program"
check "osslsigncode finds the certificate in the token" finds_certificate
check "sbsign signs a boot loader" signs_boot_loader
check "sbverify takes what osslsigncode signed" sbverify_takes_osslsigncode
check "RSA PSS signs an update" signs_update rsa -md sha256 -keyopt rsa_padding_mode:pss
check_not "a key that is not there does not sign" sign_program nothing "$work/nothing.exe"
check "signing goes on while each node is killed once" steady_outlives signs_release
steady_say "osslsigncode, sbsign and openssl cms, a signature each"
check "signing waits while both nodes are gone, and goes on" steady_outlives_both signs_release
steady_say "code signing, both nodes gone"
finish
