#!/usr/bin/env bash
# Every rule of the house that a program can check. Output is TAP; a missing tool is a failure.
# TIDY=0 leaves clang-tidy out (it is the slow one).
set -u
cd "$(dirname "$0")/../.."
count=0
failed=0

verdict() { # sentence, findings
    count=$((count + 1))
    if [ -z "$2" ]; then
        echo "ok $count - $1"
    else
        failed=$((failed + 1))
        printf '%s\n' "$2" | head -n 40 | sed 's/^/# /'
        echo "not ok $count - $1"
    fi
}

need() {
    command -v "$1" >/dev/null && return 0
    verdict "$1 is there" "$1 is missing: make deps-check installs it"
    return 1
}

files() { git ls-files -co --exclude-standard -- "$@" | while read -r f; do [ -f "$f" ] && echo "$f"; done; }
c_files=$(files 'core/*.c' 'core/*.h' 'include/*.h' 'tests/*.c' 'tests/*.h')
lua_files=$(files '*.lua')

# Rooms, lowest first: a file includes its own room and rooms below (loop, store, net are level).
rank() {
    case "$1" in
    base) echo 0 ;; loop) echo 1 ;; store) echo 1 ;; net) echo 2 ;; work) echo 3 ;; script) echo 4 ;;
    api) echo 5 ;; ops) echo 6 ;; host) echo 7 ;; cli) echo 8 ;; *) echo 9 ;;
    esac
}
upward=$(for f in $(files 'core/*.c' 'core/*.h'); do
    room=$(echo "$f" | cut -d/ -f2)
    case "$room" in host[._]*) room=host ;; main.c) continue ;; esac
    grep -oE '^#include "core/[a-z_]+[./]' "$f" | sed 's/.*core\///; s/[.\/]$//; s/^host_.*/host/' | sort -u | while read -r other; do
        [ "$(rank "$other")" -gt "$(rank "$room")" ] && echo "$f includes core/$other, which is above core/$room"
    done
done)
verdict "includes go down only" "$upward"

verdict "lua.h is included in core/script and core/api only" \
    "$(grep -lE '#include <(lua|lauxlib|lualib)\.h>' $(files 'core/*.c' 'core/*.h') | grep -vE '^core/(script|api)/')"
verdict "no file is above 800 lines" \
    "$(printf '%s\n' $c_files $lua_files | xargs wc -l | awk '$1 > 800 && $2 != "total" {print $2 ": " $1 " lines"}')"
verdict "no C function is above 60 lines" \
    "$(for f in $c_files; do awk '/^\{/{s=FNR} /^\}/{if(s&&FNR-s>61)print FILENAME ":" s ": " FNR-s-1 " lines"; s=0}' "$f"; done)"
verdict "no banned C function" \
    "$(grep -nE '\b(sprintf|strcpy|strcat|strtok|atoi|gets|alloca|vsprintf)[[:space:]]*\(' $c_files)"
verdict "no third person's workplace in the tree" \
    "$(git grep -nIE "(^|[[:space:]\"'=(:])/(work|home)/[a-z]" -- . ':!tests/support/lint.sh' | head -n 5)"
verdict "every public header of include/neap stands alone" \
    "$(for h in $(files 'include/*.h'); do echo "#include \"$h\"" | gcc -std=c11 -fsyntax-only -I. -Iinclude -xc - 2>&1; done)"

if need clang-format; then
    verdict "clang-format has nothing to change" \
        "$(clang-format --dry-run -Werror $c_files 2>&1 | grep -E 'error:' | cut -d: -f1 | sort | uniq -c)"
fi
if need luacheck; then
    verdict "luacheck finds nothing" "$(luacheck --quiet --codes $lua_files 2>&1 | grep -E '^ +[^ ].*:[0-9]+:[0-9]+:')"
fi
if [ "${TIDY:-1}" != 0 ] && need clang-tidy; then
    flags="-std=c11 -I. -Iinclude -D_DEFAULT_SOURCE $(pkg-config --cflags lua5.4 libcurl libevent expat libcrypto lmdb)"
    verdict "clang-tidy finds nothing" \
        "$(files 'core/*.c' | xargs -P 2 -n 6 sh -c 'clang-tidy --quiet "$@" -- '"$flags"' 2>/dev/null' tidy | grep -E ' (warning|error): ')"
fi
echo "1..$count"
[ "$failed" -eq 0 ]
