#!/usr/bin/env bash
# down.sh DIR: ends the cluster. Its namespaces take every process and mount with them.
set -euo pipefail
dir="$(realpath -m "${1:?the folder of the cluster}")"
[ -f "$dir/outer.pid" ] || exit 0
outer="$(cat "$dir/outer.pid")"
if [ -f "$dir/pid" ]; then
  kill -KILL "$(cat "$dir/pid")" 2>/dev/null || true
else
  pkill -KILL -P "$outer" 2>/dev/null || true
fi
for _ in $(seq 200); do
  kill -0 "$outer" 2>/dev/null || break
  sleep 0.05
done
find /sys/fs/cgroup -depth -type d -path '*/k8s.io/*' -exec rmdir {} + 2>/dev/null || true
rm -rf "$dir"
