#!/bin/sh
# The check of the documents: every relative link and every path of the tree that
# README.md, HACKING.md and doc/ name in `code` exists.
#
# Reads top_srcdir. Prints each breach as FILE: what, then "N passed, N failed".
set -u
top_srcdir=${top_srcdir:-.}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$top_srcdir" || exit 1

find README.md HACKING.md doc conf proto -name '*.md' 2>/dev/null | LC_ALL=C sort >"$work/files"
: >"$work/breaches"
for needed in README.md HACKING.md doc/architecture.md; do
    [ -f "$needed" ] || echo "$needed: missing" >>"$work/breaches"
done

# [text](path), without addresses and anchors.
list_links() { # FILE
    grep -oE '\]\([^)]+\)' "$1" | sed -e 's/^](//' -e 's/)$//' -e 's/#.*//' | grep -vE '^$|^[a-z]+:'
}

# `src/store/store.h`, `scripts/test --quick`: names under the tree's folders.
# <name>, x and * stand for something; what a build makes is not in the tree.
list_paths() { # FILE
    grep -oE '`[^`]+`' "$1" | tr -d '`' | awk '{ print $1 }' |
        grep -E '^(\./)?(src|raft-glue|tests|scripts|conf|doc|proto|m4|\.ci)/' | grep -vE '[<*{]|/x\.|fuzz_x|test_x|\.\.\.'
}

while read -r file; do
    folder=$(dirname "$file")
    list_links "$file" | while read -r link; do
        [ -e "$folder/$link" ] || echo "$file: links to $link, which is not there"
    done
    list_paths "$file" | while read -r path; do
        # A module may be named without .c and .h.
        [ -e "$path" ] || [ -e "$path.h" ] || echo "$file: names $path, which is not there"
    done
done <"$work/files" >>"$work/breaches"

cat "$work/breaches"
echo "$(wc -l <"$work/files") documents read"
if [ -s "$work/breaches" ]; then
    echo "0 passed, 1 failed"
    exit 1
fi
echo "1 passed, 0 failed"
