#!/usr/bin/env bash
# Buckets of other makes, listed by `objects`: versitygw, a Go module, which checks signatures, and PyPI's moto. What cannot be fetched
# is told as `NOT RUN: reason`; a difference ends in 1.
#
#   ci/bucket/run.sh [MUSTER]      default: a debug build
. "$(dirname "${BASH_SOURCE[0]}")/../beside.sh" "$@"

# Objects are put by boto3, which signs as well.
[ -x "$cache/python/bin/moto_server" ] ||
  { python3 -m venv "$cache/python" && "$cache/python/bin/pip" install --quiet 'moto[server]==5.1.0' 'boto3==1.37.0'; } >"$work/pip.log" 2>&1 ||
  { not_run buckets 'PyPI has not boto3 and moto'; exit 0; }

buckets() { compare "$cache/python/bin/python" -B "$here/buckets.py" "$muster" "$work" "$@"; }

with_versitygw() {
  command -v go >/dev/null || { not_run versitygw 'there is no go'; return; }
  [ -x "$cache/versitygw" ] ||
    GOBIN="$cache" go install "github.com/versity/versitygw/cmd/versitygw@v1.8.0" >"$work/go.log" 2>&1 ||
    { not_run versitygw 'it could not be built'; return; }
  buckets versitygw "$cache/versitygw"
}

with_versitygw
buckets moto "$cache/python/bin/moto_server"
exit "$failed"
