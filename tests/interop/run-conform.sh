#!/bin/bash
# Our own conformance program against a real node over TLS: every mechanism that the module lists,
# both ways between the token and OpenSSL, and the rules of attributes, objects, sessions and PINs.
#
# Reads top_srcdir, top_builddir, and what tests/interop/lib.sh names, but always on a cluster of its
# own, of which it makes a partition anew. Ends with "N passed, N failed".
# shellcheck source=tests/interop/lib.sh
. "$(dirname "$0")/lib.sh"
unset QUADHSM_CONFIG
start_cluster
[ -x "$top_builddir/tests/interop/qh-conform" ] || give_up "tests/interop/qh-conform is not built"

command=$top_builddir/quadhsm
admin=(--config "$work/admin/client.yaml" --password-file "$work/pin/so")
run "$command" partition create spare "${admin[@]}"
run "$command" role init --partition spare --role po "${admin[@]}" --new-pin-file "$work/pin/po"
run "$command" client enroll conform --partition interop --partition spare \
    --out "$work/conform" "${admin[@]}"

QUADHSM_CONFIG=$work/conform/client.yaml "$top_builddir/tests/interop/qh-conform" "$MODULE" \
    interop "$work/pin/co" "$work/pin/po" spare
