# What the scripts of this folder share. Sourced by bash, not run.
#
# They act on the cluster that `scripts/quickstart --keep` left running, in another terminal. Its
# directory is build/quickstart/demo; $QH_DEMO names another one.
# shellcheck shell=bash

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
demo=${QH_DEMO:-$top/build/quickstart/demo}
[ -f "$demo/stage" ] || {
    echo "$demo: no cluster was started there: run scripts/quickstart --keep first" >&2
    exit 1
}
# Sets daemon, proxy and proxy_control.
. "$demo/stage"

# The process id of a node, from what it was started with; nothing if it does not run.
node_pid() { # NODE
    local file words

    for file in /proc/[0-9]*/cmdline; do
        words=$(tr '\0' ' ' 2>/dev/null <"$file")
        if [ "$words" = "$daemon --config $demo/$1/node.yaml " ]; then
            file=${file#/proc/}
            echo "${file%/cmdline}"
            return
        fi
    done
}

# Send a signal to each node.
signal_nodes() { # SIGNAL WHAT NODE...
    local signal=$1 what=$2 node pid

    shift 2
    [ $# -gt 0 ] || {
        echo "usage: ${0##*/} NODE...   (east-1 east-2 west-1 west-2 north-1)" >&2
        exit 2
    }
    for node in "$@"; do
        pid=$(node_pid "$node")
        [ -n "$pid" ] || {
            echo "$node does not run" >&2
            exit 1
        }
        kill -s "$signal" "$pid" || exit 1
        echo "$node $what"
    done
}
