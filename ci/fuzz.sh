#!/usr/bin/env bash
# Fuzzing: each target of tests/fuzz for some seconds, from the seeds kept in tests/fuzz/seeds. A crash, a run of more than
# a second, or a growth beyond 512 MiB ends in 1, and its input is named. Needs a nightly Rust; fetches cargo-fuzz once.
# What cannot be fetched is told as `NOT RUN: reason`.
#
#   ci/fuzz.sh [SECONDS [TARGET…]]      default: 60 seconds for each
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
seconds="${1:-60}"
[ $# -eq 0 ] || shift
cache="${MUSTER_CI_CACHE:-$HOME/.cache/muster-ci}/cargo-fuzz"
not_run() { printf 'NOT RUN: %s\n' "$1"; exit 0; }

cargo +nightly --version >/dev/null 2>&1 || not_run 'there is no nightly Rust'
[ -x "$cache/bin/cargo-fuzz" ] ||
  cargo +nightly install --quiet cargo-fuzz --version 0.13.2 --locked --root "$cache" >/dev/null 2>&1 || not_run 'cargo-fuzz is not to be had'
cd "$root/tests/fuzz"
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(sed -n 's/^name = "\(.*\)"$/\1/p' Cargo.toml | tail -n +2)
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target/fuzz}"
readonly programs="$CARGO_TARGET_DIR/$(rustc -vV | sed -n 's/^host: //p')/release"
total=0
failed=0
mkdir -p "$CARGO_TARGET_DIR"
RUSTUP_TOOLCHAIN=nightly "$cache/bin/cargo-fuzz" build --fuzz-dir . --sanitizer none >"$CARGO_TARGET_DIR/build.log" 2>&1 || { tail -n 20 "$CARGO_TARGET_DIR/build.log"; exit 1; }
for target in "${targets[@]}"; do
  work="$CARGO_TARGET_DIR/corpus/$target"
  mkdir -p "$work"
  code=0
  (cd "$CARGO_TARGET_DIR" && exec "$programs/$target" "$work" "$root/tests/fuzz/seeds/$target" -artifact_prefix="$CARGO_TARGET_DIR/$target-" \
    -max_total_time="$seconds" -timeout=1 -rss_limit_mb=512 -print_final_stats=1 -verbosity=0) >"$CARGO_TARGET_DIR/$target.log" 2>&1 || code=$?
  runs="$(sed -n 's/^stat::number_of_executed_units: *//p' "$CARGO_TARGET_DIR/$target.log")"
  total=$((total + ${runs:-0}))
  if [ "$code" = 0 ]; then
    printf '%-12s %10s executions, nothing found\n' "$target" "${runs:-0}"
  else
    failed=$((failed + 1))
    printf '%-12s FOUND: %s\n' "$target" "$(grep -m 1 -E 'panicked|ALARM|timeout|out-of-memory|ERROR' "$CARGO_TARGET_DIR/$target.log" || tail -n 1 "$CARGO_TARGET_DIR/$target.log")"
    grep -m 1 'Test unit written to' "$CARGO_TARGET_DIR/$target.log" || true
  fi
done
printf '%s executions in all, %s targets found something\n' "$total" "$failed"
[ "$failed" = 0 ]
