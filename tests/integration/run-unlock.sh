#!/bin/bash
# A node with a passphrase is locked until an operator gives it; what a stolen disk lacks; an init
# that was interrupted. Ends with "N passed, N failed".
set -u
. "${top_srcdir:-$(dirname "$0")/../..}/tests/lib/cluster.sh"

printf 'open sesame, please\n' >"$work/passphrase"
printf 'open barley, please\n' >"$work/other"
chmod 600 "$work/passphrase" "$work/other"
node_config alpha east hsm 'unlock:' '  method: passphrase'
node_start alpha
check_refused "init without a passphrase is refused" 1 "passphrase" \
    "$quadhsm" node init --control "$(socket alpha)" --cluster test --admin admin --out "$work/admin" --password-file "$so_password"
check "init with one" "$quadhsm" node init --control "$(socket alpha)" --cluster test --admin admin \
    --out "$work/admin" --password-file "$so_password" --passphrase-file "$work/passphrase"
check "a partition is made" partition_make apps
check "and a key" key generate --type ec:P-256 --label ec
node_stop alpha
node_start alpha
check "after a restart it is locked" wait_for 10 sh -c "'$quadhsm' node status --control '$(socket alpha)' --json | grep -q '\"locked\"'"
check_refused "and uses no key" 1 "locked" key list
check_refused "a wrong passphrase is refused" 4 "wrong" \
    "$quadhsm" node unlock --control "$(socket alpha)" --passphrase-file "$work/other"
check "the right one unlocks it" "$quadhsm" node unlock --control "$(socket alpha)" --passphrase-file "$work/passphrase"
check "and the key is there" key show ec
node_stop alpha

# --- unlock by file
export QUADHSM_CONFIG=$work/admin2/client.yaml
node_config beta east hsm
check "another cluster" node_init beta admin2
node_stop beta
mv "$work/beta.key" "$work/beta.key.away"
check_refused "without its key file a node does not start" 1 "beta.key" timeout 60 "$bin/quadhsmd" --config "$work/beta.yaml"
printf '%064d\n' 1 >"$work/beta.key"
chmod 400 "$work/beta.key"
check_refused "nor with another one" 1 "cannot unlock" timeout 60 "$bin/quadhsmd" --config "$work/beta.yaml"
rm -f "$work/beta.key"
cp "$work/beta.key.away" "$work/beta.key"
chmod 444 "$work/beta.key"
check_refused "nor with one that others may read" 1 "chmod" timeout 60 "$bin/quadhsmd" --config "$work/beta.yaml"
chmod 400 "$work/beta.key"
node_start beta
check "with its own it does" wait_for 10 node_is_ready beta
node_stop beta
: >"$work/beta/boot"
check_refused "what an interrupted init left is refused" 1 "interrupted" timeout 60 "$bin/quadhsmd" --config "$work/beta.yaml"
finish
