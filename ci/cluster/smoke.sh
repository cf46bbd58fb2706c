#!/usr/bin/env bash
# smoke.sh: reads one-time codes from the log of a pod of the fake platform on a real Kubernetes, and kills three pods, one
# after the other, each with no more rights than `muster rbac` prints. If its programs can neither be fetched nor built
# here it prints `NOT RUN: reason` and ends in 0; once they are there red is red, also a cluster that does not start. Needs
# target/debug/muster.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"

not_run() { printf 'NOT RUN: %s\n' "$1"; exit 0; }

[ "$(id -u)" = 0 ] || not_run 'a cluster needs root'
work="$(mktemp -d)"
trap '"$here/down.sh" "$work/cluster"; rm -rf "$work"' EXIT
timeout 1800 "$here/build.sh" >"$work/build.log" 2>&1 ||
  not_run "$(grep -m 1 'NOT RUN: ' "$work/build.log" | sed 's/NOT RUN: //' || tail -n 1 "$work/build.log")"
"$here/up.sh" "$work/cluster" >"$work/up.log" 2>&1 || { cat "$work/up.log"; echo 'FAILED: the programs are there, and the cluster does not start'; exit 1; }
tail -n 1 "$work/up.log"
"$here/platform.sh" "$work/cluster"
"$here/least.sh" "$work/cluster"
"$here/exec.sh" "$work/cluster" timeout 60 "$root/target/debug/muster" doctor --target "$work/cluster/target.yaml" \
  --suites "$root/suites" --state-dir "$work/state"
"$here/exec.sh" "$work/cluster" timeout 120 "$root/target/debug/muster" run --target "$work/cluster/target.yaml" \
  --suites "$root/suites" --state-dir "$work/state" --report-dir "$work/setup" platform-setup
"$here/logs.sh" "$work/cluster"
"$here/exec.sh" "$work/cluster" timeout 300 "$root/target/debug/muster" run --target "$work/cluster/target.yaml" \
  --suites "$root/suites" --allow-disruption --state-dir "$work/state" --report-dir "$work/report" --seed 1 --exact \
  'core-pod-comes-back[store]' 'core-pod-comes-back[api]' 'service-pod-comes-back[signup]'
