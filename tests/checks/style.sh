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
    xargs -n 16 -P "$(nproc)" clang-format --dry-run -Werror <"$work/c" 2>&1 |
        grep 'error:' | LC_ALL=C sort -t : -k 1,1 -k 2,2n | sort -s -u -t : -k 1,1 >>"$work/breaches"
else
    echo "clang-format 14 is not installed: the layout was not checked"
fi

xargs awk -v max="$file_lines_max" '
    FNR == 1 && !/^\/\*/ {
        print FILENAME ":1: the file does not open with a comment that says what it is"
    }
    FNR == max + 1 { print FILENAME ":" FNR ": the file is longer than " max " lines" }
' <"$work/c" >>"$work/breaches"

xargs awk -f "$checks/code.awk" <"$work/c" | awk -v max="$function_lines_max" '
    {
        colon = index($0, ":")
        code = substr($0, colon + 1)
        if (substr($0, 1, colon - 1) != file) {
            file = substr($0, 1, colon - 1)
            line = start = 0
        }
        line++
    }
    code ~ /^\{/ { start = line; name = before }
    code ~ /^\}/ && start {
        if (line - start + 1 > max) {
            print file ":" start ": " line - start + 1 " lines, more than " max ": " name
        }
        start = 0
    }
    code ~ /[^ \t]/ { before = code }
' >>"$work/breaches"

{
    ls -d Makefile.am configure.ac .clang-format README.md HACKING.md m4/qh_*.m4 .ci/run
    find src raft-glue proto tests scripts conf doc -type f ! -path '*/corpus/*'
} 2>/dev/null | LC_ALL=C sort >"$work/text"
xargs grep -nEw "$unfinished" /dev/null <"$work/text" | sed 's/$/  <- finish it, or say what is so/' >>"$work/breaches"

cat "$work/breaches"
echo "$(wc -l <"$work/c") source files read"
if [ -s "$work/breaches" ]; then
    echo "0 passed, 1 failed"
    exit 1
fi
echo "1 passed, 0 failed"
