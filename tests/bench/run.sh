#!/usr/bin/env bash
# Runs every bench and prints their rows as one table; asserts nothing. ROUNDS=n for steadier medians.
set -u
cd "$(dirname "$0")"
export PYTHONDONTWRITEBYTECODE=1
printf '%-44s | %12s | %12s | %7s | %s\n' name floor host ratio aim
for bench in *_bench.*; do
    "./$bench" || echo "# $bench ended with $?"
done
