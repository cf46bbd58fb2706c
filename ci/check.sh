#!/usr/bin/env bash
# The checks that `cargo test` does not hold. Each part prints its name and how long it took; the first that fails
# ends the script with its exit code. Needs bash, python3 and the Rust of rust-toolchain.toml; for the part on a real
# Kubernetes also root, Debian's packages and Go (see ci/cluster/README.md), else that part says NOT RUN.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT

part() {
  local name="$1" began="$SECONDS" ended=0
  shift
  printf '── %s\n' "$name"
  "$@" || ended="$?"
  printf '── %s: %s in %d s\n' "$name" "$([ "$ended" = 0 ] && echo ok || echo "FAILED ($ended)")" "$((SECONDS - began))"
  return "$ended"
}

documented() { RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --quiet; }

run_on_fakes() { cargo run --quiet -- run --report-dir "$folder/report" --seed 1; }

nothing_is_pending() {
  local pending
  pending="$(find fixtures -name '*.snap.new')"
  [ -z "$pending" ] || { printf 'these differ from what is stored beside them:\n%s\n' "$pending"; return 1; }
}

# Each landing tries other points: those that the number of commits chooses.
twenty_deaths() {
  strace -o /dev/null true 2>/dev/null || { echo 'NOT RUN: strace is not there, or may not look at processes'; return 0; }
  ci/deaths.py target/debug/muster --at-most 20 --seed "$(git rev-list --count HEAD 2>/dev/null || echo 1)"
}

part 'format' cargo fmt --check
part 'clippy' cargo clippy --quiet --all-targets -- -D warnings
part 'documentation' documented
part 'suites are valid' cargo run --quiet -- check
part 'suites on the fakes' run_on_fakes
part 'stored replies and outline are as they were' nothing_is_pending
part 'twenty deaths' twenty_deaths
part 'manifests are as they are written' ci/deploy/fake-platform/generate.py --check
part 'codes in a log, and three kills, on a real Kubernetes' ci/cluster/smoke.sh
part 'junit.xml by a second reader' python3 ci/read_junit.py "$folder/report"
