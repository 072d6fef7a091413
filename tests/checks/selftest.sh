#!/bin/sh
# Shows that the checks can fail: each is run on a copy of a small tree that passes,
# with one breach planted, and must name it.
#
# Reads top_srcdir and CC. Prints one line a case, then "N passed, N failed".
set -u
top_srcdir=$(cd "${top_srcdir:-.}" && pwd)
CC=${CC:-cc}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

# A tree with two layers, in which nothing is wrong.
make_tree() {
    rm -rf "$work/tree"
    mkdir -p "$work/tree/src/base" "$work/tree/src/store" "$work/tree/src/crypto" \
        "$work/tree/raft-glue" "$work/tree/scripts" "$work/tree/doc" "$work/tree/tests/checks"
    cp "$top_srcdir/scripts/layers.txt" "$work/tree/scripts/"
    cp "$top_srcdir/.clang-format" "$work/tree/"
    cp "$top_srcdir/tests/checks/exports.txt" "$work/tree/tests/checks/"
    chmod -R u+w "$work/tree" # distcheck's sources are read-only
    printf '/* A header. */\nint base_one(void);\n' >"$work/tree/src/base/base.h"
    cp "$work/tree/src/base/base.h" "$work/tree/src/base/secret.h"
    printf '/* A header. */\nint store_one(void);\n' >"$work/tree/src/store/store.h"
    for file in src/base/base.c src/store/store.c src/crypto/seal.c raft-glue/glue.c; do
        printf '/* A file. strcpy() is only named here. */\n#include "base/base.h"\n' \
            >"$work/tree/$file"
    done
    printf 'A text.\n' >"$work/tree/README.md"
    printf 'See [the text](README.md) and `src/base/base.h`.\n' >"$work/tree/HACKING.md"
    printf 'See [the text](../README.md).\n' >"$work/tree/doc/architecture.md"
}

report() { # WHAT STATUS
    if [ "$2" -eq 0 ]; then
        passed=$((passed + 1))
        echo "ok: $1"
    else
        failed=$((failed + 1))
        echo "NOT ok: $1"
        sed 's/^/    /' "$work/out"
    fi
}

run_check() { # CHECK
    env top_srcdir="$work/tree" top_builddir="$work/built" QH_SANITIZE=no \
        "$top_srcdir/tests/checks/$1.sh" >"$work/out" 2>&1
}

must_pass() { # CHECK WHAT
    run_check "$1"
    report "$1 passes $2" $?
}

must_fail() { # CHECK WHAT PATTERN: fails, and says PATTERN
    if run_check "$1"; then
        status=1
    else
        grep -q -- "$3" "$work/out" && grep -qx '0 passed, 1 failed' "$work/out"
        status=$?
    fi
    report "$1 refuses $2" $status
}

plant() { # FILE LINE: the breach, at the end of FILE in a new tree
    make_tree
    printf '%b\n' "$2" >>"$work/tree/$1"
}

check_layers() {
    make_tree
    must_pass layers 'a tree without a breach'
    plant src/base/base.c '#include "store/store.h"'
    must_fail layers 'an include upwards' 'src/base/base.c:3: src/base must not include src/store'
    plant src/store/store.c '#include "raft-glue/glue.h"'
    must_fail layers 'the store including the glue' 'src/store must not include raft-glue'
    plant src/store/store.c '#include "tests/lib/test.h"'
    must_fail layers 'the store including a test' 'src/store must not include tests/lib'
    plant src/store/store.c '#include "store.h"'
    must_fail layers 'an include without a folder' 'without its folder'
    plant src/store/store.c '#include <raft.h>'
    must_fail layers 'raft.h outside the glue' '<raft.h> must not be included in src/store'
    plant src/base/base.c '#include <raft/uv.h>'
    must_fail layers 'raft/uv.h outside the glue' '<raft/uv.h> must not be included in src/base'
    plant raft-glue/glue.c '#include <raft.h>\n#include "store/store.h"'
    must_pass layers 'raft.h in the glue'
    plant src/store/store.c '#include <uv.h>'
    must_fail layers 'a loop in the store' 'src/store is pure'
    plant src/store/store.c '#include "base/clock.h"'
    must_fail layers 'a clock in the store' 'src/store is pure'
    for name in strcpy strcat sprintf vsprintf gets strtok rand srand system popen; do
        plant src/base/base.c "void f(void) { $name(0); }"
        must_fail layers "$name()" "$name() is banned"
    done
    plant src/base/base.c 'void f(void) { my_strcpy(0); s->system(0); puts("gets(x)"); }'
    must_pass layers 'names that only look banned'
    plant src/crypto/seal.c 'int f(void) { return memcmp(0, 0, 0); }'
    must_fail layers 'memcmp() in src/crypto' 'memcmp() in secret code'
    plant raft-glue/glue.c '#include "base/secret.h"\nint f(void) { return memcmp(0, 0, 0); }'
    must_fail layers 'memcmp() beside secrets' 'memcmp() in secret code'
    plant raft-glue/glue.c 'int f(void) { return memcmp(0, 0, 0); }'
    must_pass layers 'memcmp() elsewhere'
    make_tree
    mkdir "$work/tree/src/new" && printf '/* A file. */\n' >"$work/tree/src/new/new.c"
    must_fail layers 'a folder without a line' 'src/new has no line'
}

