#!/usr/bin/env python3
"""Troubles on a real Kubernetes: what can go wrong while muster disrupts a platform, and what it says of it.

    troubles.py CLUSTER PROGRAM [NAME...]

CLUSTER is the folder of a running cluster with the fake platform on it (platform.sh). Each trouble is one run of one
case; its exit code, the kind of its failure and what is left on the cluster are compared with what they should be.
Ends in 1 if one of them is otherwise.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent


class Cluster:
    """The cluster, the program, and a folder for what one trouble writes."""

    def __init__(self, folder, program):
        self.folder, self.program = pathlib.Path(folder).resolve(), pathlib.Path(program).resolve()
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="troubles-"))
        self.messages = []

    def exec(self, *command):
        """A command in the cluster's network."""
        return subprocess.run(self.inside(*command), capture_output=True, text=True, check=False, timeout=400)

    def inside(self, *command):
        """The command line of a command in the cluster's network."""
        return [str(part) for part in (HERE / "exec.sh", self.folder, *command)]

    def kubectl(self, *words):
        """What kubectl says; it must not fail."""
        told = self.exec("kubectl", *words)
        if told.returncode:
            sys.exit(f"kubectl {' '.join(words)}: {told.stderr.strip()}")
        return told.stdout.strip()

    def target(self, change=lambda text: text):
        """The target file with something replaced."""
        before = (self.folder / "target.yaml").read_text()
        path = self.work / "target.yaml"
        path.write_text(change(before))
        return path

    def suites(self, *changes):
        """The suites with texts replaced, such as a shorter deadline."""
        folder = self.work / "suites"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(ROOT / "suites", folder)
        for path in (folder / "chaos").glob("*.yaml"):
            text = path.read_text()
            for before, after in changes:
                text = text.replace(before, after)
            path.write_text(text)
        return folder

    def command(self, verb, case, target, suites):
        """A command line of muster."""
        command = [self.program, verb, "--target", target, "--state-dir", self.work / "state"]
        if case:
            command += [case, "--allow-disruption", "--suites", suites, "--report-dir", self.work / "report"]
        return command

    def run(self, case, target=None, suites=None):
        """Runs a case: exit code, kinds of its failures, and the recovery, if there was one."""
        shutil.rmtree(self.work / "report", ignore_errors=True)
        told = self.exec(*self.command("run", case, target or self.target(), suites or ROOT / "suites"))
        return self.told(told.returncode, told.stderr)

    def begin(self, case, target=None, suites=None):
        """Starts a run."""
        shutil.rmtree(self.work / "report", ignore_errors=True)
        command = self.command("run", case, target or self.target(), suites or ROOT / "suites")
        command = self.inside(*command)
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def end(self, run):
        """What came of a run that was begun."""
        _, told = run.communicate(timeout=400)
        return self.told(run.returncode, told)

    def told(self, code, said):
        """Exit code, failure kinds and recovery of the last run."""
        path = self.work / "report/summary.json"
        if not path.exists():
            return code, said.strip().splitlines()[:3], {}
        cases = json.loads(path.read_text())["cases"]
        failures = [failure for case in cases for failure in case.get("failures", [])]
        self.messages = [failure["message"] for failure in failures]
        kinds = sorted({failure["kind"] for failure in failures})
        recoveries = [one for case in cases for one in case.get("recoveries", [])]
        return code, kinds, recoveries[0] if recoveries else {}

    def cleanup(self):
        """`muster cleanup`; nothing may be left after it."""
        return self.exec(*self.command("cleanup", None, self.target(), None)).returncode

    def until(self, holds, within=60):
        """Waits until something holds."""
        end = time.monotonic() + within
        while not holds():
            if time.monotonic() > end:
                sys.exit("it never came to that")
            time.sleep(0.05)

    def lease(self, namespace):
        """Who holds the lease of disruptions, if anybody."""
        return self.kubectl("-n", namespace, "get", "lease", "-o", "jsonpath={.items[*].spec.holderIdentity}")

    def image(self, namespace, name):
        """The image of a Deployment."""
        path = "jsonpath={.spec.template.spec.containers[0].image}"
        return self.kubectl("-n", namespace, "get", "deployment", name, "-o", path)

    def api_server(self):
        """The process of the API server."""
        inner = int((self.folder / "pid").read_text())

        def parent(pid):
            return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])

        servers = subprocess.run(["pgrep", "-x", "kube-apiserver"], capture_output=True, text=True, check=True)
        return next(pid for pid in map(int, servers.stdout.split()) if parent(parent(pid)) == inner)

    def settled(self):
        """Waits until every Deployment of the platform is rolled out."""
        for namespace in ("default", "micro"):
            names = self.kubectl("-n", namespace, "get", "deployment", "-o", "name").split()
            for name in names:
                self.kubectl("-n", namespace, "rollout", "status", name, "--timeout=120s")


