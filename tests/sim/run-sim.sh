#!/bin/bash
# The simulator's tests: no seed may fail with the guard; the same seeds must fail without it,
# or they could not have seen anything; and for the rules for which a scenario is known to
# need it, that scenario must fail with this rule alone switched off. (The unit tests of the
# guard show each rule on its own, too.)
#
# SIM_SEEDS: how many seeds over all scenarios, 253 if it is not set. Prints "N passed, N failed"
# at its end.
set -u
sim=${top_builddir:-.}/tests/sim/qh-sim
seeds=${SIM_SEEDS:-253}
all=3fff # GUARD_RULES_ALL
passed=0
failed=0
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT

check() { # WHAT CONDITION...
    if [ "${@:2}" ]; then
        passed=$((passed + 1))
        echo "ok: $1"
    else
        failed=$((failed + 1))
        echo "FAILED: $1"
    fi
}

# Run the simulator; its output goes to the log, and its closing line into variables.
run() { # ARGUMENT...
    local line

    "$sim" "$@" >"$out" 2>&1
    line=$(sed -n 's/^sim: rules [0-9a-f]*: //p' "$out")
    ran=0 ok=0 violations=0 crashes=0 stuck=0
    read -r ran _ ok _ violations _ crashes _ stuck _ <<<"$line"
    : "${ran:=0}" "${ok:=0}" "${violations:=0}" "${crashes:=0}" "${stuck:=0}"
}

# The rules of the guard have names; the simulator takes bits.
needs_rule() { # RULE MASK SCENARIO SEEDS-AT-MOST
    run --scenario "$3" --seeds "$4" --rules "$(printf '%x' $((0x$all & ~$2)))" --stop
    grep -m 1 -A 1 '^[a-z-]* seed ' "$out"
    check "without $1, scenario $3 fails ($ran seeds)" $((violations + crashes + stuck)) -gt 0
}

echo "With the guard:"
run --seeds "$seeds"
cat "$out"
check "$ran seeds over all scenarios" "$ran" -ge "$seeds"
check "no violation" "$violations" -eq 0 -a "$ok" -gt 0
check "no crash" "$crashes" -eq 0 -a "$ok" -gt 0
check "nothing stuck" "$stuck" -eq 0 -a "$ok" -gt 0

echo
echo "The same seeds with the stock library:"
run --seeds "$seeds" --rules 0
grep -v -e ' seed ' -e '^    replay' "$out"
check "the same $ran seeds" "$ran" -ge "$seeds"
check "violations show without the guard ($violations)" "$violations" -gt 0

echo
echo "One rule off at a time:"
needs_rule "R1 and R2 (either alone is enough there)" $((1 << 0 | 1 << 1)) coups-three 100
needs_rule "R4 alone" $((1 << 3)) disk-errors 20
needs_rule "R5 alone" $((1 << 4)) three 20
needs_rule "R6 alone" $((1 << 5)) heirs 400
needs_rule "R10 alone" $((1 << 6)) rollback 300
needs_rule "R15 alone" $((1 << 9)) wan 5
needs_rule "R16 alone" $((1 << 10)) slow-snapshots 60
needs_rule "R17 alone" $((1 << 11)) lone 20
needs_rule "R18 alone" $((1 << 12)) lone 60
needs_rule "R19 alone" $((1 << 13)) lone 200

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