function_of() { # LINES: a function of so many, braces counted
    printf 'void f(void)\n{\n'
    i=2
    while [ "$i" -lt "$1" ]; do
        printf '    g();\n'
        i=$((i + 1))
    done
    printf '}\n'
}

check_style() {
    make_tree
    must_pass style 'a tree without a breach'
    if clang-format --version 2>/dev/null | grep -q 'version 14\.'; then
        plant src/base/base.c 'int  x;'
        must_fail style 'a layout of its own' 'clang-format'
    fi
    plant src/base/base.c "$(function_of 70)"
    must_pass style 'a function of 70 lines'
    plant src/base/base.c "$(function_of 71)"
    must_fail style 'a function of 71 lines' '71 lines, more than 70: void f(void)'
    plant src/base/base.c "$(yes 'extern int x;' | head -n 798)"
    must_pass style 'a file of 800 lines'
    plant src/base/base.c "$(yes 'extern int x;' | head -n 799)"
    must_fail style 'a file of 801 lines' 'longer than 800 lines'
    make_tree
    printf 'int x;\n' >"$work/tree/src/base/base.c"
    must_fail style 'a file that does not say what it is' 'does not open with a comment'
    for word in TO''DO FIX''ME XX''X HA''CK; do
        plant src/base/base.c "/* $word: later */"
        must_fail style "$word" 'finish it'
    done
    plant scripts/layers.txt '# TO''DO'
    must_fail style 'unfinished work in a script' 'scripts/layers.txt'
    plant src/base/base.c '/* quadhsm.XX''XX''XX */'
    must_pass style 'a name that only looks unfinished'
}

check_docs() {
    make_tree
    must_pass docs 'a tree without a breach'
    plant README.md 'See [it](doc/none.md).'
    must_fail docs 'a dead link' 'links to doc/none.md'
    plant HACKING.md 'Run `scripts/none --all`.'
    must_fail docs 'a path that is not there' 'names scripts/none'
    plant HACKING.md 'The module `src/base/base` and any `src/base/*.c`.'
    must_pass docs 'a module by its name'
    make_tree
    rm "$work/tree/doc/architecture.md"
    must_fail docs 'a missing document' 'architecture.md: missing'
}

good='-fPIE -pie -fvisibility=hidden -Wl,-z,relro,-z,now,-z,noexecstack'

build() { # FLAGS...: one program from prog.c
    rm -rf "$work/built"
    mkdir "$work/built"
    # shellcheck disable=SC2086 # the flags are words
    $CC -o "$work/built/prog" "$work/prog.c" $good "$@" >"$work/out" 2>&1 ||
        report "building with $*" 1
}

check_built() {
    make_tree
    printf '#include <stdio.h>\nint main(void) { return fflush(stdout); }\n' >"$work/prog.c"
    build -O1
    must_pass built 'a hardened program'
    build -Wl,-z,norelro
    must_fail built 'a program without RELRO' 'no RELRO'
    build -Wl,-z,lazy
    must_fail built 'a program with lazy binding' 'no BIND_NOW'
    build -no-pie -fno-pie
    must_fail built 'a program at a fixed address' 'not a position-independent executable'
    build -Wl,-z,execstack
    must_fail built 'an executable stack' 'executable stack'
    build -Wl,-rpath,/nowhere
    must_fail built 'a library path' 'RPATH or RUNPATH'
    printf '__attribute__((visibility("default"))) int spare(void) { return 0; }\n' >>"$work/prog.c"
    build -Wl,--export-dynamic
    must_fail built 'an exported symbol' 'exports spare'
    printf 'prog spare\n' >>"$work/tree/tests/checks/exports.txt"
    printf 'prog main\nprog _*\nprog data_start\n' >>"$work/tree/tests/checks/exports.txt"
    must_pass built 'an exported symbol that is listed'
    rm -rf "$work/built" && mkdir "$work/built"
    # shellcheck disable=SC2086
    $CC -shared -fPIC -o "$work/built/libx.so" "$work/prog.c" -Wl,-z,relro,-z,now
    must_fail built 'a library with a symbol that is not listed' 'libx.so: exports spare'
    rm -rf "$work/built" && mkdir "$work/built"
    must_fail built 'an empty build directory' 'nothing was built'
}

check_layers
check_style
check_docs
check_built
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
