#!/bin/bash
# A LUKS volume on a pair of nodes: systemd-cryptenroll puts a key under an RSA key of the token, and
# cryptsetup unlocks the volume by it, while each node is killed once. The volume is a file that is
# never mapped, so nobody need be root.
#
# Reads top_srcdir, top_builddir. Ends with "N passed, N failed".
# shellcheck source=tests/interop/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/interop/steady.sh
. "$(dirname "$0")/steady.sh"
# shellcheck source=tests/interop/engine.sh
. "$(dirname "$0")/engine.sh"
PATH=$PATH:/usr/sbin:/sbin
need cryptsetup systemd-cryptenroll openssl pkcs11-tool
start_pair
start_engine
trap 'steady_end; stop_all' EXIT
home=$work/home
as_user=(env "HOME=$home" "XDG_CONFIG_HOME=$home/config")

# p11-kit, which systemd asks for tokens, reads no user's configuration for root.
prepare_home() {
    mkdir -p "$home/config/pkcs11/modules"
    cp "$MODULE" "$home/module.so"
    sed "s|^module:.*|module: $home/module.so|" "$top_srcdir/conf/quadhsm.module" \
        >"$home/config/pkcs11/modules/quadhsm.module"
    truncate -s 24M "$home/volume"
    printf %s passphrase >"$home/passphrase"
    if [ "$(id -u)" -eq 0 ]; then
        chown -R nobody "$home" "$work/app"
        chmod 711 "$work"
        as_user=(setpriv --reuid=nobody --clear-groups "${as_user[@]}")
    fi
}

user() {
    "${as_user[@]}" "$@"
}

# systemd takes the public key out of a certificate of the token.
make_key() {
    new_key disk rsa:2048 &&
        engine req -new -x509 -subj /CN=disk -days 2 -key "$(key_uri disk)" -outform DER \
            -out "$work/disk.der" &&
        pkcs11-tool --module "$MODULE" --login --pin "$PIN" --write-object "$work/disk.der" --type cert \
            --label disk
}

enrols() {
    PIN=$PIN PASSWORD=passphrase user systemd-cryptenroll \
        --pkcs11-token-uri="pkcs11:token=interop;object=disk" "$home/volume" &&
        prints systemd-pkcs11 user cryptsetup luksDump "$home/volume"
}

# systemd lists only what calls itself hardware.
is_listed() {
    cp "$work/app/client.yaml" "$work/app/hardware.yaml" &&
        printf 'pkcs11:\n  hardware: true\n' >>"$work/app/hardware.yaml" &&
        QUADHSM_CONFIG=$work/app/hardware.yaml prints 'token=interop' \
            user systemd-cryptenroll --pkcs11-token-uri=list &&
        not prints 'token=interop' user systemd-cryptenroll --pkcs11-token-uri=list
}

unlock() { # PIN
    printf %s "$1" | user cryptsetup open --test-passphrase --token-only \
        --token-type systemd-pkcs11 "$home/volume"
}

unlocks() {
    unlock "$PIN"
}

prepare_home
user cryptsetup luksFormat --batch-mode --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
    "$home/volume" "$home/passphrase" >"$work/format.log" 2>&1 ||
    skip "no LUKS volume can be made without a device: $(tail -n 1 "$work/format.log")"
check "a key and its certificate are made" make_key
check "the volume is put under the key" enrols
check "the token is listed where it is to be called hardware" is_listed
check "the volume is unlocked" unlocks
check_not "a wrong PIN does not unlock it" unlock wrong-pin
check "it is unlocked again and again while each node is killed once" steady_outlives unlocks
steady_say "LUKS, unlocked"
check "unlocking waits while both nodes are gone, and goes on" steady_outlives_both unlocks
steady_say "LUKS, both nodes gone"
finish
