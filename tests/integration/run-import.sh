#!/bin/bash
# Keys from files, wrapped keys from elsewhere, keys that leave wrapped, and the objects of a SoftHSM
# token: each comes into a partition and is used there, and OpenSSL verifies with the original public
# key. What is refused says why. Ends with "N passed, N failed". QH_IMPORT=all takes every format and
# every curve; without it each kind of them once, for each import makes a pair of RSA keys.
# shellcheck disable=SC2317 # check calls the functions
set -u
. "${top_srcdir:-$(dirname "$0")/../..}/tests/lib/cluster.sh"
module=$bin/.libs/libquadhsm-pkcs11.so
pin=$(cat "$pins/co")
in=$work/in
all=${QH_IMPORT:-}
mkdir "$in"
printf 'to be signed' >"$in/data"
printf 'correct horse\n' >"$in/passphrase"
printf 'wrong horse\n' >"$in/wrong"
: >"$work/all.out"

# Everything that the command prints is kept, and looked through at the end.
import() { # FILE LABEL ID [ARGUMENT...]
    local file=$1 label=$2 id=$3

    shift 3
    key import "$in/$file" --label "$label" --id "$id" "$@" </dev/null 2>&1 | tee -a "$work/all.out"
    return "${PIPESTATUS[0]}"
}
import_says() { # TEXT FILE LABEL ID [ARGUMENT...]
    local text=$1

    shift
    import "$@" | grep -q "$text"
}
tool() { # ARGUMENT...: pkcs11-tool as co of the partition
    pkcs11-tool --module "$module" --token-label apps --login --pin "$pin" "$@" 2>&1
}
# The token signs with the key, OpenSSL verifies with the public key of the file.
signs_rsa() { # ID PUBLIC
    rm -f "$work/sig"
    tool --sign -m SHA256-RSA-PKCS --id "$1" -i "$in/data" -o "$work/sig" &&
        openssl dgst -sha256 -verify "$in/$2" -signature "$work/sig" "$in/data"
}
signs_ec() { # ID PUBLIC
    rm -f "$work/sig"
    tool --sign -m ECDSA-SHA256 --signature-format openssl --id "$1" -i "$in/data" -o "$work/sig" &&
        openssl dgst -sha256 -verify "$in/$2" -signature "$work/sig" "$in/data"
}
signs_ed() { # ID PUBLIC
    rm -f "$work/sig"
    tool --sign -m EDDSA --id "$1" -i "$in/data" -o "$work/sig" &&
        openssl pkeyutl -verify -rawin -pubin -inkey "$in/$2" -sigfile "$work/sig" -in "$in/data"
}
decrypts_rsa() { # ID PUBLIC
    openssl pkeyutl -encrypt -pubin -inkey "$in/$2" -in "$in/data" -out "$work/enc" &&
        tool --decrypt -m RSA-PKCS --id "$1" -i "$work/enc" -o "$work/dec" &&
        cmp "$in/data" "$work/dec"
}
encrypts_aes() { # ID FILE
    local hex

    hex=$(od -An -tx1 "$in/$2" | tr -d ' \n')
    tool --encrypt -m AES-CBC-PAD --iv 000102030405060708090a0b0c0d0e0f --id "$1" -i "$in/data" -o "$work/enc" &&
        openssl enc -d "-aes-$((${#hex} * 4))-cbc" -K "$hex" -iv 000102030405060708090a0b0c0d0e0f -in "$work/enc" -out "$work/dec" &&
        cmp "$in/data" "$work/dec"
}
shows() { # PATTERN LABEL
    key show "$2" | grep -q -- "$1"
}
count_of() { key list --json | grep -c '"object":'; }

make_files() {
    openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$in/rsa.pem" &&
        openssl pkey -in "$in/rsa.pem" -pubout -out "$in/rsa.pub" &&
        openssl pkey -in "$in/rsa.pem" -traditional -out "$in/rsa.old.pem" &&
        openssl pkcs8 -topk8 -in "$in/rsa.pem" -passout "file:$in/passphrase" -v2 aes-256-cbc -out "$in/rsa.enc.pem" &&
        openssl pkcs8 -topk8 -nocrypt -in "$in/rsa.pem" -outform DER -out "$in/rsa.der" &&
        openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out "$in/small.pem" &&
        openssl req -x509 -new -key "$in/rsa.pem" -subj /CN=server.example -out "$in/rsa.crt" &&
        openssl pkcs12 -export -inkey "$in/rsa.pem" -in "$in/rsa.crt" -passout "file:$in/passphrase" -out "$in/rsa.p12" || return 1
    local curve

    for curve in P-256 P-384 P-521 secp256k1; do
        openssl genpkey -algorithm EC -pkeyopt "ec_paramgen_curve:$curve" -out "$in/$curve.pem" &&
            openssl pkey -in "$in/$curve.pem" -pubout -out "$in/$curve.pub" || return 1
    done
    for curve in ed25519 ed448 x25519; do
        openssl genpkey -algorithm "$curve" -out "$in/$curve.pem" &&
            openssl pkey -in "$in/$curve.pem" -pubout -out "$in/$curve.pub" || return 1
    done
    openssl rand -out "$in/aes" 32 && openssl rand -out "$in/generic" 40
}

