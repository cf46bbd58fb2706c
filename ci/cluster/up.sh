#!/usr/bin/env bash
# up.sh DIR: starts a cluster of one node whose files are in DIR, in namespaces of its own. Programs: see build.sh.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
dir="$(realpath -m "${1:?a folder for the cluster}")"
bin="$("$here/build.sh" | tail -n 1)"
export here dir bin

if [ -f "$dir/pid" ] && kill -0 "$(cat "$dir/pid")" 2>/dev/null; then
  printf 'the cluster in %s is up already\n' "$dir"
  exit 0
fi
mkdir -p "$dir"
rm -f "$dir/ready" "$dir/pid"
began="$(date +%s%N)"
setsid unshare --net --mount --pid --fork --mount-proc --kill-child bash "$here/inside.sh" >"$dir/inside.log" 2>&1 &
outer=$!
printf '%s\n' "$outer" >"$dir/outer.pid"
for _ in $(seq 1200); do
  [ -f "$dir/ready" ] && break
  kill -0 "$outer" 2>/dev/null || { tail -n 20 "$dir/inside.log"; exit 1; }
  sleep 0.1
done
[ -f "$dir/ready" ] || { printf 'not ready within 120 s\n'; tail "$dir/inside.log"; exit 1; }
pgrep -P "$outer" >"$dir/pid"
printf 'ready in %s ms\n' $((($(date +%s%N) - began) / 1000000))
