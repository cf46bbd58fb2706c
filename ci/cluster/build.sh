#!/usr/bin/env bash
# build.sh: builds Kubernetes' programs and two images once, and prints the folder they are in on the last line.
# Ends in 75 with a reason if something cannot be fetched.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
version=1.33.4
programs=(kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy)
packages=(containerd runc containernetworking-plugins etcd-server busybox-static nftables iptables conntrack iproute2
  openssl gcc libc6-dev python3 kubernetes-client)

not_available() { printf 'NOT RUN: %s\n' "$1" >&2; exit 75; }

# The commands that the packages bring, for a machine may have them from elsewhere.
is_installed() {
  local command
  for command in containerd runc etcd busybox nft iptables conntrack ip openssl gcc python3 kubectl; do
    command -v "$command" >/dev/null || return 1
  done
  [ -x /usr/lib/cni/bridge ]
}

install() {
  is_installed && return
  [ "$(id -u)" = 0 ] || not_available 'a cluster needs root'
  export DEBIAN_FRONTEND=noninteractive
  local wanted=("${packages[@]}")
  command -v kubectl >/dev/null && wanted=("${wanted[@]/kubernetes-client/}")
  # shellcheck disable=SC2086
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends ${wanted[*]}; } >&2 ||
    not_available 'Debian packages cannot be installed'
}

# A module of its own with the replacements of Kubernetes, since `go install` refuses a main module that has some.
module() {
  printf 'module fetch\n\ngo 1.24.0\n' >go.mod
  go mod download "k8s.io/kubernetes@v$version" || not_available "Kubernetes $version cannot be fetched"
  local staging
  staging="$(grep -oE 'k8s\.io/[a-z-]+ => \./staging' "$(go env GOMODCACHE)/k8s.io/kubernetes@v$version/go.mod" | cut -d' ' -f1 | sort -u)"
  {
    printf 'module cluster\n\ngo 1.24.0\n\nrequire k8s.io/kubernetes v%s\n\nreplace (\n' "$version"
    sed "s/.*/\t& => & v0.${version#1.}/" <<<"$staging"
    printf ')\n'
  } >go.mod
  {
    printf '//go:build tools\n\npackage tools\n\nimport (\n'
    printf '\t_ "k8s.io/kubernetes/cmd/%s"\n' "${programs[@]}"
    printf ')\n'
  } >tools.go
  go mod tidy -e >tidy.log 2>&1 || { tail tidy.log >&2; not_available "modules of Kubernetes $version cannot be fetched"; }
}

build() {
  local into="$1" stamp='' package program
  for package in component-base/version client-go/pkg/version; do
    stamp+=" -X k8s.io/$package.gitVersion=v$version -X k8s.io/$package.gitMajor=1 -X k8s.io/$package.gitMinor=33"
  done
  for program in "${programs[@]}"; do
    go build -trimpath -ldflags="-s -w$stamp" -o "$into/$program" "k8s.io/kubernetes/cmd/$program"
    printf 'built %s\n' "$program" >&2
  done
  gcc -O2 -static -o pause "$here/pause.c"
  python3 "$here/image.py" "$into/pause.tar" registry.local/pause:1 pause=/pause -- /pause
  python3 "$here/image.py" "$into/busybox.tar" registry.local/busybox:1 "$(command -v busybox)=/bin/busybox" \
    @busybox=/bin/sh @busybox=/bin/httpd @busybox=/bin/sleep @busybox=/bin/kill @busybox=/bin/cat @busybox=/bin/wget \
    -- /bin/sh
}

install
command -v go >/dev/null || not_available 'there is no Go'
key="$(cat "$here/build.sh" "$here/image.py" "$here/pause.c" | sha256sum | cut -c1-12)"
folder="${MUSTER_CI_CACHE:-$HOME/.cache/muster-ci}/kubernetes-$version-$key"
if [ ! -f "$folder/whole" ]; then
  work="$(mktemp -d)"
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$folder"
  export CGO_ENABLED=0 GOSUMDB=off GOFLAGS=-mod=mod GOTOOLCHAIN=local
  cd "$work"
  module
  build "$folder"
  touch "$folder/whole"
fi
printf '%s\n' "$folder"