node_config alpha east hsm
check "a node is made" node_init alpha
check "a partition and its roles are made" partition_make apps
check "OpenSSL makes keys" make_files

# --- files
check "an RSA key as PKCS#8 PEM is imported" import rsa.pem rsa 01
check "it signs" signs_rsa 01 rsa.pub
check "it decrypts" decrypts_rsa 01 rsa.pub
check "it is sensitive and stays" shows "sensitive, not extractable" rsa
check "importing it again makes nothing, and says so" import_says "was there already" rsa.pem rsa 01
check_refused "another key with the same id is refused" 1 "different --id" import P-256.pem other 01
if [ -n "$all" ]; then
    import rsa.old.pem old 02 --sign-only >/dev/null
    check "a traditional one is, for signing alone" signs_rsa 02 rsa.pub
    check_refused "so it does not decrypt" 1 "." decrypts_rsa 02 rsa.pub
    check "an encrypted one is, with its passphrase" import rsa.enc.pem enc 03 --passphrase-file "$in/passphrase"
    check "it signs" signs_rsa 03 rsa.pub
fi
check "one in DER is" import rsa.der der 04 --extractable
check "one in PKCS#12 is" import rsa.p12 p12 05 --passphrase-file "$in/passphrase"
check "with its certificate" shows "type *certificate" p12
check "it signs" signs_rsa 05 rsa.pub
number=16
for curve in P-256 ${all:+P-384 P-521 secp256k1}; do
    check "a key on $curve is imported" import "$curve.pem" "$curve" "$number"
    check "it signs" signs_ec "$number" "$curve.pub"
    number=$((number + 1))
done
for curve in ed25519 ${all:+ed448}; do
    check "a key on $curve is imported" import "$curve.pem" "$curve" "$number"
    check "it signs" signs_ed "$number" "$curve.pub"
    number=$((number + 1))
done
check "a key on x25519 is imported, to derive with" import_says derive x25519.pem x25519 "$number"
check "a raw AES key is" import aes aes 30 --secret aes
check "it encrypts" encrypts_aes 30 aes
check "importing it again makes nothing, and says so" import_says "was there already" aes aes 30 --secret aes
check_refused "another AES key with its id is refused" 1 "different --id" import generic aes 30 --secret generic
check "a raw generic secret is" import generic hmac 31 --secret generic
check "a certificate alone is" import rsa.crt alone 32

# --- files that are no keys
head -c 900 "$in/rsa.der" >"$in/cut"
: >"$in/empty"
head -c 70000 /dev/zero >"$in/huge"
mkdir "$in/folder"
check_refused "a truncated file is refused" 1 "damaged" import cut bad 90
check_refused "a wrong passphrase is" 1 "wrong, or the file is damaged" \
    import rsa.p12 bad 90 --passphrase-file "$in/wrong"
check_refused "no passphrase and nobody to ask is" 1 "passphrase-file" setsid -w \
    "$quadhsm" key import "$in/rsa.enc.pem" --label bad --partition apps --pin-file "$pins/co"
check_refused "a huge file is" 1 "65,536" import huge bad 90
check_refused "an empty one is" 1 "empty" import empty bad 90
check_refused "a directory is" 1 "directory" import folder bad 90
check_refused "none is" 1 "No such file" import nothing bad 90
check_refused "a key that is too small is" 1 "2048 to 8192" import small.pem bad 90
check_refused "33 bytes are no AES key" 1 "16, 24 or 32" import passphrase bad 90 --secret aes
check_refused "and nothing of all that came in" 1 "not found" key show bad

