#!/usr/bin/env bash
# another.sh DIR: a platform of another make (Debian's busybox, as a shop) on the cluster in DIR, from `muster init` to a first
# verdict, under exactly the rights that `muster rbac` prints. What muster must not touch is compared afterwards.
# MUSTER is the program to use; the debug build if unset.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
dir="$(realpath -m "${1:?the folder of the cluster}")"
muster="$(realpath "${MUSTER:-$here/../../target/debug/muster}")"
work="$dir/another"
inside=("$here/exec.sh" "$dir")
mkdir -p "$work"
cd "$work"

if [ ! -x /bin/busybox ]; then
  apt-get install -y -qq --no-install-recommends busybox-static >apt.log 2>&1 || { echo 'NOT RUN: Debian has no busybox'; exit 75; }
fi
python3 -B "$here/image.py" shop.tar registry.local/shop:1 /bin/busybox=/bin/busybox @busybox=/bin/sh -- /bin/busybox >/dev/null
"$here/import.sh" "$dir" shop.tar >/dev/null
"${inside[@]}" kubectl apply -f "$here/another.yaml" >/dev/null
for what in deployment/cart deployment/prices statefulset/ledger; do
  "${inside[@]}" kubectl -n shop rollout status "$what" --timeout=60s >/dev/null
done

# What a person does who has the README.
api="http://$("${inside[@]}" kubectl -n shop get service prices -o 'jsonpath={.spec.clusterIP}')"
context="$("${inside[@]}" kubectl config current-context)"
"${inside[@]}" "$muster" init --name shop --api "$api" --context "$context" --write target.yaml --starter suites </dev/null
sed -i 's/^  disrupt: \[\]/  disrupt: [shop]/' target.yaml
muster() { "${inside[@]}" "$muster" "$@" --suites suites --target target.yaml </dev/null; }

# Says what was wanted and what was found, and ends.
differs() { printf 'DIFFERS: %s\n' "$1"; cat "$2"; exit 1; }

# Without the label nothing is broken, and doctor says what to do.
code=0
muster doctor --state-dir state >unlabelled-doctor.txt 2>&1 || code="$?"
[ "$code" = 3 ] && grep -q 'kubectl label namespace shop owner=shop' unlabelled-doctor.txt ||
  differs "3 and the label were wanted of doctor, $code found" unlabelled-doctor.txt
code=0
muster run --allow-disruption --state-dir state --report-dir unlabelled >unlabelled.txt 2>&1 || code="$?"
[ "$code" = 3 ] && grep -q 'has no label owner=shop' unlabelled.txt ||
  differs "3 was wanted without the label, $code found" unlabelled.txt
"${inside[@]}" kubectl label namespace shop owner=shop >/dev/null

"${inside[@]}" kubectl create namespace ci >/dev/null
"${inside[@]}" kubectl -n ci create serviceaccount muster >/dev/null
"${inside[@]}" "$muster" rbac --suites suites --target target.yaml --bind-to ci/muster >rbac.yaml
"${inside[@]}" kubectl apply -f rbac.yaml >/dev/null
cp "$dir/admin.kubeconfig" muster.kubeconfig
"${inside[@]}" kubectl config --kubeconfig=muster.kubeconfig set users.u.token \
  "$("${inside[@]}" kubectl -n ci create token muster)" >/dev/null
sed -i "s#config: .*#config: $work/muster.kubeconfig#" target.yaml
muster doctor --state-dir state >doctor.txt || { cat doctor.txt; exit 1; }

untouched() { "${inside[@]}" kubectl get pods -A -o 'jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[*].restartCount} {.metadata.labels.app}{"\n"}{end}' | grep -v -e ' cart$' -e ' prices$' | sort; }
untouched >before.txt
muster run --allow-disruption --state-dir state --report-dir reports
untouched >after.txt
diff before.txt after.txt
[ -z "$("${inside[@]}" kubectl get leases -n shop -o name)" ]
echo "$(python3 -c 'import json; print(json.load(open("reports/summary.json"))["totals"]["passed"])') cases passed, and $(wc -l <after.txt) other pods are as they were"
