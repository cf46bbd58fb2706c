#!/usr/bin/env bash
# exec.sh DIR COMMAND...: runs a command in the cluster's network, with KUBECONFIG set.
dir="$(realpath -m "${1:?the folder of the cluster}")"
shift
export KUBECONFIG="$dir/admin.kubeconfig"
exec nsenter --net -t "$(cat "$dir/pid")" -- "$@"
