#!/bin/sh
# The check of the built files: every ELF program and shared object below the
# build directory is hardened and exports only what tests/checks/exports.txt lists.
#
# Reads top_srcdir and top_builddir; QH_SANITIZE is what --enable-sanitize was
# given. Prints each breach as FILE: what, then "N passed, N failed".
set -u
top_srcdir=${top_srcdir:-.}
top_builddir=${top_builddir:-.}
exports=$top_srcdir/tests/checks/exports.txt
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# A sanitizer's runtime exports its own symbols and wants no fortified calls.
if [ "${QH_SANITIZE:-no}" != no ]; then
    echo "sanitized build: not for use, and not checked"
    exit 77
fi
export LC_ALL=C

is_elf() {
    [ "$(head -c 4 "$1" | od -An -tx1 | tr -d ' \n')" = 7f454c46 ]
}

check_common() { # FILE: for programs and shared objects
    grep -q 'GNU_RELRO' "$work/segments" || echo "$1: no RELRO"
    grep -Eq '\(BIND_NOW\)|FLAGS.*(BIND_NOW| NOW)' "$work/dynamic" || echo "$1: no BIND_NOW"
    awk '$1 == "GNU_STACK" { found = 1; if ($(NF - 1) ~ /E/) bad = 1 }
         END { exit !found || bad }' "$work/segments" || echo "$1: executable stack"
    awk '$1 == "LOAD" { flags = ""; for (i = 7; i < NF; i++) flags = flags $i
                        if (flags ~ /W/ && flags ~ /E/) bad = 1 }
         END { exit bad }' "$work/segments" || echo "$1: a segment is writable and executable"
    if grep -Eq '\((RPATH|RUNPATH)\)' "$work/dynamic"; then echo "$1: RPATH or RUNPATH"; fi
    if grep -q 'TEXTREL' "$work/dynamic"; then echo "$1: text relocations"; fi
    case $(basename "$1") in
    libquadhsm-pkcs11.so) grep -q 'NODELETE' "$work/dynamic" || echo "$1: dlclose() unloads it" ;;
    esac
}

# Defined dynamic symbols. "name@VERSION" with one @ belongs to another object
# (a copy relocation), with two it is exported from here.
list_exports() {
    awk '$5 ~ /GLOBAL|WEAK/ && $7 != "UND" && $7 != "ABS" && $8 !~ /[^@]@[^@]/ {
             sub(/@@.*/, "", $8); print $8 }' "$work/symbols"
}

check_exports() { # FILE
    name=$(basename "$1")
    list_exports | while read -r symbol; do
        allowed=no
        while read -r file_pattern symbol_pattern; do
            # shellcheck disable=SC2254 # the patterns are meant as patterns
            case $name in
            $file_pattern) case $symbol in $symbol_pattern) allowed=yes ;; esac ;;
            esac
        done <"$work/exports"
        [ "$allowed" = yes ] || echo "$1: exports $symbol"
    done
}

check_file() { # FILE
    readelf -hW "$1" >"$work/header" 2>/dev/null || { echo "$1: unreadable"; return; }
    type=$(awk '$1 == "Type:" { print $2 }' "$work/header")
    case $type in
    DYN | EXEC) ;;
    *) return ;; # an object file
    esac
    readelf -lW "$1" >"$work/segments"
    readelf -dW "$1" >"$work/dynamic"
    readelf --dyn-syms -W "$1" >"$work/symbols"
    echo "$1" >>"$work/seen"
    if [ "$type" = EXEC ]; then
        echo "$1: not a position-independent executable"
    elif grep -q 'INTERP' "$work/segments" && ! grep -q 'FLAGS_1.*PIE' "$work/dynamic"; then
        echo "$1: a program that is not linked as PIE"
    fi
    check_common "$1"
    check_exports "$1"
}

grep -Ev '^[ \t]*(#|$)' "$exports" >"$work/exports"
: >"$work/seen"
# distcheck's trees are checked from within; configure's attempts are no products.
find "$top_builddir" -type d -name 'quadhsm-[0-9]*' -prune -o \
    -type f \( -perm -100 -o -name '*.so*' \) ! -name '*.la' ! -name '*.lo' ! -name '*.o' \
    ! -name 'conftest*' -print | LC_ALL=C sort >"$work/files"
while read -r file; do
    if is_elf "$file"; then
        check_file "$file"
    fi
done <"$work/files" >"$work/breaches"

cat "$work/breaches"
echo "$(wc -l <"$work/seen") programs and shared objects read"
if [ ! -s "$work/seen" ]; then
    echo "$top_builddir: nothing was built"
fi
if [ -s "$work/breaches" ] || [ ! -s "$work/seen" ]; then
    echo "0 passed, 1 failed"
    exit 1
fi
echo "1 passed, 0 failed"
