#!/bin/sh
# The drill, in short: nodes and regions die under an application. What it prints stands in the log.
#
# Reads top_builddir. Ends with "N passed, N failed".
set -u
top_builddir=${top_builddir:-.}
if "$top_builddir/tests/drill/qh-drill" --quick; then
    echo "1 passed, 0 failed"
    exit 0
fi
echo "0 passed, 1 failed"
exit 1
