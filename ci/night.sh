#!/usr/bin/env bash
# The checks that take too long for every landing, in stages of a few seconds to a few minutes each.
#
# What a stage found is kept in target/night/STATE/STAGE/, where STATE stands for what all stages depend on: the committed
# state of src, suites, fixtures and the lock file. A stage that passed is not run again for the same state and the same
# scripts of its own: stop it whenever you like, and call it again to go on. With uncommitted changes nothing counts, and
# everything is run anew. A stage in which something could not be had says `not run` and why; it has not passed.
#
#   ci/night.sh [PATTERN]      every stage (whose name matches) that has not passed yet
#   ci/night.sh --table        what has passed for this state, without running anything; kept in docs/night.md
#
# Stages:
#   defect-NAME   every case on fakes with one defect switched on: a case must turn red
#   seed-NUMBER   every case with a random seed, ten times: every case must pass, and all outlines must be the same
#   deaths-FAMILY-N
#                 muster killed at every point of every fourth case of a family, then `muster cleanup`: nothing may be left
#   instants      muster ended at 1,000 random instants, in every way: the platform is as it was, the exit code is right
#   stopped       a run stopped for a minute by SIGSTOP at several moments: nothing left behind, no Fail
#   planted-N     every N-th defect on, one at a time: no secret of the run stands in anything that it writes
#   stuck         a run whose thread is held: the watchdog ends it in 5, and `muster cleanup` puts everything back
#   readers       junit.xml of a run with every verdict and hostile texts, read by three readers of other makes
#   tls           what `muster doctor` and a run say of an API behind good and bad certificates
#   mail          mailboxes of other makes (maildev, dovecot), read by `receive`
#   bucket        buckets of other makes (versitygw, moto), listed by `objects`
#   outages-WHAT  what a probe finds of outages made by a schedule, of ten minutes without any, and how exact its beat is
#   fuzz-TARGET   two minutes of fuzzing of each target of tests/fuzz: no crash, no hang, no growth
#   bench         times and sizes, as one table
#   peers         times beside Hurl, k6 and Tavern
#   database      the step kind `sql` against a real PostgreSQL: types, refusals, certificates, outages, a restore drill
#   another       a platform of another make on a real Kubernetes, from `muster init` to a first verdict
#   troubles      what can go wrong on a real Kubernetes while a platform is disrupted, and what is said of it
#   sweep-LAYOUT  every pod of the fake platform on a real Kubernetes, one after the other, in both layouts
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly SEEDS=10 DEATH_PARTS=4
readonly PLANTED_PARTS=10
state="$(git rev-parse HEAD:src HEAD:suites HEAD:fixtures HEAD:Cargo.lock | sha256sum | cut -c1-12)"
[ -z "$(git status --porcelain --untracked-files=no -- src suites fixtures ci tests/it/planted tests/it/program.rs Cargo.lock)" ] || state=uncommitted
root="$PWD"
readonly night="$root/target/night/$state"
readonly muster="$root/target/release/muster"

# What a stage is made of, besides the program and this script itself.
scripts_of() {
  case "$1" in
    deaths-*) echo ci/deaths.py ;;
    instants | stopped) echo "ci/$1.py" ci/deaths.py ;;
    planted-*) echo tests/it/planted tests/it/program.rs ;;
    stuck) echo ci/stuck.py ci/deaths.py ;;
    readers) echo ci/readers ci/read_junit.py ;;
    tls) echo ci/tls ;;
    fuzz-*) echo ci/fuzz.sh tests/fuzz ;;
    bench | peers) echo ci/bench ;;
    mail | bucket | database) echo "ci/$1" ci/beside.sh ;;
    outages-*) echo ci/bench/outages.rs ;;
    another | troubles | sweep-*) echo ci/cluster ci/deploy ;;
  esac
}

