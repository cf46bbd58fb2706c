#!/usr/bin/env bash
# The step kind `sql` against a real PostgreSQL 15 (Debian's): reads of every type, what is refused, what can go wrong with
# passwords, certificates and the server itself, and the kind that each is told by. Then steps that write, what puts their
# changes back, and deaths in between. Then a restore drill: what a restore from a dump loses, measured by a
# suite. Without PostgreSQL the script says `NOT RUN: reason`; a difference ends in 1.
#
#   ci/database/run.sh [MUSTER]     default: target/debug/muster
#
# The servers listen on 127.0.0.1 alone, as the user `nobody`, in a temporary folder, and are ended by their process ids.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
muster="$(realpath "${1:-$root/target/debug/muster}")"
bin=/usr/lib/postgresql/15/bin

not_run() { echo "NOT RUN: $1"; exit 0; }

[ "$(id -u)" = 0 ] || not_run 'only root may start a server as another user'
command -v openssl >/dev/null || not_run 'there is no openssl'
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
# Debian's package would make and start a cluster of its own: it is told not to.
fetched() {
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql-common
  sed -ri 's/^#? *create_main_cluster .*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql-15
}
[ -x "$bin/initdb" ] || fetched >"$work/log" 2>&1 || true
[ -x "$bin/initdb" ] || not_run 'Debian has no postgresql-15'
chmod 755 "$work"

code=0
python3 "$here/verdicts.py" "$bin" "$muster" "$work/verdicts" || code=1
python3 "$here/writes.py" "$bin" "$muster" "$work/writes" || code=1
python3 "$here/drill.py" "$bin" "$muster" "$work/drill" || code=1
exit "$code"
