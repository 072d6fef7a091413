#!/bin/bash
# A witness holds no key: neither its disk nor its memory has bytes of a known key, which the same
# search finds in an unlocked node's memory. Ends with "N passed, N failed".
set -u
. "${top_srcdir:-$(dirname "$0")/../..}/tests/lib/cluster.sh"
module=$bin/.libs/libquadhsm-pkcs11.so
search=$bin/tests/integration/qh-grep-memory

node_config alpha east hsm
node_config beta east hsm
node_config omega north witness
check "a pair" node_init alpha
check "its second node" node_join beta
check "a witness" node_join omega --witness
check "a partition" partition_make apps

# A known AES key, put in and used, so that the node has it open.
head -c 32 /dev/urandom >"$work/aes.bin"
check "a known key is put in" pkcs11-tool --module "$module" --token-label apps --login --pin "$(cat "$pins/co")" \
    --write-object "$work/aes.bin" --type secrkey --key-type AES:32 --label known --id 77
check "and used" pkcs11-tool --module "$module" --token-label apps --login --pin "$(cat "$pins/co")" \
    --encrypt --mechanism AES-CBC-PAD --iv 000102030405060708090a0b0c0d0e0f --id 77 \
    --input-file "$so_password" --output-file "$work/encrypted"
check "the witness has the records" wait_for 20 sh -c "'$quadhsm' node status --control '$(socket omega)' --json | grep -Eq '\"revision\": *[1-9]'"
if ! "$search" "$work/aes.bin" --pid "${node_pid[omega]}" >/dev/null 2>&1 && [ $? -eq 77 ]; then
    echo "memory cannot be searched here (needs root or ptrace): that part is left out"
else
    for node in alpha beta; do
        "$search" "$work/aes.bin" --pid "${node_pid[$node]}" >>"$work/found" 2>&1
    done
    check "the search finds the key in an unlocked node's memory" grep -q "found" "$work/found"
    check_refused "and not in the witness's memory" 1 "none" "$search" "$work/aes.bin" --pid "${node_pid[omega]}"
fi
for node in alpha beta omega; do
    check_refused "nor on the disk of $node" 1 "none" "$search" "$work/aes.bin" --dir "$work/$node"
done
check "the search finds it on a disk where it is" "$search" "$work/aes.bin" --dir "$work"
check_refused "a witness has nothing to unlock" 1 "witness" \
    "$quadhsm" node unlock --control "$(socket omega)" --passphrase-file "$so_password"
node_stop beta KILL
check "with the witness a pair goes on without one node" wait_for 20 key generate --type ec:P-256 --label more
finish
