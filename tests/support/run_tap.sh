#!/usr/bin/env bash
# Runs TAP programs; prints what failed and a closing line "N passed, N failed".
# A green program's lines that name a seed ("# seed 7, ...") are printed too: what was played.
# With NEAP_TAP_SUMMARY=FILE the counts are added to that file for an overall line.
set -u
passed=0
failed=0
for program in "$@"; do
    out=$(mktemp)
    "$program" >"$out" 2>"$out.err"
    status=$?
    ok=$(grep -c '^ok ' "$out")
    bad=$(grep -c '^not ok ' "$out")
    # A program that dies, plans other than it ran, or ran nothing has failed at least once.
    plan=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$out" | tail -n 1)
    if [ "$bad" -eq 0 ] && { [ "$status" -ne 0 ] || [ "${plan:-x}" != "$((ok + bad))" ] || [ "$ok" -eq 0 ]; }; then
        bad=1
        echo "not ok - $program ended with status $status after $ok of ${plan:-?} cases"
        tail -n 40 "$out.err"
    fi
    if [ "$bad" -ne 0 ]; then
        echo "# $program"
        grep -E '^(not ok|#)' "$out"
        tail -n 20 "$out.err"
    elif [ -n "${NEAP_TAP_VERBOSE:-}" ]; then
        echo "# $program"; cat "$out"
    else
        grep '^# seed ' "$out"
    fi
    passed=$((passed + ok))
    failed=$((failed + bad))
    rm -f "$out" "$out.err"
done
[ -n "${NEAP_TAP_SUMMARY:-}" ] && echo "$passed $failed" >>"$NEAP_TAP_SUMMARY"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
