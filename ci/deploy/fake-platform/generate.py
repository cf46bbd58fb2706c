#!/usr/bin/env python3
"""Writes the manifests of the fake platform on a real cluster, one file for each layout that the platform has had.

    generate.py           writes the files beside this one
    generate.py --check   ends in 1 if they are not what would be written

Every service is a Deployment of `muster fake --service NAME`: a door that asks the one pod `fake-state`, which stands for
the databases behind a real platform and is in no pod group. There need be no DNS in the cluster: the three Services
have fixed addresses in 10.96.0.0/16.
"""

import pathlib
import sys

CORE = ["api", "auth", "broker", "config", "debug", "network", "proxy", "registry", "router", "runtime", "store"]
RUN_LIST = [
    "alert", "build", "client", "customers", "emails", "gitops", "invite", "namespaces", "payments", "platform",
    "signup", "status", "subscriptions",
]
# name: where the core lives, its label, replicas of each service.
LAYOUTS = {"default": ("default", "runtime", 1), "server": ("server", "server", 2)}
STATE, API, PROXY = "10.96.77.1", "10.96.77.2", "10.96.77.3"
PODS_PORT, API_PORT, PROXY_PORT, ADMIN_PORT = 7000, 7001, 7002, 7003
IMAGE = "registry.local/muster:1"

NAMESPACE = """apiVersion: v1
kind: Namespace
metadata:
  name: {name}
  labels: {{ owner: {owner} }}
"""

STATE_POD = """apiVersion: apps/v1
kind: Deployment
metadata: {{ name: fake-state, namespace: fake }}
spec:
  replicas: 1
  strategy: {{ type: Recreate }}
  selector: {{ matchLabels: {{ name: fake-state }} }}
  template:
    metadata: {{ labels: {{ name: fake-state }} }}
    spec:
      terminationGracePeriodSeconds: 2
      automountServiceAccountToken: false
      containers:
        - name: state
          image: {image}
          imagePullPolicy: IfNotPresent
          args:
            - fake
            - --pods-at=0.0.0.0:{pods}
            - --api=0.0.0.0:{api}
            - --proxy=0.0.0.0:{proxy}
            - --admin=0.0.0.0:{admin}
            - --secrets=/tmp/secrets
            - --write=/tmp/target.yaml
            - --seed=1
            - --pace=1
          env:
            - name: MUSTER_OPERATOR
              valueFrom: {{ secretKeyRef: {{ name: operator, key: secret }} }}
          readinessProbe:
            tcpSocket: {{ port: {pods} }}
            periodSeconds: 1
"""

SERVICE = """apiVersion: v1
kind: Service
metadata: {{ name: {name}, namespace: {namespace} }}
spec:
  clusterIP: {address}
  selector: {{ name: {selector} }}
  ports:
{ports}
"""

DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {{ name: {deployment}, namespace: {namespace}, labels: {{ name: {label}, micro: {kind} }} }}
spec:
  replicas: {replicas}
  selector: {{ matchLabels: {{ name: {label}, micro: {kind} }} }}
  template:
    metadata: {{ labels: {{ name: {label}, micro: {kind}, version: latest }} }}
    spec:
      terminationGracePeriodSeconds: 10
      automountServiceAccountToken: false
      containers:
        - name: service
          image: {image}
          imagePullPolicy: IfNotPresent
          args:
            - fake
            - --service={service}
            - --namespace={platform_namespace}
            - --state={state}:{pods}
            - --listen=0.0.0.0:8080
            - --pod-name=$(POD_NAME)
            - --uid=$(POD_UID)
            - --address=$(POD_IP):8080
{relay}          env:
            - {{ name: POD_NAME, valueFrom: {{ fieldRef: {{ fieldPath: metadata.name }} }} }}
            - {{ name: POD_UID, valueFrom: {{ fieldRef: {{ fieldPath: metadata.uid }} }} }}
            - {{ name: POD_IP, valueFrom: {{ fieldRef: {{ fieldPath: status.podIP }} }} }}
          ports: [{{ containerPort: 8080 }}]
          readinessProbe:
            tcpSocket: {{ port: {ready} }}
            periodSeconds: 1
"""

RELAYS = {"api": API_PORT, "proxy": PROXY_PORT}


def service(name, namespace, selector, address, ports):
    """A Service with a fixed address: outer port to the pod's port."""
    lines = "\n".join(f"    - {{ name: p{outer}, port: {outer}, targetPort: {inner} }}" for outer, inner in ports)
    return SERVICE.format(name=name, namespace=namespace, selector=selector, address=address, ports=lines)


def deployment(member, namespace, kind, replicas):
    """The Deployment of one service, named and labelled as the platform does."""
    is_core = member in CORE and kind != "service"
    relay = f"            - --relay-to={STATE}:{RELAYS[member]}\n" if is_core and member in RELAYS else ""
    return DEPLOYMENT.format(
        deployment=f"micro-{member}" if is_core else f"{member}-latest",
        label=f"micro-{member}" if is_core else member,
        platform_namespace="core" if is_core else "micro",
        service=member, namespace=namespace, kind=kind, replicas=replicas, relay=relay,
        ready=8081 if relay else 8080,
        image=IMAGE, state=STATE, pods=PODS_PORT,
    )


def manifests(layout):
    """The whole text of a layout."""
    namespace, kind, replicas = LAYOUTS[layout]
    parts = [
        NAMESPACE.format(name="fake", owner="muster"),
        NAMESPACE.format(name=namespace, owner="micro"),
        NAMESPACE.format(name="micro", owner="micro"),
        STATE_POD.format(image=IMAGE, pods=PODS_PORT, api=API_PORT, proxy=PROXY_PORT, admin=ADMIN_PORT),
        service("fake-state", "fake", "fake-state", STATE,
                [(port, port) for port in (PODS_PORT, API_PORT, PROXY_PORT, ADMIN_PORT)]),
        service("api", namespace, "micro-api", API, [(80, 8081)]),
        service("proxy", namespace, "micro-proxy", PROXY, [(8081, 8081)]),
        *(deployment(member, namespace, kind, replicas) for member in CORE),
        *(deployment(member, "micro", "service", replicas) for member in RUN_LIST),
    ]
    head = f"# The fake platform in the layout `{layout}`. Written by generate.py: change that.\n"
    return head + "---\n".join(parts)


def main():
    """Writes or compares the files."""
    here, differing = pathlib.Path(__file__).parent, []
    for layout in LAYOUTS:
        path, text = here / f"{layout}.yaml", manifests(layout)
        if "--check" not in sys.argv:
            path.write_text(text)
        elif path.read_text() != text:
            differing.append(path.name)
    if differing:
        sys.exit(f"not what generate.py writes: {', '.join(differing)}")


if __name__ == "__main__":
    main()
