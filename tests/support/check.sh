#!/usr/bin/env bash
# make check: lint, build, all tests, sanitizer run. The last line is "N passed, N failed".
# Each stage is a TAP program; a stage that cannot run counts as failed.
set -u
cd "$(dirname "$0")/../.."
summary=$(mktemp)
export NEAP_TAP_SUMMARY=$summary
tap=tests/support/run_tap.sh
started=$(date +%s)

stage() { # name, command...
    local name=$1
    shift
    echo "== $name ($(($(date +%s) - started)) s)"
    "$@"
}

build() { # MODE, targets...
    if make -s -j2 MODE="$1" ERR=1 "${@:2}" >build.log 2>&1; then
        echo "1 0" >>"$summary"
        rm -f build.log
    else
        tail -n 30 build.log
        echo "0 1" >>"$summary"
    fi
}

as_program() { # file, command...: a one-line program for run_tap.sh
    printf '#!/usr/bin/env bash\nexec %s\n' "$2" >"$1"
    chmod +x "$1"
}

stages=$(mktemp -d)
as_program "$stages/lint" "tests/support/lint.sh"
as_program "$stages/lua" "build/neap test --lua tests/lua/*_test.lua"
as_program "$stages/lua_asan" "build/asan/neap test --lua --set count=60 tests/lua/*_test.lua"
as_program "$stages/property" "build/neap test --lua --set count=100000 tests/lua/property_mapper_test.lua"
as_program "$stages/stock" "build/neap test --lua --set count=700 tests/lua/stock_race_test.lua"
as_program "$stages/fuzz" "make -s fuzz-regression"
as_program "$stages/examples" "tests/support/examples.sh"
as_program "$stages/integration" "tests/integration/run.sh"

stage "lint" "$tap" "$stages/lint"
stage "build with gcc" build debug all bench-programs
stage "unit tests" make -s -j2 MODE=debug ERR=1 unit
stage "Lua tests" "$tap" "$stages/lua"
NEAP_TAP_VERBOSE=1 "$tap" "$stages/property" >"$stages/property.out" 2>&1 & # beside the next two
stage "stock: random interleavings" env NEAP_TAP_VERBOSE=1 "$tap" "$stages/stock"
stage "examples" "$tap" "$stages/examples"
wait
stage "100,000 random baskets" cat "$stages/property.out"
stage "integration tests" "$tap" "$stages/integration"
stage "build with sanitizers" build asan
stage "unit tests, sanitizers" make -s -j2 MODE=asan ERR=1 unit
stage "Lua tests, sanitizers" "$tap" "$stages/lua_asan"
stage "fuzz regressions" "$tap" "$stages/fuzz"

rm -rf "$stages"
passed=$(awk '{n += $1} END {print n + 0}' "$summary")
failed=$(awk '{n += $2} END {print n + 0}' "$summary")
rm -f "$summary"
echo "== $(($(date +%s) - started)) s"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