def honest(code, kinds, unjudged):
    """Whether a run passed, or was not judged for nothing but what is listed; it never fails."""
    return (code == 0 and not kinds) or (code == 3 and bool(kinds) and set(kinds) <= unjudged)


def another_context(cluster):
    """A context that the kubeconfig does not have."""
    found = cluster.run("an-evicted-pod-comes-back", cluster.target(lambda text: text.replace("muster-test", "elsewhere")))
    return found[:2], (3, ["kubernetes.unusable"])


def another_cluster(cluster):
    """A cluster that is not the one that the target file means."""
    uid = cluster.kubectl("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")
    other = cluster.target(lambda text: text.replace(uid, "11111111-2222-3333-4444-555555555555"))
    return cluster.run("an-evicted-pod-comes-back", other)[:2], (3, ["kubernetes.unusable"])


def without_label(cluster):
    """A namespace that nobody says is the platform's."""
    cluster.kubectl("label", "namespace", "default", "owner-")
    found = cluster.run("an-evicted-pod-comes-back")
    cluster.kubectl("label", "namespace", "default", "owner=micro")
    return found[:2], (3, ["fault.guarded"])


def frozen(cluster):
    """Somebody froze all disruption."""
    cluster.kubectl("annotate", "namespace", "default", "muster/freeze=true")
    found = cluster.run("an-evicted-pod-comes-back")
    cluster.kubectl("annotate", "namespace", "default", "muster/freeze-")
    return found[:2], (3, ["fault.guarded"])


def budget(cluster):
    """A disruption budget that lets no pod go."""
    cluster.kubectl("create", "poddisruptionbudget", "keep", "--selector=name=micro-config", "--min-available=1")
    allowed = ("get", "poddisruptionbudget", "keep", "-o", "jsonpath={.status.currentHealthy}")
    cluster.until(lambda: cluster.kubectl(*allowed) == "1")
    found = cluster.run("an-evicted-pod-comes-back")
    cluster.kubectl("delete", "poddisruptionbudget", "keep")
    return found[:2], (3, ["fault.guarded"])


def never_ready(cluster):
    """An image that cannot be had: the rollout never ends, users notice nothing, the old image comes back."""
    target = cluster.target(lambda text: text.replace("registry.local/muster:2", "registry.local/none:1"))
    found = cluster.run("a-redeployment-loses-no-request", target, cluster.suites(("within: 120s", "within: 20s")))
    # A probe of a starved machine sees too little besides.
    kinds = [kind for kind in found[1] if kind != "probe.blind"]
    return (found[0], kinds, cluster.image("default", "micro-store")), (1, ["recovery.ready", "recovery.registry"], "registry.local/muster:1")


