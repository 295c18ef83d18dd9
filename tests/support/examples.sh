#!/usr/bin/env bash
# Examples are tests: each client is checked and its cases are run, a new client is made and tested, and the
# demonstration is played. Output is TAP.
set -u
cd "$(dirname "$0")/../.."
neap=${NEAP_BINARY:-build/neap}
count=0
failed=0

try() { # sentence, command...
    count=$((count + 1))
    local sentence=$1
    shift
    if "$@" >"$log" 2>&1; then
        echo "ok $count - $sentence"
    else
        failed=$((failed + 1))
        tail -n 30 "$log" | sed 's/^/# /'
        echo "not ok $count - $sentence"
    fi
}

# Every NEAP_NAME that compose.yaml sets is a var("NAME") of some manifest.
compose_variables() {
    local name
    for name in $(grep -oE 'NEAP_[A-Z_]+:' examples/compose/compose.yaml | sed 's/^NEAP_//; s/:$//'); do
        grep -rq "var(\"$name\"" examples/demo/client.lua examples/sandbox/*/client.lua || {
            echo "no manifest reads $name"
            return 1
        }
    done
}

log=$(mktemp)
folder=$(mktemp -d)
secrets=examples/demo/secrets
for client in examples/demo examples/demo_driver examples/sandbox/scayle examples/sandbox/khaos \
    examples/blackfriday/driver; do
    try "$client passes neap check" "$neap" check "$client" --secrets "$secrets"
done
try "the compose example sets what manifests read" compose_variables
try "examples/demo passes its golden cases" "$neap" test examples/demo
try "examples/demo passes them on Khaos Control Cloud too" env NEAP_LINE=cloud "$neap" test examples/demo
try "examples/demo passes them with its alerts too" "$neap" test examples/demo \
    --set ALERTS_URL=https://desk.fellside.example --secrets "$secrets"
try "neap new makes a client" "$neap" new "$folder/acme"
try "the new client passes neap check" "$neap" check "$folder/acme"
try "the new client passes its golden cases" "$neap" test "$folder/acme"
try "the demonstration ends with every order where it should be" "$neap" demo --once
try "and on Khaos Control Cloud" env NEAP_LINE=cloud "$neap" demo --once
rm -rf "$folder" "$log"
echo "1..$count"
[ "$failed" -eq 0 ]