# The committed state of that, in one word.
made_of() {
  local name
  for name in ci/night.sh $(scripts_of "$1"); do git rev-parse "HEAD:$name"; done | sha256sum | cut -c1-12
}

# Whether a stage has passed, made as it is now.
has_passed() { [ "$(cat "$night/$1/passed" 2>/dev/null)" = "$(made_of "$1")" ]; }

# The names of all defects: they stand, one a line, in the list of src/fake/defect.rs.
defects() { sed -nE 's/^    [A-Z][A-Za-z]+ "([a-z0-9-]+)" (true|false) ".*";$/\1/p' src/fake/defect.rs; }

# The names of all fuzz targets; the first name is that of the package.
fuzz_targets() { sed -n 's/^name = "\(.*\)"$/\1/p' tests/fuzz/Cargo.toml | tail -n +2; }

# Runs every case and keeps the exit code; the reports go into the stage's folder, and so does what a defect changes.
run() {
  local folder="$1" code=0
  shift
  (cd "$folder" && exec "$muster" run --report-dir "$folder" "$@" </dev/null) >"$folder/output.txt" 2>&1 || code="$?"
  echo "$code" >"$folder/exit-code"
}

# The ids of the cases that a run found wanting.
red() {
  python3 - "$1/summary.json" <<'PYTHON'
import json, sys
cases = json.load(open(sys.argv[1], encoding="utf-8"))["cases"]
print(" ".join(case["case"] for case in cases if case["outcome"] in ("fail", "inconclusive", "not run")))
PYTHON
}

defect_stage() {
  local folder="$1" name="$2" found
  run "$folder" --seed 1 --defect "$name"
  found="$(red "$folder")"
  echo "${found:-no case noticed it}" >"$folder/found"
  [ -n "$found" ]
}

seed_stage() {
  local folder="$1" first="$night/outline.snap"
  run "$folder" --seed "$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')"
  [ "$(cat "$folder/exit-code")" = 0 ] || { red "$folder" >"$folder/found"; return 1; }
  [ -e "$first" ] || cp "$folder/outline.snap" "$first"
  diff "$first" "$folder/outline.snap" >"$folder/found" || return 1
  echo 'all passed' >"$folder/found"
}

# Starts a cluster in the folder of a stage; ends in 75 if its programs cannot be had.
cluster_up() {
  local folder="$1" code=0
  "$root/ci/cluster/up.sh" "$folder/cluster" >"$folder/up.txt" 2>&1 || code="$?"
  [ "$code" = 0 ] || tail -n 1 "$folder/up.txt" >"$folder/found"
  return "$code"
}

sweep_stage() {
  local folder="$1" layout="$2" cluster="$1/cluster" code=0
  cluster_up "$folder" || return
  {
    MUSTER="$muster" "$root/ci/cluster/platform.sh" "$cluster" "$layout" &&
      MUSTER="$muster" "$root/ci/cluster/least.sh" "$cluster" chaos &&
      "$root/ci/cluster/exec.sh" "$cluster" "$muster" run chaos --target "$cluster/target.yaml" --allow-disruption \
        --state-dir "$folder/state" --report-dir "$folder" </dev/null
  } >"$folder/output.txt" 2>&1 || code="$?"
  "$root/ci/cluster/down.sh" "$cluster"
  echo "$code" >"$folder/exit-code"
  python3 "$root/ci/cluster/figures.py" "$folder" >"$folder/found" 2>&1 || code=1
  return "$code"
}

deaths_stage() {
  local folder="$1" family="${2%-[0-9]}" part="${2##*-}" code=0
  "$root/ci/deaths.py" "$muster" "$family" --part "$part/$DEATH_PARTS" --within 560 >"$folder/found" 2>&1 || code="$?"
  return "$code"
}

instants_stage() {
  local folder="$1" code=0
  "$root/ci/instants.py" "$muster" --count 1000 --within 540 >"$folder/found" 2>&1 || code="$?"
  return "$code"
}

