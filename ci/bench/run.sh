#!/usr/bin/env bash
# Times and sizes of muster, as one table on standard output. Prints them and judges none: it fails only if something
# cannot be built or run. Needs bash, python3 and the Rust of rust-toolchain.toml; takes a few minutes the first time.
#
#   ci/bench/run.sh [REPEATS]      each time is the median of REPEATS runs (default 5)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

cargo build --quiet
cargo build --quiet --release --bins --examples
python3 ci/bench/measure.py "${1:-5}"
