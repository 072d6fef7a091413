# A command again and again, in the background, while nodes are killed. Sourced after lib.sh.
# shellcheck shell=bash disable=SC2154
steady=

# What the application is made to do meanwhile must not wait for another turn.
steady_loop() { # COMMAND...
    local done=0 failed=0 longest=0 took begun

    until [ -e "$work/steady.stop" ]; do
        begun=${EPOCHREALTIME/./}
        if ! "$@" >"$work/steady.output" 2>&1 </dev/null; then
            failed=$((failed + 1))
            cat "$work/steady.output" >>"$work/steady.failures"
        fi
        took=$(((${EPOCHREALTIME/./} - begun) / 1000))
        longest=$((took > longest ? took : longest))
        done=$((done + 1))
        echo "$done times, $failed failed, longest $longest ms" >"$work/steady.new"
        mv "$work/steady.new" "$work/steady.result"
    done
    [ "$failed" -eq 0 ]
}

steady_start() { # COMMAND...
    rm -f "$work"/steady.*
    steady_loop "$@" &
    steady=$!
    wait_for "the first turn" test -s "$work/steady.result"
}

# Did it never fail?
steady_stop() {
    local status=1

    touch "$work/steady.stop"
    if [ -n "$steady" ]; then
        wait "$steady"
        status=$?
    fi
    steady=
    cat "$work/steady.result"
    [ ! -e "$work/steady.failures" ] || head -n 30 "$work/steady.failures"
    return "$status"
}

# To be called in a test's trap, before stop_all.
steady_end() {
    [ -z "$steady" ] || steady_stop >"$work/output"
}

# Not one turn fails while each node of the pair is killed once, nor when both are back.
steady_outlives() { # COMMAND...
    steady_start "$@"
    roll_nodes
    sleep 0.5
    restart_node beta
    steady_stop
}

# For the log: what the last steady_stop saw.
steady_say() { # WHAT
    echo "$1: $(cat "$work/steady.result")"
}

# Both nodes at once, and back: what is asked for meanwhile waits for them.
steady_outlives_both() { # COMMAND...
    steady_start "$@"
    kill_node alpha
    kill_node beta
    start_node alpha
    restart_node beta
    wait_for "readiness of alpha" node_is_ready alpha
    sleep 0.5
    steady_stop
}
