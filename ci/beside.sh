# What the scripts share that try muster beside programs of other makes; sourced by `run.sh` in a folder of ci/.
#
#   . "$(dirname "${BASH_SOURCE[0]}")/../beside.sh" "$@"
#
# It leaves `here` (the folder of the script), `muster` (the program that the first argument names, else a debug build), `cache`
# (what was fetched, a folder for each script) and `work` (others may read it; it goes with the script).
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[1]}")" && pwd)"
muster="$(realpath -m "${1:-$here/../../target/debug/muster}")"
cache="${MUSTER_CI_CACHE:-$HOME/.cache/muster-ci}/$(basename "$here")"
mkdir -p "$cache"
work="$(mktemp -d)"
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
[ $# -gt 0 ] || (cd "$here" && cargo build --quiet)

not_run() { printf '%-10s NOT RUN: %s\n' "$1" "$2"; }

# Installs Debian packages; what is said of it is in the work folder.
debian() {
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; } >>"$work/apt.log" 2>&1
}

# Does what it is told, and remembers a difference for the end of the script: `exit "$failed"`.
failed=0
compare() { "$@" || failed=1; }
