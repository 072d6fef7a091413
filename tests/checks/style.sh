#!/bin/sh
# The style check: layout by clang-format, lengths, and what a file begins with.
#
# Reads top_srcdir. Prints each breach as FILE:LINE: what, then "N passed, N failed".
set -u
top_srcdir=${top_srcdir:-.}
checks=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$top_srcdir" || exit 1

function_lines_max=70
file_lines_max=800
# Whole words that announce unfinished work; written in halves, for this file is read too.
unfinished='TO''DO|FIX''ME|XX''X|HA''CK'

find src raft-glue proto tests -name '*.[ch]' 2>/dev/null | LC_ALL=C sort >"$work/c"
if [ ! -s "$work/c" ]; then
    echo "$top_srcdir: no source file found"
    exit 1
fi
: >"$work/breaches"

# The layout differs between versions of clang-format; Debian 12 has 14.
if clang-format --version 2>/dev/null | grep -q 'version 14\.'; then
    while read -r file; do
        clang-format --dry-run -Werror "$file" 2>&1 | grep 'error:' | head -n 1 >>"$work/breaches"
    done <"$work/c"
else
    echo "clang-format 14 is not installed: the layout was not checked"
fi

while read -r file; do
    lines=$(wc -l <"$file")
    if [ "$lines" -gt "$file_lines_max" ]; then
        echo "$file:$lines: the file is longer than $file_lines_max lines"
    fi
    case $(head -n 1 "$file") in
    '/*'*) ;;
    *) echo "$file:1: the file does not open with a comment that says what it is" ;;
    esac
    awk -f "$checks/code.awk" "$file" | awk -v file="$file" -v max="$function_lines_max" '
        /^\{/ { start = NR; name = before }
        /^\}/ && start {
            if (NR - start + 1 > max) {
                print file ":" start ": " NR - start + 1 " lines, more than " max ": " name
            }
            start = 0
        }
        /[^ \t]/ { before = $0 }
    '
done <"$work/c" >>"$work/breaches"

{
    ls -d Makefile.am configure.ac .clang-format README.md HACKING.md m4/qh_*.m4 .ci/run
    find src raft-glue proto tests scripts conf doc -type f ! -path '*/corpus/*'
} 2>/dev/null | LC_ALL=C sort >"$work/text"
while read -r file; do
    grep -nEw "$unfinished" "$file" /dev/null
done <"$work/text" | sed 's/$/  <- finish it, or say what is so/' >>"$work/breaches"

cat "$work/breaches"
echo "$(wc -l <"$work/c") source files read"
if [ -s "$work/breaches" ]; then
    echo "0 passed, 1 failed"
    exit 1
fi
echo "1 passed, 0 failed"
