#!/bin/bash
# One node from nothing: init, roles, clients, keys, lost logins, restart, what is refused and how.
# Ends with "N passed, N failed".
set -u
. "${top_srcdir:-$(dirname "$0")/../..}/tests/lib/cluster.sh"

has() { grep -qE "$1" "$work/check.out"; }

node_config alpha east hsm
check "a node is made" node_init alpha
check "it is ready" wait_for 10 node_is_ready alpha
check_refused "a second init is refused" 1 "belongs to a cluster already" \
    "$quadhsm" node init --control "$(socket alpha)" --cluster x --admin y --out "$work/y" --password-file "$so_password"
check "a partition and its roles are made" partition_make apps
check_refused "a second partition of that name is refused" 1 "exists" \
    "$quadhsm" partition create apps --password-file "$so_password"
printf 'not the password\n' >"$work/wrong"
chmod 600 "$work/wrong"
check_refused "a wrong password of the security officer is refused" 4 "wrong" \
    "$quadhsm" partition create other --password-file "$work/wrong"

# --- keys
check "an RSA key is made" key generate --type rsa:2048 --label rsa
check "an EC key is made" key generate --type ec:P-256 --label ec --id 0102
check "an AES key is made" key generate --type aes:256 --label aes
check "they are listed" key list
"$quadhsm" key list --partition apps --pin-file "$pins/co" --json >"$work/keys.json"
check "the list as JSON has all labels" sh -c "grep -q '\"rsa\"' '$work/keys.json' && grep -q '\"ec\"' '$work/keys.json' && grep -q '\"aes\"' '$work/keys.json'"
check_refused "a crypto user makes no keys" 1 "." \
    "$quadhsm" key generate --partition apps --role cu --pin-file "$pins/cu" --type ec:P-256 --label no
check "one is destroyed" key destroy aes --yes
check_refused "and is gone" 1 "not found|no key" key show aes
check_refused "an unknown type is a usage error" 2 "rsa:2048" key generate --type foo --label bar

# --- clients
check "a client is enrolled" "$quadhsm" client enroll web --partition apps --out "$work/web" --password-file "$so_password"
check "it lists keys" "$quadhsm" key list --partition apps --pin-file "$pins/co" --config "$work/web/client.yaml"
check_refused "it is no security officer" 1 "." \
    "$quadhsm" partition create mine --password-file "$so_password" --config "$work/web/client.yaml"
check "it is revoked" "$quadhsm" client revoke web --yes --password-file "$so_password"
check_refused "and is refused then" 1 "not enrolled" \
    "$quadhsm" key list --partition apps --pin-file "$pins/co" --config "$work/web/client.yaml"

# --- wrong PINs are counted in the store and lock the role
for _ in 1 2 3 4 5 6 7 8 9 10; do
    "$quadhsm" key list --partition apps --pin-file "$work/wrong" >"$work/pin.out" 2>&1
done
check_refused "after ten wrong PINs the right one is refused" 4 "locked" key list
node_stop alpha
node_start alpha
wait_for 10 node_is_ready alpha
check_refused "also after a restart" 4 "locked" key list
check "the officer of the partition unlocks the role" \
    "$quadhsm" role unlock --partition apps --role co --pin-file "$pins/po"
check "and the right PIN is taken" key list
check "all keys survived the restart" key show rsa

# --- limits
for n in 2 3 4 5 6 7 8 9 10; do
    "$quadhsm" partition create "p$n" --password-file "$so_password" >/dev/null || echo "partition p$n failed"
done
check_refused "an eleventh partition is refused" 1 "limit" \
    "$quadhsm" partition create p11 --password-file "$so_password"
check_refused "a partition with keys is not deleted by mistake" 1 "force|keys|objects" \
    "$quadhsm" partition delete apps --yes --password-file "$so_password"
check "an empty one is" "$quadhsm" partition delete p10 --yes --password-file "$so_password"
check "and leaves room" "$quadhsm" partition create p11 --password-file "$so_password"

# --- configuration
sed 's/^region:/regoin:/' "$work/alpha.yaml" >"$work/bad.yaml"
check_refused "a wrong key of the configuration is told with file and line" 1 "bad.yaml:2: *regoin" \
    "$bin/quadhsmd" --config "$work/bad.yaml"
check "the configuration can be checked" "$bin/quadhsmd" --config "$work/alpha.yaml" --check

# --- status and stop
check "cluster status is shown" "$quadhsm" cluster status
check "cluster status as JSON" "$quadhsm" cluster status --json
check "it stops when told" node_stop alpha
check_refused "without a node the command says so" 3 "." key list
finish
