#!/bin/sh
# The layer check: every #include in src, raft-glue, proto and tests is one that
# scripts/layers.txt allows, and no banned function is called.
#
# Reads top_srcdir. Prints each breach as FILE:LINE: what, then "N passed, N failed".
set -u
top_srcdir=${top_srcdir:-.}
checks=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$top_srcdir" || exit 1

# Everything that copies without a bound, keeps hidden state, or starts a shell.
banned='strcpy strcat sprintf vsprintf gets strtok rand srand system popen'

find src raft-glue proto tests -name '*.[ch]' 2>/dev/null | LC_ALL=C sort >"$work/files"
if [ ! -s "$work/files" ]; then
    echo "$top_srcdir: no source file found"
    exit 1
fi
xargs awk -f "$checks/code.awk" <"$work/files" >"$work/code"

awk -v banned="$banned" '
function breach(what) {
    print file ":" number ": " what
}
function folder_of(path,    parts, count) {
    count = split(path, parts, "/")
    if (count < 2) {
        return ""
    }
    return (parts[1] == "src" || parts[1] == "tests") ? parts[1] "/" parts[2] : parts[1]
}
# "store/store.h" stands in src/store; raft-glue, proto and tests are named whole.
function folder_included(name,    first) {
    first = substr(name, 1, index(name, "/") - 1)
    if (first == "raft-glue" || first == "tests" || first == "proto") {
        return folder_of(name)
    }
    return first == "" ? "" : "src/" first
}
function check_own_include(name,    to) {
    if (name == "config.h") {
        return
    }
    to = folder_included(name)
    if (to == "") {
        breach("\"" name "\" is included without its folder")
    } else if (to != folder && !((folder, to) in allowed)) {
        breach(folder " must not include " to " (" name ")")
    }
    if (folder in pure && name ~ /^base\/(clock|log)\.h$/) {
        breach(folder " is pure: no clock, no log (" name ")")
    }
    if (name == "base/secret.h" && folder !~ /^tests/) {
        secret[file] = 1
    }
}
function check_foreign_include(name) {
    if (name in keepers && index(keepers[name], " " folder " ") == 0) {
        breach("<" name "> must not be included in " folder)
    }
    if (folder in pure && name ~ impure) {
        breach(folder " is pure: no I/O, thread or clock (<" name ">)")
    }
}
function check_include(text,    name) {
    name = text
    sub(/^[ \t]*#[ \t]*include[ \t]*/, "", name)
    if (name ~ /^"/) {
        name = substr(name, 2)
        check_own_include(substr(name, 1, index(name, "\"") - 1))
    }
    # raft.h in quotes is the same header.
    if (name ~ /^</) {
        name = substr(name, 2)
        check_foreign_include(substr(name, 1, index(name, ">") - 1))
    } else {
        name = substr(name, 1, index(name, "\"") - 1)
        if (name in keepers) {
            check_foreign_include(name)
        }
    }
}
function check_calls(text,    rest, name) {
    rest = text
    while (match(rest, /[A-Za-z_][A-Za-z0-9_]*[ \t]*\(/)) {
        name = substr(rest, RSTART, RLENGTH)
        sub(/[ \t]*\($/, "", name)
        # A member of that name is not the function.
        if (name in ban && substr(rest, 1, RSTART - 1) !~ /(\.|->)$/) {
            breach(name "() is banned")
        }
        if ((name == "memcmp" || name == "bcmp") && (folder == "src/crypto" || file in secret)) {
            breach(name "() in secret code: use sodium_memcmp() or secret_equal()")
        }
        rest = substr(rest, RSTART + RLENGTH)
    }
}
BEGIN {
    count = split(banned, names, " ")
    for (i = 1; i <= count; i++) {
        ban[names[i]] = 1
    }
    impure = "^(uv|pthread|threads|time|sys/time|fcntl|unistd|poll|netdb|sys/socket|sys/epoll|sys/random)\\.h$"
}
FNR == NR {
    if ($0 ~ /^#/ || NF == 0) {
        next
    }
    colon = index($0, ":")
    count = split(colon > 0 ? substr($0, colon + 1) : "", right, " ")
    head = colon > 0 ? substr($0, 1, colon - 1) : $0
    left_count = split(head, left, " ")
    if (left[1] == "layer") {
        known[left[2]] = 1
        for (i = 1; i <= count; i++) {
            allowed[left[2], right[i]] = 1
        }
    } else if (left[1] == "pure") {
        for (i = 2; i <= left_count; i++) {
            pure[left[i]] = 1
        }
    } else if (left[1] == "header") {
        for (i = 2; i <= left_count; i++) {
            keepers[left[i]] = " "
            for (k = 1; k <= count; k++) {
                keepers[left[i]] = keepers[left[i]] right[k] " "
            }
        }
    } else {
        print FILENAME ":" FNR ": not understood: " $0
    }
    next
}
{
    colon = index($0, ":")
    if (substr($0, 1, colon - 1) != file) {
        file = substr($0, 1, colon - 1)
        number = 0
        folder = folder_of(file)
        if (!(folder in known)) {
            print file ":1: " folder " has no line in scripts/layers.txt"
        }
    }
    number++
    text = substr($0, colon + 1)
    if (text ~ /^[ \t]*#[ \t]*include/) {
        check_include(text)
    } else {
        check_calls(text)
    }
}
' scripts/layers.txt "$work/code" >"$work/breaches" || exit 1

cat "$work/breaches"
echo "$(wc -l <"$work/files") files read"
if [ -s "$work/breaches" ]; then
    echo "0 passed, 1 failed"
    exit 1
fi
echo "1 passed, 0 failed"
