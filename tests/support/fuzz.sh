#!/usr/bin/env bash
# fuzz.sh regression 0 NAME...     replays corpus and regression files of each fuzzer, as TAP
# fuzz.sh campaign SECONDS NAME... fuzzes each for that long, under address and UB sanitizers
set -u
cd "$(dirname "$0")/../.."
mode=$1
seconds=$2
shift 2
out=build/fuzz
mkdir -p "$out"
packages="lua5.4 lmdb libcurl libevent libevent_openssl expat libcrypto libssl liblz4 xlsxwriter"
flags="-std=c11 -g -O1 -I. -Iinclude -D_DEFAULT_SOURCE $(pkg-config --cflags $packages)"
libs="$(pkg-config --libs $packages) -lpthread -lm"

# One library of the host with coverage, rebuilt when a source is newer.
if [ ! -f "$out/libneap.a" ] || [ -n "$(find core include -newer "$out/libneap.a" -name '*.[ch]' | head -n 1)" ]; then
    rm -rf "$out/obj" "$out/libneap.a"
    mkdir -p "$out/obj"
    find core -name '*.c' ! -name main.c | xargs -P 2 -I{} sh -c \
        'clang '"$flags"' -fsanitize=fuzzer-no-link,address,undefined -c {} -o '"$out"'/obj/$(echo {} | tr / _).o' || exit 1
    echo 'const char *neap_version(void); const char *neap_version(void) { return "fuzz"; }' >"$out/version.c"
    clang $flags -c "$out/version.c" -o "$out/obj/version.o"
    ar rcs "$out/libneap.a" "$out"/obj/*.o
fi
count=0
failed=0
for name in "$@"; do
    count=$((count + 1))
    log="$out/$name.log"
    corpus=tests/fuzz/corpus/$name
    ok=1
    clang $flags -fsanitize=fuzzer,address,undefined -o "$out/$name" "tests/fuzz/${name}_fuzzer.c" \
        "$out/libneap.a" $libs >"$log" 2>&1 || ok=0
    if [ $ok = 1 ] && [ "$mode" = regression ]; then
        files=$(find "$corpus" "tests/fuzz/regression/$name" -type f 2>/dev/null)
        "$out/$name" -runs=1 $files >"$log" 2>&1 || ok=0
        sentence="the $name fuzzer replays $(echo "$files" | wc -w) inputs"
        [ -n "$files" ] || ok=0
    elif [ $ok = 1 ]; then
        mkdir -p "$out/corpus.$name"
        "$out/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$out/" \
            "$out/corpus.$name" "$corpus" >"$log" 2>&1 || ok=0
        sentence="the $name fuzzer finds nothing in $seconds s ($(grep -oE 'stat::number_of_executed_units: [0-9]+|^#[0-9]+' "$log" | tail -n 1))"
    fi
    if [ $ok = 1 ]; then
        echo "ok $count - $sentence"
    else
        failed=$((failed + 1))
        tail -n 25 "$log" | sed 's/^/# /'
        echo "not ok $count - the $name fuzzer failed"
    fi
done
echo "1..$count"
[ "$failed" -eq 0 ]
