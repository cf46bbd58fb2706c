#!/usr/bin/env bash
# least.sh DIR [FILTER...]: lets DIR/target.yaml speak to its cluster as a service account that holds exactly what
# `muster rbac` prints for the chosen cases. MUSTER is the program to use; the debug build if unset.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
dir="$(realpath -m "${1:?the folder of the cluster}")"
shift
muster="${MUSTER:-$root/target/debug/muster}"
kubectl=("$here/exec.sh" "$dir" kubectl)

"${kubectl[@]}" -n fake create serviceaccount muster --dry-run=client -o yaml | "${kubectl[@]}" apply -f - >/dev/null
"$muster" rbac --target "$dir/target.yaml" --suites "$root/suites" --bind-to fake/muster "$@" >"$dir/rbac.yaml"
"${kubectl[@]}" apply -f "$dir/rbac.yaml" >/dev/null
token="$("${kubectl[@]}" -n fake create token muster --duration=8h)"
cp "$dir/admin.kubeconfig" "$dir/muster.kubeconfig"
"${kubectl[@]}" config --kubeconfig="$dir/muster.kubeconfig" set users.u.token "$token" >/dev/null
sed -i "s#$dir/admin.kubeconfig#$dir/muster.kubeconfig#" "$dir/target.yaml"
