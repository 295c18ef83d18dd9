#!/usr/bin/env bash
# Runs the integration tests named ("01 07") or all, two at a time (JOBS=n), and prints their TAP as one.
set -u
cd "$(dirname "$0")"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
tests=()
for test in [0-9][0-9]_*/test.py; do
    number=${test%%_*}
    if [ $# -eq 0 ] || [[ " $* " == *" $number "* ]]; then
        tests+=("$test")
    fi
done

# The long ones first, so that none of them is left alone at the end.
ordered() {
    local long="13_ 14_ 10_ 12_ 22_ 30_" test prefix
    for prefix in $long; do
        for test in "${tests[@]}"; do [[ $test == "$prefix"* ]] && echo "$test"; done
    done
    for test in "${tests[@]}"; do [[ " $long " == *" ${test:0:3} "* ]] || echo "$test"; done
}

one() { # test, folder of outputs
    PYTHONDONTWRITEBYTECODE=1 timeout 900 python3 "$1" >"$2/${1%%/*}" 2>&1
}
export -f one
ordered | xargs -P "${JOBS:-2}" -I{} bash -c 'one "$@"' one {} "$out"

count=0
failed=0
for test in "${tests[@]}"; do
    ends=0
    echo "# $test"
    while IFS= read -r line; do
        case "$line" in
        "ok "*) count=$((count + 1)); echo "ok $count ${line#ok * }" ;;
        "not ok "*) count=$((count + 1)); failed=$((failed + 1)); echo "not ok $count ${line#not ok * }" ;;
        "1.."*) ends=1 ;;
        *) echo "$line" ;;
        esac
    done <"$out/${test%%/*}"
    # A test that did not come to its plan line has failed at least once.
    if [ $ends = 0 ]; then
        count=$((count + 1)); failed=$((failed + 1)); echo "not ok $count - $test ended early"
    fi
done
echo "1..$count"
[ "$failed" -eq 0 ]