# --- wrapped elsewhere, by openssl alone
wrap_key() { # PLAIN PUBLIC HASH OUT
    openssl rand -out "$work/ephemeral" 32 &&
        openssl pkeyutl -encrypt -pubin -inkey "$2" -pkeyopt rsa_padding_mode:oaep -pkeyopt "rsa_oaep_md:$3" \
            -pkeyopt "rsa_mgf1_md:$3" -in "$work/ephemeral" -out "$4" &&
        openssl enc -id-aes256-wrap-pad -iv A65959A6 -K "$(od -An -tx1 "$work/ephemeral" | tr -d ' \n')" \
            -in "$1" >>"$4"
}
unwrap_key() { # WRAPPED PRIVATE OUT
    head -c 256 "$1" >"$work/front" && tail -c +257 "$1" >"$work/back" &&
        openssl pkeyutl -decrypt -inkey "$2" -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 \
            -pkeyopt rsa_mgf1_md:sha256 -in "$work/front" -out "$work/ephemeral" &&
        openssl enc -d -id-aes256-wrap-pad -iv A65959A6 -K "$(od -An -tx1 "$work/ephemeral" | tr -d ' \n')" \
            -in "$work/back" -out "$3"
}
check "a wrapping key is made" key wrapping-key --out "$work/wrap.pem"
check "asked again it is the same" key wrapping-key --out "$work/wrap2.pem"
check "to the byte" cmp "$work/wrap.pem" "$work/wrap2.pem"
openssl pkcs8 -topk8 -nocrypt -in "$in/P-256.pem" -outform DER -out "$in/P-256.der"
check "openssl wraps an EC key for it" wrap_key "$in/P-256.der" "$work/wrap.pem" sha256 "$work/byok"
check "which is imported" key import --wrapped "$work/byok" --wrapping-key wrapping-key --type ec --label byok --id 40
check "it signs" signs_ec 40 P-256.pub
if [ -n "$all" ]; then
    check "openssl wraps an RSA key with SHA-1" wrap_key "$in/rsa.der" "$work/wrap.pem" sha1 "$work/byok1"
    check "which is imported, too" key import --wrapped "$work/byok1" --wrapping-key wrapping-key --oaep-hash sha1 --type rsa --label byok1 --id 41
    check "it signs" signs_rsa 41 rsa.pub
fi
check "openssl wraps an AES key" wrap_key "$in/aes" "$work/wrap.pem" sha256 "$work/byok2"
check "which is imported" key import --wrapped "$work/byok2" --wrapping-key wrapping-key --type aes --label byok2 --id 42
check "it encrypts" encrypts_aes 42 aes
check_refused "with another hash it is refused" 1 "oaep-hash" \
    key import --wrapped "$work/byok" --wrapping-key wrapping-key --oaep-hash sha1 --type ec --label bad --id 43
check_refused "and as another type" 1 "." key import --wrapped "$work/byok" --wrapping-key wrapping-key --type rsa --label bad --id 43

# --- out, wrapped
check "an extractable key leaves wrapped by a public key of a file" \
    key export --wrapped --label der --wrapping-key "$in/rsa.pub" --out "$work/out"
check "openssl opens it with the private key" unwrap_key "$work/out" "$in/rsa.pem" "$work/out.der"
check "it is the key" sh -c "openssl pkey -inform DER -in '$work/out.der' -pubout | cmp - '$in/rsa.pub'"
check_refused "nothing is overwritten" 1 "another file" \
    key export --wrapped --label der --wrapping-key "$in/rsa.pub" --out "$work/out"
check "it leaves by a wrapping key of the partition" \
    key export --wrapped --label der --wrapping-key wrapping-key --out "$work/again"
check "and comes back" key import --wrapped "$work/again" --wrapping-key wrapping-key --type rsa --label back --id 44
check "it signs" signs_rsa 44 rsa.pub
check_refused "a key that is not extractable stays" 1 "without --extractable" \
    key export --wrapped --label rsa --wrapping-key "$in/rsa.pub" --out "$work/no"
check "the policy is changed" "$quadhsm" partition policy apps --export never --password-file "$so_password"
check "and shown" sh -c "'$quadhsm' partition list --json | grep -q '\"export\": *\"never\"'"
check_refused "now no key leaves" 1 "partition policy" \
    key export --wrapped --label der --wrapping-key "$in/rsa.pub" --out "$work/no"
check "but keys still come in" import ed25519.pem late 45
check "nothing was written for those" test ! -e "$work/no"

