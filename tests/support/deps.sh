#!/usr/bin/env bash
# The packages Neap needs (Debian 12 names): to build and run, and to check.
#   deps.sh list            one per line
#   deps.sh install [all]   installs what is missing; "all" adds what `make check` needs
set -eu

build=(gcc make pkg-config git ca-certificates tzdata
    liblua5.4-dev liblmdb-dev libcurl4-openssl-dev libevent-dev libexpat1-dev
    libssl-dev zlib1g-dev libmimalloc-dev)
check=(curl python3 lua-check lua-cjson-dev clang clang-format clang-tidy libclang-rt-14-dev openssl)

case "${1:-list}" in
list)
    printf '%s\n' "${build[@]}" "${check[@]}"
    ;;
install)
    wanted=("${build[@]}")
    [ "${2:-}" = all ] && wanted+=("${check[@]}")
    missing=()
    for package in "${wanted[@]}"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ "${#missing[@]}" -eq 0 ] && exit 0
    if ! command -v apt-get >/dev/null; then
        echo "these packages (Debian names) are missing, and there is no apt-get: ${missing[*]}" >&2
        exit 1
    fi
    echo "installing: ${missing[*]}"
    sudo=
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    export DEBIAN_FRONTEND=noninteractive
    $sudo apt-get update -qq
    $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    ;;
*)
    echo "usage: deps.sh list | install [all]" >&2
    exit 2
    ;;
esac