stopped_stage() {
  local folder="$1" code=0
  "$root/ci/stopped.py" "$muster" >"$folder/output.txt" 2>&1 || code="$?"
  tail -n 1 "$folder/output.txt" >"$folder/found"
  return "$code"
}

planted_stage() {
  local folder="$1" part="$2" code=0
  MUSTER_PLANTED="$(defects | sed -n "$part~${PLANTED_PARTS}p" | paste -sd ' ')" \
    cargo test --quiet --test it planted::each_chosen_defect -- --ignored --nocapture >"$folder/output.txt" 2>&1 || code="$?"
  grep -E '^searched|panicked' "$folder/output.txt" | tail -n 1 >"$folder/found" || code=1
  return "$code"
}

troubles_stage() {
  local folder="$1" cluster="$1/cluster" code=0
  cluster_up "$folder" || return
  {
    MUSTER="$muster" "$root/ci/cluster/platform.sh" "$cluster" default &&
      "$root/ci/cluster/troubles.py" "$cluster" "$muster"
  } >"$folder/output.txt" 2>&1 || code="$?"
  "$root/ci/cluster/down.sh" "$cluster"
  tail -n 1 "$folder/output.txt" >"$folder/found"
  return "$code"
}

another_stage() {
  local folder="$1" cluster="$1/cluster" code=0
  cluster_up "$folder" || return
  MUSTER="$muster" "$root/ci/cluster/another.sh" "$cluster" >"$folder/output.txt" 2>&1 || code="$?"
  "$root/ci/cluster/down.sh" "$cluster"
  tail -n 1 "$folder/output.txt" >"$folder/found"
  return "$code"
}

stuck_stage() {
  local folder="$1" code=0
  "$root/ci/stuck.py" "$muster" >"$folder/output.txt" 2>&1 || code="$?"
  paste -sd ';' <"$folder/output.txt" >"$folder/found"
  return "$code"
}

fuzz_stage() {
  local folder="$1" target="$2" code=0
  "$root/ci/fuzz.sh" 120 "$target" >"$folder/output.txt" 2>&1 || code="$?"
  tr -s ' ' <"$folder/output.txt" | paste -sd ';' >"$folder/found"
  return "$code"
}

# Times are printed and kept, and none is judged.
bench_stage() {
  local folder="$1" script="$2" code=0
  timeout 590 "$root/ci/bench/$script.sh" 3 >"$folder/output.txt" 2>&1 || code="$?"
  echo "$(grep -c . "$folder/output.txt") lines, in output.txt" >"$folder/found"
  return "$code"
}

# Outages of known length, or none for so long, or a fast beat: `ci/bench/outages.rs`.
outages_stage() {
  local folder="$1" code=0
  shift
  "$root/target/release/examples/outages" "$@" >"$folder/output.txt" 2>&1 || code="$?"
  paste -sd ';' <"$folder/output.txt" >"$folder/found"
  return "$code"
}

tls_stage() {
  local folder="$1" code=0
  "$root/ci/tls/run.py" "$muster" >"$folder/output.txt" 2>&1 || code="$?"
  grep -c ' right: ' "$folder/output.txt" | sed 's/$/ looks at certificates judged right/' >"$folder/found"
  return "$code"
}

# A script of ci/ that prints a line for each thing it tried.
script_stage() {
  local folder="$1" script="$2" code=0
  shift 2
  "$root/ci/$script/run.sh" "$@" >"$folder/output.txt" 2>&1 || code="$?"
  tr -s ' ' <"$folder/output.txt" | paste -sd ';' >"$folder/found"
  return "$code"
}

