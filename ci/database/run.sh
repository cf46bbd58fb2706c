#!/usr/bin/env bash
# The step kind `sql` against a real PostgreSQL 15 (Debian's): reads of every type, what is refused, what can go wrong with
# passwords, certificates and the server itself, and the kind that each is told by. Then steps that write, what puts their
# changes back, and deaths in between. Then a restore drill: what a restore from a dump loses, measured by a
# suite. Without PostgreSQL the script says `NOT RUN: reason`; a difference ends in 1.
#
#   ci/database/run.sh [MUSTER]     default: a debug build
#
# The servers listen on 127.0.0.1 alone, as the user `nobody`, in a temporary folder, and are ended by their process ids.
. "$(dirname "${BASH_SOURCE[0]}")/../beside.sh" "$@"
bin=/usr/lib/postgresql/15/bin

[ "$(id -u)" = 0 ] || { not_run database 'only root may start a server as another user'; exit 0; }
command -v openssl >/dev/null || { not_run database 'there is no openssl'; exit 0; }

# Debian's package would make and start a cluster of its own: it is told not to.
fetched() {
  debian postgresql-common
  sed -ri 's/^#? *create_main_cluster .*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
  debian postgresql-15
}
[ -x "$bin/initdb" ] || fetched || true
[ -x "$bin/initdb" ] || { not_run database 'Debian has no postgresql-15'; exit 0; }

for part in verdicts writes drill; do
  compare python3 "$here/$part.py" "$bin" "$muster" "$work/$part"
done
exit "$failed"
