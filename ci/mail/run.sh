#!/usr/bin/env bash
# Mailboxes of other makes, read by `receive`: npm's maildev (SMTP in, HTTP out) and Debian's dovecot-imapd (TLS, STARTTLS
# and in clear). What cannot be fetched is told as `NOT RUN: reason`; a difference ends in 1.
#
#   ci/mail/run.sh [MUSTER]      default: a debug build
. "$(dirname "${BASH_SOURCE[0]}")/../beside.sh" "$@"

mailboxes() { compare python3 -B "$here/mailboxes.py" "$muster" "$work" "$@"; }

with_maildev() {
  local maildev="$cache/npm/node_modules/.bin/maildev"
  command -v npm >/dev/null || { not_run maildev 'there is no npm'; return; }
  [ -x "$maildev" ] ||
    npm install --silent --no-audit --no-fund --prefix "$cache/npm" maildev@2.2.1 >"$work/npm.log" 2>&1 ||
    { not_run maildev 'npm has it not'; return; }
  mailboxes maildev "$maildev"
}

with_dovecot() {
  command -v openssl >/dev/null || { not_run dovecot 'there is no openssl'; return; }
  command -v dovecot >/dev/null || debian dovecot-imapd || { not_run dovecot 'Debian has it not'; return; }
  mailboxes dovecot "$(command -v dovecot)"
}

with_maildev
with_dovecot
exit "$failed"
