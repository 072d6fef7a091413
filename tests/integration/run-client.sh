#!/bin/bash
# The client library as an application has it: installed, found by pkg-config, the example built and
# run; the levels of reading; the loss of every address it was born with. Ends with "N passed, N
# failed".
set -u
. "${top_srcdir:-$(dirname "$0")/../..}/tests/lib/cluster.sh"
top_srcdir=$(cd "${top_srcdir:-$(dirname "$0")/../..}" && pwd)

build_example() {
    PKG_CONFIG_PATH=$work/root/lib/pkgconfig
    export PKG_CONFIG_PATH
    # shellcheck disable=SC2046 # words are wanted
    "${CC:-gcc}" -Wall -Wextra -Werror -o "$work/sign" "$top_srcdir/doc/examples/sign.c" \
        $(pkg-config --cflags --libs quadhsm) -Wl,-rpath,"$work/root/lib"
}
install_library() {
    make -C "$bin" install-libLTLIBRARIES install-includeHEADERS install-nodist_pkgconfigDATA \
        prefix="$work/root" exec_prefix="$work/root" libdir="$work/root/lib" includedir="$work/root/include" &&
        sed -i "s#^\(prefix\|exec_prefix\)=.*#\1=$work/root#; s#^libdir=.*#libdir=$work/root/lib#; s#^includedir=.*#includedir=$work/root/include#" \
            "$work/root/lib/pkgconfig/quadhsm.pc"
}
sign_example() {
    QUADHSM_PIN=$(cat "$pins/cu") "$work/sign" apps ec "a message"
}

node_config alpha east hsm
node_config beta west hsm
node_config omega north witness
check "a pair" node_init alpha
check "its second node" node_join beta
check "a witness" node_join omega --witness
check "a partition" partition_make apps
check "a key" key generate --type ec:P-256 --label ec

if [ -n "${QH_SANITIZE:-}" ] && [ "$QH_SANITIZE" != no ]; then
    echo "built with sanitizers: the example is left out"
else
    check "the library is installed" install_library
    check "the example builds with pkg-config alone" build_example
    check "and signs" sign_example
fi

check "a client for the application" "$quadhsm" client enroll web --partition apps --out "$work/web" --password-file "$so_password"
cp -r "$work/web" "$work/web2"
printf 'region: east\n' >>"$work/web/client.yaml"
printf 'region: west\n' >>"$work/web2/client.yaml"
check "what one client made another one reads elsewhere, linearizable" \
    "$bin/tests/integration/qh-levels" --partition apps --pin-file "$pins/co" "$work/web/client.yaml" "$work/web2/client.yaml"
cat "$work/check.out"

# Born with alpha's address alone, it has learnt beta's.
check "the first configuration names one node" sh -c "[ \$(grep -c ':7600' '$work/admin/client.yaml') -eq 1 ]"
check "the cluster is asked once" "$quadhsm" cluster nodes
node_stop alpha KILL
check "with that node gone the others are known" wait_for 20 key show ec
finish
