#!/usr/bin/env bash
# Mailboxes of other makes, read by `receive`: npm's maildev (SMTP in, HTTP out) and Debian's dovecot-imapd (TLS, STARTTLS
# and in clear). What cannot be fetched is told as `NOT RUN: reason`; a difference ends in 1.
#
#   ci/mail/run.sh [MUSTER]      default: a debug build
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
muster="$(realpath -m "${1:-$here/../../target/debug/muster}")"
cache="${MUSTER_CI_CACHE:-$HOME/.cache/muster-ci}/mail"
mkdir -p "$cache"
work="$(mktemp -d)"
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
failed=0
[ $# -gt 0 ] || (cd "$here" && cargo build --quiet)

not_run() { printf '%-10s NOT RUN: %s\n' "$1" "$2"; }

with_maildev() {
  command -v npm >/dev/null || { not_run maildev 'there is no npm'; return; }
  [ -x "$cache/npm/node_modules/.bin/maildev" ] ||
    npm install --silent --no-audit --no-fund --prefix "$cache/npm" maildev@2.2.1 >"$work/npm.log" 2>&1 ||
    { not_run maildev 'npm has it not'; return; }
  python3 -B "$here/mailboxes.py" "$muster" "$work" maildev "$cache/npm/node_modules/.bin/maildev" || failed=1
}

with_dovecot() {
  command -v openssl >/dev/null || { not_run dovecot 'there is no openssl'; return; }
  command -v dovecot >/dev/null ||
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends dovecot-imapd; } >"$work/apt.log" 2>&1 ||
    { not_run dovecot 'Debian has it not'; return; }
  python3 -B "$here/mailboxes.py" "$muster" "$work" dovecot "$(command -v dovecot)" || failed=1
}

with_maildev
with_dovecot
exit "$failed"
