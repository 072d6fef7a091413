# A cluster of real daemons for test scripts: nodes on loopback addresses of their own, made with the
# real command. Sourced by bash, not run; $top_builddir says where the programs are.
#
# Addresses are 127.A.B.N with A and B from the process id, so that scripts run side by side.
# shellcheck shell=bash disable=SC2034

bin=$(cd "${top_builddir:-.}" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/qh-test.XXXXXX")
net=127.$((64 + $$ % 160)).$(($$ / 160 % 250))
so_password=$work/so.password
pins=$work/pins
declare -A node_pid=() node_number=()
passed=0
failed=0
quadhsm=$bin/quadhsm
export QUADHSM_CONFIG=$work/admin/client.yaml

mkdir -p "$pins"
printf 'the officer of these tests\n' >"$so_password"
printf 'po-pin-1234\n' >"$pins/po"
printf 'co-pin-1234\n' >"$pins/co"
printf 'cu-pin-1234\n' >"$pins/cu"
chmod 600 "$so_password" "$pins"/*

# A test that can fail: what it says, then the command.
check() { # WHAT COMMAND...
    local what=$1

    shift
    if "$@" >"$work/check.out" 2>&1; then
        passed=$((passed + 1))
        printf 'ok: %s\n' "$what"
    else
        failed=$((failed + 1))
        printf 'FAILED: %s\n' "$what"
        sed 's/^/    /' "$work/check.out" | tail -n 20
        printf '    (%s)\n' "$*"
    fi
}

# The command must fail, with this exit status, and its output must match.
check_refused() { # WHAT STATUS PATTERN COMMAND...
    local what=$1 status=$2 pattern=$3 rc

    shift 3
    "$@" >"$work/check.out" 2>&1
    rc=$?
    if [ "$rc" -eq "$status" ] && grep -qE "$pattern" "$work/check.out"; then
        passed=$((passed + 1))
        printf 'ok: %s\n' "$what"
    else
        failed=$((failed + 1))
        printf 'FAILED: %s: exit status %s, expected %s and /%s/\n' "$what" "$rc" "$status" "$pattern"
        sed 's/^/    /' "$work/check.out" | tail -n 20
    fi
}

# Wait until a command succeeds; there is a bound, but no test of time: a machine that does other
# things besides gets several times what should do.
wait_for() { # SECONDS COMMAND...
    local end=$((SECONDS + 4 * $1))

    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}

socket() { printf '%s/%s/control.sock' "$work" "$1"; } # NODE

# Writes NODE.yaml. Extra lines of YAML may follow.
node_config() { # NAME REGION ROLE [LINE...]
    local name=$1 region=$2 role=$3 number

    shift 3
    number=${node_number[$name]:-$((${#node_number[@]} + 1))}
    node_number[$name]=$number
    {
        printf 'node: %s\nregion: %s\nrole: %s\ndata: %s\n' "$name" "$region" "$role" "$work/$name"
        printf 'peer:\n  listen: %s.%s:7601\n' "$net" "$number"
        if [ "$role" = hsm ]; then
            printf 'client:\n  listen: %s.%s:7600\n' "$net" "$number"
            case "$*" in
            *unlock:*) ;;
            *) printf 'unlock:\n  method: file\n  file: %s/%s.key\n' "$work" "$name" ;;
            esac
        fi
        printf '%s\n' "$@"
    } >"$work/$name.yaml"
}

node_start() { # NAME
    "$bin/quadhsmd" --config "$work/$1.yaml" 2>>"$work/$1.log" &
    node_pid[$1]=$!
    # A node that was killed has left its socket.
    wait_for 20 node_answers_or_ended "$1"
    node_status "$1" >/dev/null || { printf 'node %s does not start:\n' "$1"; tail "$work/$1.log"; return 1; }
}

node_stop() { # NAME [SIGNAL]
    [ -n "${node_pid[$1]:-}" ] || return 0
    kill -"${2:-TERM}" "${node_pid[$1]}" 2>/dev/null
    wait "${node_pid[$1]}" 2>/dev/null
    unset "node_pid[$1]"
}

node_status() { "$quadhsm" node status --control "$(socket "$1")" --json; } # NAME
node_answers_or_ended() { node_status "$1" || ! kill -0 "${node_pid[$1]}"; } # NODE
node_is_ready() { node_status "$1" | grep -q '"state": *"ready"'; }
node_leads() { node_status "$1" | grep -q '"leading": *true'; }

# The first node of a cluster, with the first client.
node_init() { # NAME [FOLDER]
    node_start "$1" && "$quadhsm" node init --control "$(socket "$1")" --cluster test --admin admin \
        --out "$work/${2:-admin}" --password-file "$so_password"
}

node_join() { # NAME [--witness]
    node_start "$1" &&
        "$quadhsm" cluster token ${2:+"$2"} --password-file "$so_password" >"$work/token" &&
        "$quadhsm" node join --control "$(socket "$1")" --token-file "$work/token"
}

# A partition with all its roles.
partition_make() { # NAME
    "$quadhsm" partition create "$1" --password-file "$so_password" &&
        "$quadhsm" role init --partition "$1" --role po --password-file "$so_password" \
            --new-pin-file "$pins/po" &&
        "$quadhsm" role init --partition "$1" --role co --pin-file "$pins/po" --new-pin-file "$pins/co" &&
        "$quadhsm" role init --partition "$1" --role cu --pin-file "$pins/po" --new-pin-file "$pins/cu"
}

key() { # GENERATE|LIST... [ARGUMENT...]: as co of partition "apps"
    local what=$1

    shift
    "$quadhsm" key "$what" --partition apps --pin-file "$pins/co" "$@"
}

cluster_end() {
    local name

    for name in "${!node_pid[@]}"; do
        kill -CONT "${node_pid[$name]}" 2>/dev/null
        node_stop "$name" KILL
    done
    if [ "$failed" -gt 0 ]; then
        for name in "${!node_number[@]}"; do
            printf -- '---- the log of %s\n' "$name"
            tail -n 40 "$work/$name.log" 2>/dev/null
        done
    fi
    [ -n "${QH_KEEP:-}" ] || rm -rf "$work"
}

finish() {
    cluster_end
    trap - EXIT
    printf '%s passed, %s failed\n' "$passed" "$failed"
    [ "$failed" -eq 0 ]
    exit
}
trap cluster_end EXIT