# --- a SoftHSM token
if command -v softhsm2-util >/dev/null; then
    export SOFTHSM2_CONF=$work/softhsm2.conf
    soft=/usr/lib/softhsm/libsofthsm2.so
    mkdir "$work/soft"
    printf 'directories.tokendir = %s\nlog.level = ERROR\n' "$work/soft" >"$SOFTHSM2_CONF"
    printf '98765432\n' >"$work/soft.pin"
    soft() { pkcs11-tool --module "$soft" --token-label old --login --pin 98765432 "$@" 2>&1; }
    public_of() { soft --read-object --type pubkey --id "$1" -o "$work/soft.der" && openssl pkey -pubin -inform DER -in "$work/soft.der" -out "$in/$2"; }
    fill() {
        softhsm2-util --init-token --free --label old --pin 98765432 --so-pin 98765432 &&
            soft --keypairgen --key-type rsa:2048 --id a1 --label soft-rsa --extractable &&
            soft --keypairgen --key-type EC:prime256v1 --id a2 --label soft-ec --extractable &&
            soft --keypairgen --key-type EC:prime256v1 --id a3 --label soft-stays &&
            soft --keygen --key-type AES:32 --id a4 --label soft-aes --extractable --sensitive &&
            { soft --keygen --key-type DES3:24 --id a5 --label soft-des3 --extractable || true; } &&
            soft --write-object "$in/aes" --type secrkey --key-type AES:32 --id a6 --label soft-readable --extractable &&
            openssl x509 -in "$in/rsa.crt" -outform DER -out "$work/crt.der" &&
            soft --write-object "$work/crt.der" --type cert --id a1 --label soft-cert &&
            soft --write-object "$in/data" --type data --label soft-data --application-label test &&
            public_of a1 soft-rsa.pub && public_of a2 soft-ec.pub
    }
    migrate() { "$quadhsm" migrate softhsm --partition apps --token old --source-pin-file "$work/soft.pin" --pin-file "$pins/co" "$@"; }
    count() { sed -n "s/^ *\"$1\": *\([0-9]*\).*/\1/p" "$work/migrated" | head -n 1; }
    check "a SoftHSM token has keys" fill
    before=$(count_of)
    migrate --dry-run --json >"$work/migrated"
    check "a dry run says what would be done" test "$(count copied)" = 9
    check "and does nothing" test "$(count_of)" = "$before"
    migrate --json >"$work/migrated"
    check "the token is copied" test "$(count copied)" = 9
    check "no key of it was in clear on the way" test "$(grep -c '"wrapped": true' "$work/migrated")" = 4
    check "its RSA key signs" signs_rsa a1 soft-rsa.pub
    check "its EC key signs" signs_ec a2 soft-ec.pub
    check "the readable AES key encrypts" encrypts_aes a6 aes
    check "uses, label and id are kept" shows "soft-ec" a2
    check "of what is not extractable there is the public half alone" sh -c \
        "! '$quadhsm' key show a3 --partition apps --pin-file '$pins/co' | grep -q private"
    after=$(count_of)
    migrate --json >"$work/migrated"
    check "copying again copies nothing" test "$(count copied)" = 0
    check "all is there already" test "$(count present)" = 9
    check "and what cannot come is listed" test "$(count left)" = 2
    check "as before" test "$(count_of)" = "$after"
    printf '00000000\n' >"$work/soft.wrong"
    check_refused "a wrong PIN of the other token is told from one of the cluster" 1 "source-pin-file" \
        "$quadhsm" migrate softhsm --partition apps --token old --source-pin-file "$work/soft.wrong" --pin-file "$pins/co"
    check_refused "a token that is not there is told with those that are" 1 '"old"' \
        "$quadhsm" migrate softhsm --partition apps --token new --source-pin-file "$work/soft.pin" --pin-file "$pins/co"
    check_refused "a file that is no module is refused" 1 "opening" \
        "$quadhsm" migrate pkcs11 --module "$in/rsa.pem" --partition apps --pin-file "$pins/co"
fi

# --- a partition is initialized
check_refused "a wrong PIN of po initializes nothing" 4 "." \
    "$quadhsm" partition init apps --yes --pin-file "$in/wrong"
check "the right one does" "$quadhsm" partition init apps --yes --pin-file "$pins/po"
check_refused "co has no PIN then" 4 "no PIN" key list
check "po gives it one" "$quadhsm" role init --partition apps --role co --pin-file "$pins/po" --new-pin-file "$pins/co"
check "and no key is left" test "$(count_of)" = 0
check "a partition to be claimed is made" "$quadhsm" partition create open --claimable --export clear --password-file "$so_password"
check "and claimed, without a question" "$quadhsm" partition init open --name mine --pin-file "$pins/po"
check_refused "once" 4 "." "$quadhsm" partition init mine --yes --pin-file "$in/wrong"

# --- nothing secret was printed, or is on the disk of the node
check "no passphrase and no key was printed" sh -c "! grep -qF -e 'correct horse' -e '$pin' -e PRIVATE '$work/all.out'"
key_bytes=$(openssl pkey -in "$in/ed25519.pem" -outform DER | tail -c 32 | od -An -tx1 | tr -d ' \n')
check "no imported key is in clear on the node's disk" sh -c "! cat '$work'/alpha/* '$work'/alpha/*/* 2>/dev/null | od -An -v -tx1 | tr -d ' \n' | grep -q '$key_bytes'"
finish
