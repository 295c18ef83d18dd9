#!/usr/bin/env bash
# Runs the integration tests named ("01 07") or all, and prints their TAP as one.
set -u
cd "$(dirname "$0")"
count=0
failed=0
for test in [0-9][0-9]_*/test.py; do
    number=${test%%_*}
    [ $# -gt 0 ] && [[ " $* " != *" $number "* ]] && continue
    ends=0
    while IFS= read -r line; do
        case "$line" in
        "ok "*) count=$((count + 1)); echo "ok $count ${line#ok * }" ;;
        "not ok "*) count=$((count + 1)); failed=$((failed + 1)); echo "not ok $count ${line#not ok * }" ;;
        "1.."*) ends=1 ;;
        *) echo "$line" ;;
        esac
    done < <(echo "# $test"; PYTHONDONTWRITEBYTECODE=1 timeout 900 python3 "$test" 2>&1)
    # A test that did not come to its plan line has failed at least once.
    if [ $ends = 0 ]; then
        count=$((count + 1)); failed=$((failed + 1)); echo "not ok $count - $test ended early"
    fi
done
echo "1..$count"
[ "$failed" -eq 0 ]