def finalizer(cluster):
    """A pod whose finalizer never ends: its successor serves, and the platform is back."""
    pod = cluster.kubectl("-n", "default", "get", "pod", "-l", "name=micro-config", "-o", "name")
    cluster.kubectl("-n", "default", "patch", pod, "--type=merge", "-p", '{"metadata":{"finalizers":["example.test/keep"]}}')
    found = cluster.run("an-evicted-pod-comes-back")
    cluster.kubectl("-n", "default", "patch", pod, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    return found[:2], (0, [])


def killed_in_a_rollout(cluster):
    """SIGKILL while another image is rolled out; then `muster cleanup`."""
    run = cluster.begin("a-redeployment-loses-no-request", suites=cluster.suites(("stable_for: 1s", "stable_for: 20s")))
    cluster.until(lambda: cluster.image("default", "micro-store") == "registry.local/muster:2")
    run.kill()
    run.wait()
    code = cluster.cleanup()
    found = (code, cluster.image("default", "micro-store"), cluster.lease("default"))
    return found, (0, "registry.local/muster:1", "")


def revoked_token(cluster):
    """The account that muster speaks as is deleted in the middle."""
    shutil.copy(cluster.folder / "target.yaml", cluster.work / "kept.yaml")
    subprocess.run([HERE / "least.sh", cluster.folder, "chaos"], check=True, capture_output=True,
                   env={**os.environ, "MUSTER": str(cluster.program)})
    suites = cluster.suites(("stable_for: 1s", "stable_for: 15s"))
    run = cluster.begin("an-evicted-pod-comes-back", suites=suites)
    cluster.until(lambda: cluster.lease("default"))
    cluster.kubectl("-n", "fake", "delete", "serviceaccount", "muster")
    code, kinds, _ = cluster.end(run)
    shutil.copy(cluster.work / "kept.yaml", cluster.folder / "target.yaml")
    cleaned = cluster.cleanup()
    found = (code, "fault.lease" in kinds, cleaned, cluster.lease("default"))
    # What could not be given back is told, and `muster cleanup`, with a token again, gives it back.
    return found, (5, True, 0, "")


def api_server_gone(cluster):
    """The API server stands still for a minute, in the middle of a disruption."""
    server = cluster.api_server()
    run = cluster.begin("an-evicted-pod-comes-back", suites=cluster.suites(("stable_for: 1s", "stable_for: 10s")))
    cluster.until(lambda: cluster.lease("default"))
    time.sleep(1.0)
    os.kill(server, signal.SIGSTOP)
    time.sleep(60)
    os.kill(server, signal.SIGCONT)
    code, kinds, _ = cluster.end(run)
    cluster.until(lambda: cluster.exec("kubectl", "get", "--raw", "/readyz").returncode == 0)
    cleaned = cluster.cleanup()
    print(f"    said {kinds}, exit code {code}")
    # What it says depends on the moment; that the platform is not blamed, and that nothing stays, does not.
    unjudged = {"fault.lease", "fault.missed", "kubernetes.error", "kubernetes.unusable", "recovery.unjudged", "recovery.watch"}
    return (honest(code, kinds, unjudged), cleaned, cluster.lease("default")), (True, 0, "")


def upgraded_meanwhile(cluster):
    """Somebody else rolls the same Deployment out while muster watches its pod come back."""
    run = cluster.begin("an-evicted-pod-comes-back", suites=cluster.suites(("stable_for: 1s", "stable_for: 5s")))
    cluster.until(lambda: cluster.lease("default"))
    cluster.kubectl("-n", "default", "rollout", "restart", "deployment", "micro-config")
    code, kinds, _ = cluster.end(run)
    print(f"    said {kinds}, exit code {code}")
    return (honest(code, kinds, {"fault.overtaken"}), cluster.cleanup(), cluster.lease("default")), (True, 0, "")


def without_grace(cluster):
    """A pod that gets no time to end: its successor serves, and the registry lists live nodes only."""
    given = "fault: { delete_pod: $(pod) }\n"
    suites = cluster.suites((given, f"{given}          grace: 0s\n"), ("own: 60s", "own: 120s"), ("user: 60s", "user: 120s"))
    if "grace: 0s" not in (suites / "chaos/pods.yaml").read_text():
        sys.exit("no suite takes the grace away")
    code, kinds, recovery = cluster.run("service-pod-comes-back[alert]", suites=suites)
    seconds = {clock: (recovery.get(f"{clock}_us") or 0) / 1e6 for clock in ("ready", "served", "registry")}
    print(f"    {', '.join(f'{clock} after {time:.2f} s' for clock, time in seconds.items())}")
    return (code, kinds, recovery.get("fault"), all(seconds.values())), (0, [], "delete_pod", True)


def ghost(cluster):
    """A pod that ends without leaving the registry: recovered only when its node's time to live has passed."""
    patch = '[{"op":"add","path":"/spec/template/spec/containers/0/args/-","value":"--no-deregister"}]'
    cluster.kubectl("-n", "micro", "patch", "deployment", "alert-latest", "--type=json", "-p", patch)
    cluster.settled()
    # Its predecessor left the registry as it should.
    time.sleep(2)
    # Users are sent to the ghost too, for as long as it is listed.
    suites = cluster.suites(("own: 60s", "own: 120s"), ("user: 60s", "user: 120s"))
    code, kinds, recovery = cluster.run("service-pod-comes-back[alert]", suites=suites)
    seconds = {clock: recovery.get(f"{clock}_us", 0) / 1e6 for clock in ("ready", "served", "registry")}
    print(f"    {', '.join(f'{clock} after {time:.2f} s' for clock, time in seconds.items())}")
    return (code, kinds, seconds["registry"] > 50 > 10 > seconds["ready"]), (0, [], True)


TROUBLES = (another_context, another_cluster, without_label, frozen, budget, never_ready, finalizer, killed_in_a_rollout,
            revoked_token, api_server_gone, upgraded_meanwhile, without_grace, ghost)


def main():
    """Tries the troubles that are named, or all."""
    cluster = Cluster(*sys.argv[1:3])
    chosen = [one for one in TROUBLES if not sys.argv[3:] or one.__name__ in sys.argv[3:]]
    failed = []
    for trouble in chosen:
        began = time.monotonic()
        found, wanted = trouble(cluster)
        cluster.settled()
        is_well = found == wanted
        said = "as it should be" if is_well else f"FAILED: wanted {wanted}, found {found}"
        print(f"{trouble.__name__:<20} {time.monotonic() - began:6.1f} s  {said}", flush=True)
        if not is_well:
            print(*(f"    {message}" for message in cluster.messages), sep="\n", flush=True)
            failed.append(trouble.__name__)
    shutil.rmtree(cluster.work)
    print(f"{len(chosen)} troubles, {len(failed)} not as they should be")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
