#!/usr/bin/env bash
# logs.sh DIR: signups on the cluster in DIR whose codes are read from the log of a real pod, with no more rights than
# `muster rbac` prints for that. Before the switch that has codes logged no code is in the log, and with the rights of
# least.sh, which lack `pods/log`, `muster doctor` says so and the same signups are not judged. Needs platform.sh and least.sh to have run.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
dir="$(realpath -m "${1:?the folder of the cluster}")"
muster="${MUSTER:-$root/target/debug/muster}"
cases=(a-wrong-code-is-refused a-new-code-replaces-the-old signup-gives-a-namespace)

# The target file with another mailbox.
with_pods() {
  python3 - "$1" <<'END'
import re, sys
# A name of its own, after which its Roles are called.
text = re.sub("^name: .*", "name: cluster-logs", open(sys.argv[1], encoding="utf-8").read(), flags=re.M)
log = '''  signup-code:
    log: { pods: { namespace: micro, selector: name=signup } }
    pattern: "token '([A-Za-z]{8})'"
'''
changed, count = re.subn(r"^  signup-code:\n(?:    .*\n)+", lambda _: log, text, flags=re.M)
sys.exit("the target file has no signup-code") if count != 1 else print(changed, end="")
END
}

# Sets whether the platform logs codes, as its operator does.
switch() {
  "$here/exec.sh" "$dir" python3 - "$1" "$dir/operator" "$(sed -n 's/^api: //p' "$dir/target.yaml")" <<'END'
import json, sys, urllib.request
value, secret, api = sys.argv[1], open(sys.argv[2], encoding="utf-8").read().strip(), sys.argv[3]
def ask(path, body, token=None):
    head = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(urllib.request.Request(api + path, json.dumps(body).encode(), head), timeout=30) as reply:
        return json.load(reply)
signed_in = ask("/auth/Auth/Token", {"id": "muster", "secret": secret, "options": {"namespace": "micro"}})
ask("/config/Config/Set", {"namespace": "micro", "path": "micro.signup.test_env", "value": {"data": value}},
    signed_in["token"]["access_token"])
END
}

# The signups, each told in its own folder; the exit code is muster's.
run() {
  "$here/exec.sh" "$dir" timeout 300 "$muster" run --target "$1" --suites "$root/suites" --state-dir "$dir/state-$2" \
    --report-dir "$dir/$2" --seed 1 --exact "${cases[@]}" >"$dir/$2.txt" 2>&1
}

codes_in_log() { "$here/exec.sh" "$dir" kubectl -n micro logs -l name=signup --tail=-1 | grep -c 'verification token' || true; }

differs() { printf 'DIFFERS: %s\n' "$1"; cat "$2"; exit 1; }

run "$dir/target.yaml" stored || differs 'codes from the store were wanted' "$dir/stored.txt"
[ "$(codes_in_log)" = 0 ] || { echo 'DIFFERS: a code is in the log, and nobody asked for it'; exit 1; }
with_pods "$dir/target.yaml" >"$dir/blind.yaml"
cp "$dir/blind.yaml" "$dir/logs.yaml"
ACCOUNT=logs TARGET="$dir/logs.yaml" "$here/least.sh" "$dir" "${cases[@]}"
grep -A 2 -F 'pods/log' "$dir/logs.rbac.yaml" | grep -q '"get"\|- get' || differs 'no right to read logs is printed' "$dir/logs.rbac.yaml"
code=0
"$here/exec.sh" "$dir" timeout 60 "$muster" doctor --target "$dir/blind.yaml" --suites "$root/suites" --state-dir "$dir/state-doctor" \
  >"$dir/doctor.txt" 2>&1 || code=$?
[ "$code" = 3 ] && grep -q 'not allowed: .*pods/log' "$dir/doctor.txt" || differs "3 and the right that lacks were wanted of doctor, $code found" "$dir/doctor.txt"
switch true
trap 'switch false' EXIT
code=0
run "$dir/blind.yaml" blind || code=$?
[ "$code" = 3 ] && grep -q 'pods/log' "$dir/blind.txt" || differs "without the right to read logs 3 was wanted, $code found" "$dir/blind.txt"
run "$dir/logs.yaml" logs || differs 'codes from the log of a pod were wanted' "$dir/logs.txt"
[ "$(codes_in_log)" -ge "${#cases[@]}" ] || differs 'fewer codes are in the log than signups' "$dir/logs.txt"
printf 'signups by the log of a pod: %s; %s codes were logged, and 0 before the switch; without the right: %s\n' \
  "$(grep -oE '[0-9]+ passed' "$dir/logs.txt" | tail -n 1)" "$(codes_in_log)" "$(grep -oE '[0-9]+ inconclusive' "$dir/blind.txt" | tail -n 1)"