stage() {
  local name="$1" work="$2" folder="$night/$1"
  shift 2
  [ "$state" != uncommitted ] && has_passed "$name" && return 0
  rm -rf "$folder"
  mkdir -p "$folder"
  local code=0
  "$work" "$folder" "$@" </dev/null || code="$?"
  if [ "$code" = 0 ] || [ "$code" = 75 ]; then lacks "$folder" >"$folder/not-run"; fi
  if [ -s "$folder/not-run" ]; then
    lacking=$((lacking + 1))
  elif [ "$code" = 0 ]; then
    made_of "$name" >"$folder/passed"
  else
    failed=$((failed + 1))
  fi
  row "$name"
}

# The first thing that a stage could not have, in its own words, if there is one.
lacks() { cat "$1"/{up,output}.txt 2>/dev/null | grep -m 1 'NOT RUN: ' | tr -s ' ' || true; }

row() {
  local folder="$night/$1" verdict='not run' told=found
  [ -e "$folder/found" ] && [ ! -e "$folder/passed" ] && verdict=FAILED
  [ -s "$folder/not-run" ] && verdict='not run' told=not-run
  has_passed "$1" && verdict=passed told=found
  printf '%-40s %-8s %s\n' "$1" "$verdict" "$(head -c 160 "$folder/$told" 2>/dev/null | head -n 1)"
}

names() {
  defects | sed 's/^/defect-/'
  seq "$SEEDS" | sed 's/^/seed-/'
  for family in signup-flow service-call permission-leak platform-setup chaos; do seq -f "deaths-$family-%g" "$DEATH_PARTS"; done
  echo instants
  echo stopped
  echo stuck
  seq "$PLANTED_PARTS" | sed 's/^/planted-/'
  echo readers
  echo mail
  echo bucket
  echo tls
  printf 'outages-%s\n' made none beat
  fuzz_targets | sed 's/^/fuzz-/'
  echo bench
  echo peers
  echo database
  echo another
  echo troubles
  printf 'sweep-%s\n' default server
}

[ -n "$(defects)" ] || { echo 'error: found no defect in src/fake/defect.rs' >&2; exit 1; }
if [ "${1:-}" = --table ]; then
  printf '# What the nights have shown\n\n`ci/night.sh --table` for the state `%s` of src, suites, fixtures and Cargo.lock.\n\n```\n' "$state"
  names | while read -r name; do row "$name"; done
  printf '```\n'
  exit 0
fi

chosen="$(names | grep -E -e "${1:-.}")" || { echo "error: no stage is called like ${1:-.}" >&2; exit 1; }
cargo build --quiet --release --bins --examples
mkdir -p "$night"
[ "$state" != uncommitted ] || rm -f "$night/outline.snap"
failed=0
lacking=0
while read -r name; do
  case "$name" in
    defect-*) stage "$name" defect_stage "${name#defect-}" ;;
    seed-*) stage "$name" seed_stage ;;
    deaths-*) stage "$name" deaths_stage "${name#deaths-}" ;;
    instants) stage "$name" instants_stage ;;
    stopped) stage "$name" stopped_stage ;;
    planted-*) stage "$name" planted_stage "${name#planted-}" ;;
    stuck) stage "$name" stuck_stage ;;
    readers) stage "$name" script_stage "$name" ;;
    tls) stage "$name" tls_stage ;;
    mail | bucket | database) stage "$name" script_stage "$name" "$muster" ;;
    fuzz-*) stage "$name" fuzz_stage "${name#fuzz-}" ;;
    bench) stage "$name" bench_stage run ;;
    peers) stage "$name" bench_stage peers ;;
    outages-made) stage "$name" outages_stage schedule ;;
    outages-none) stage "$name" outages_stage steady 600 ;;
    outages-beat) stage "$name" outages_stage beat 60 ;;
    another) stage "$name" another_stage ;;
    troubles) stage "$name" troubles_stage ;;
    sweep-*) stage "$name" sweep_stage "${name#sweep-}" ;;
  esac
done <<<"$chosen"
echo "$failed stages failed, $lacking could not be run whole; what they found is kept in $night"
[ "$failed" = 0 ]
