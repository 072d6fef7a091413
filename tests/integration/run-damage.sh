#!/bin/bash
# What a bad day does to a node's disk: the node refuses to start and says why and what to do, and
# nothing acknowledged is lost. Ends with "N passed, N failed".
set -u
. "${top_srcdir:-$(dirname "$0")/../..}/tests/lib/cluster.sh"

# Starts and must end by itself with this text in its log.
refuses() { # NODE PATTERN
    timeout 60 "$bin/quadhsmd" --config "$work/$1.yaml" >"$work/refusal" 2>&1
    [ $? -ne 124 ] && grep -E "$2" "$work/refusal"
}

# A copy of the directory is damaged, tried and put back.
damage() { # WHAT PATTERN COMMAND...
    local what=$1 pattern=$2

    shift 2
    rm -rf "$work/whole"
    cp -a "$work/alpha" "$work/whole"
    "$@"
    check "$what" refuses alpha "$pattern"
    rm -rf "$work/alpha"
    mv "$work/whole" "$work/alpha"
}

closed_segment() { find "$work/alpha/raft" -name '0*-0*' | sort | tail -n 1; }
flip() { # FILE OFFSET
    printf '\377\377' | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
flip_segment() { flip "$(closed_segment)" 40; }
cut_segment() { truncate -s -8 "$(closed_segment)"; }
flip_snapshot() { flip "$(find "$work/alpha/raft" -name 'snapshot-*' ! -name '*.meta' | head -n 1)" 200; }
make_snapshot() { find "$work/alpha/raft" -name 'snapshot-*.meta' | grep -q .; }

node_config alpha east hsm
check "a node" node_init alpha
check "a partition" partition_make apps
check "a key" key generate --type ec:P-256 --label ec
node_stop alpha
node_start alpha
wait_for 10 node_is_ready alpha
check "another key" key generate --type ec:P-256 --label ec2
node_stop alpha

damage "a changed log segment is refused" "segment|damage" flip_segment
damage "a cut log segment is refused" "segment|damage" cut_segment
damage "a sealed cluster key that is cut is refused" "cluster key|unlock" truncate -s 20 "$work/alpha/cmk"
damage "a changed one, too" "cluster key|unlock" flip "$work/alpha/cmk" 60
damage "a lost one, too" "cluster key" rm "$work/alpha/cmk"
damage "a lost list of nodes, too" "addresses" rm "$work/alpha/nodes"
damage "a lost certificate, too" "node.crt" rm "$work/alpha/tls/node.crt"
damage "a lost identity, too, and nothing is taken for a new node" "identity" rm "$work/alpha/identity"
damage "an empty log where there was one, too" "log|disk|identity" rm -rf "$work/alpha/raft"
mkdir -p "$work/alpha/raft"

node_start alpha
check "what was put back starts" wait_for 10 node_is_ready alpha
check "and has every key" sh -c "'$quadhsm' key show ec --partition apps --pin-file '$pins/co' && '$quadhsm' key show ec2 --partition apps --pin-file '$pins/co'"

# A ticket that was made before the PIN changed is of no use: the module must log in again.
check "the PIN of co is changed" "$quadhsm" role passwd --partition apps --role co --pin-file "$pins/co" --new-pin-file "$pins/cu"
check_refused "the old PIN is refused" 4 "wrong" key list
check "the new one is not" "$quadhsm" key list --partition apps --pin-file "$pins/cu"
node_stop alpha

# A full disk: as root, on a small file system of its own.
if [ "$(id -u)" -eq 0 ] && mkdir -p "$work/small" && mount -t tmpfs -o size=96m none "$work/small" 2>/dev/null; then
    trap 'umount "$work/small" 2>/dev/null; cluster_end' EXIT
    node_config gamma east hsm
    sed -i "s#^data:.*#data: $work/small/gamma\ncontrol: $work/gamma.sock#" "$work/gamma.yaml"
    socket() { printf '%s/gamma.sock' "$work"; }
    export QUADHSM_CONFIG=$work/admin2/client.yaml
    check "a node on a small disk" node_init gamma admin2
    check "its partition" partition_make apps
    check "its key" key generate --type ec:P-256 --label ec
    head -c 200000000 /dev/zero >"$work/small/ballast" 2>/dev/null
    node_stop gamma KILL
    check "with a full disk it refuses to start and says why" sh -c "! timeout 60 '$bin/quadhsmd' --config '$work/gamma.yaml' >'$work/full' 2>&1; grep -Ei 'space' '$work/full'"
    rm -f "$work/small/ballast"
    check "with room again it starts" node_start gamma
    check "and is ready" wait_for 10 node_is_ready gamma
    check "and has its key" key show ec
    node_stop gamma
    umount "$work/small"
else
    echo "a full disk cannot be made here (needs root and tmpfs): left out"
fi
finish
