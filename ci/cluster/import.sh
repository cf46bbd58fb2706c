#!/usr/bin/env bash
# import.sh DIR IMAGE.tar: hands the cluster an image made by image.py.
dir="$(realpath -m "${1:?the folder of the cluster}")"
exec ctr --address "$dir/containerd.sock" -n k8s.io images import "${2:?an image}"
