#!/usr/bin/env bash
# least.sh DIR [FILTER...]: lets DIR/target.yaml speak to its cluster as a service account that holds exactly what
# `muster rbac` prints for the chosen cases. MUSTER is the program to use, the debug build if unset; TARGET another target
# file, and ACCOUNT the account's name, `muster` if unset.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
dir="$(realpath -m "${1:?the folder of the cluster}")"
shift
muster="${MUSTER:-$root/target/debug/muster}"
account="${ACCOUNT:-muster}"
target="${TARGET:-$dir/target.yaml}"
kubectl=("$here/exec.sh" "$dir" kubectl)

"${kubectl[@]}" -n fake create serviceaccount "$account" --dry-run=client -o yaml | "${kubectl[@]}" apply -f - >/dev/null
"$muster" rbac --target "$target" --suites "$root/suites" --bind-to "fake/$account" "$@" >"$dir/$account.rbac.yaml"
"${kubectl[@]}" apply -f "$dir/$account.rbac.yaml" >/dev/null
token="$("${kubectl[@]}" -n fake create token "$account" --duration=8h)"
cp "$dir/admin.kubeconfig" "$dir/$account.kubeconfig"
"${kubectl[@]}" config --kubeconfig="$dir/$account.kubeconfig" set users.u.token "$token" >/dev/null
sed -i "s#config: $dir/.*\.kubeconfig#config: $dir/$account.kubeconfig#" "$target"
