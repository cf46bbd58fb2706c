#!/usr/bin/env bash
# platform.sh DIR [LAYOUT]: puts the fake platform on the cluster in DIR, in the layout `default` or `server`, waits until
# it is Ready, and writes DIR/target.yaml and DIR/operator. MUSTER is the program to use; the debug build if unset.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
dir="$(realpath -m "${1:?the folder of the cluster}")"
layout="${2:-default}"
muster="${MUSTER:-$root/target/debug/muster}"
in_cluster=("$here/exec.sh" "$dir")

# The program with the libraries it is linked to, so that an image needs nothing else.
image() {
  local work="$dir/image" files=() library
  mkdir -p "$work"
  strip -o "$work/muster" "$muster"
  for library in $(ldd "$muster" | grep -oE '/[^ ]+'); do
    files+=("$(realpath "$library")=$library")
  done
  for command in sh kill cat; do files+=("@busybox=/bin/$command"); done
  python3 "$here/image.py" "$work/muster.tar" registry.local/muster:1,registry.local/muster:2,registry.local/cockroach-backup:1 "$work/muster=/bin/muster" \
    "$(command -v busybox)=/bin/busybox" "${files[@]}" -- /bin/muster
  "$here/import.sh" "$dir" "$work/muster.tar" >/dev/null
}

operator() {
  [ -f "$dir/operator" ] || { umask 077; openssl rand -hex 16 >"$dir/operator"; }
  "${in_cluster[@]}" kubectl create namespace fake --dry-run=client -o yaml | "${in_cluster[@]}" kubectl apply -f - >/dev/null
  "${in_cluster[@]}" kubectl -n fake create secret generic operator --from-file=secret=<(tr -d '\n' <"$dir/operator") \
    --dry-run=client -o yaml | "${in_cluster[@]}" kubectl apply -f - >/dev/null
}

deploy() {
  "${in_cluster[@]}" kubectl apply -f "$root/ci/deploy/fake-platform/$layout.yaml" >/dev/null 2>"$dir/apply.log" ||
    { cat "$dir/apply.log"; return 1; }
  local namespace core=default
  [ "$layout" = server ] && core=server
  for namespace in fake "$core" micro; do
    "${in_cluster[@]}" kubectl -n "$namespace" wait --for=condition=Available deployment --all --timeout=180s >/dev/null
  done
}

# What a real platform has beside its pods; nothing fills in the address of an ingress here.
surroundings() {
  local core=default name from="$root/ci/deploy/fake-platform"
  [ "$layout" = server ] && core=server
  "${in_cluster[@]}" kubectl apply -f "$from/certificates.yaml" >/dev/null
  "${in_cluster[@]}" kubectl wait --for=condition=Established crd/certificates.cert-manager.io --timeout=60s >/dev/null
  sed -e "s/ CORE / $core /" -e "s/ENDS_AT/$(date -u -d '+60 days' +%Y-%m-%dT%H:%M:%SZ)/" "$from/surroundings.yaml" |
    "${in_cluster[@]}" kubectl apply -f - >/dev/null
  "${in_cluster[@]}" kubectl -n "$core" patch cronjob cockroach-backup --subresource=status --type=merge \
    -p "{\"status\":{\"lastSuccessfulTime\":\"$(date -u +%Y-%m-%dT%H:%M:%SZ)\"}}" >/dev/null
  for name in api proxy; do
    "${in_cluster[@]}" kubectl -n "$core" patch ingress "$name" --subresource=status --type=merge \
      -p '{"status":{"loadBalancer":{"ingress":[{"ip":"127.0.0.1"}]}}}' >/dev/null
  done
}

target() {
  local uid
  uid="$("${in_cluster[@]}" kubectl get namespace kube-system -o jsonpath='{.metadata.uid}')"
  sed -e "s/00000000-0000-0000-0000-000000000000/$uid/" -e "s#/etc/muster/kubeconfig#$dir/admin.kubeconfig#" \
    -e "s#/etc/muster/operator#$dir/operator#" "$root/fixtures/targets/cluster-$layout.yaml" >"$dir/target.yaml"
}

began="$(date +%s%N)"
image
operator
deploy
surroundings
target
printf 'platform in the layout %s ready in %s ms\n' "$layout" $((($(date +%s%N) - began) / 1000000))
