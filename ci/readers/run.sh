#!/usr/bin/env bash
# Reads a run's junit.xml with readers of other makes, and compares what each counted with what muster itself says of the
# run: PyPI's junitparser, Surefire's report parser (Debian's libsurefire-java) and npm's junit2json. What cannot be fetched
# is told as `NOT RUN: reason`; a difference ends in 1.
#
#   ci/readers/run.sh [JUNIT.xml SUMMARY.json]     default: the made-up run of fixtures/reports, with every verdict and
#                                                  hostile texts
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
junit="$(realpath "${1:-$root/fixtures/reports/every-verdict.junit.xml}")"
summary="$(realpath "${2:-$root/fixtures/reports/every-verdict.summary.json}")"
cache="${MUSTER_CI_CACHE:-$HOME/.cache/muster-ci}/readers"
mkdir -p "$cache"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
failed=0

compared() {
  local reader="$1"
  if python3 "$here/compared.py" "$summary" "$work/found" >"$work/difference"; then
    printf '%-24s agrees: %s\n' "$reader" "$(cat "$work/difference")"
  else
    printf '%-24s DIFFERS:\n' "$reader"
    cat "$work/difference"
    failed=1
  fi
}

not_run() { printf '%-24s NOT RUN: %s\n' "$1" "$2"; }

by_junitparser() {
  [ -x "$cache/python/bin/python" ] || python3 -m venv "$cache/python"
  "$cache/python/bin/pip" install --quiet 'junitparser==5.0.3' >"$work/log" 2>&1 || { not_run junitparser 'PyPI has it not'; return; }
  "$cache/python/bin/python" "$here/junitparser_reads.py" "$junit" >"$work/found"
  compared 'junitparser 5.0.3'
}

by_junit2json() {
  command -v npm >/dev/null || { not_run junit2json 'there is no npm'; return; }
  (cd "$cache" && npm install --silent --no-audit --no-fund --prefix "$cache/npm" junit2json@4.0.0) >"$work/log" 2>&1 ||
    { not_run junit2json 'npm has it not'; return; }
  cp "$here/junit2json_reads.mjs" "$cache/npm/"
  (cd "$cache/npm" && node junit2json_reads.mjs "$junit") >"$work/found"
  compared 'junit2json 4.0.0'
}

by_surefire() {
  command -v javac >/dev/null || { not_run surefire 'there is no javac'; return; }
  [ -e /usr/share/java/surefire-report-parser.jar ] && compgen -G "/usr/share/java/maven-reporting-api*.jar" >/dev/null ||
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libsurefire-java libmaven-reporting-api-java libcommons-lang3-java; } >"$work/log" 2>&1 ||
    { not_run surefire 'Debian has it not'; return; }
  mkdir -p "$work/reports"
  # It reads files named TEST-*.xml, each with one suite.
  python3 "$here/one_suite_a_file.py" "$junit" "$work/reports"
  local path
  path="$(printf '%s:' /usr/share/java/surefire-*.jar /usr/share/java/maven-reporting-api*.jar \
    /usr/share/java/maven-shared-utils.jar /usr/share/java/commons-lang3.jar /usr/share/java/doxia-sink-api.jar)"
  javac -encoding UTF-8 -cp "$path" -d "$work" "$here/SurefireReads.java" 2>"$work/log" || { cat "$work/log"; failed=1; return; }
  java -Dfile.encoding=UTF-8 -Dstdout.encoding=UTF-8 -cp "$path$work" SurefireReads "$work/reports" >"$work/found" || { failed=1; return; }
  compared 'surefire-report-parser'
}

by_junitparser
by_junit2json
by_surefire
exit "$failed"
