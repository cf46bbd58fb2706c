# The cluster's first process, in namespaces of its own (started by up.sh with: here, dir, bin).
set -euo pipefail
cd "$dir"
mkdir -p log certs cni

api=https://127.0.0.1:6443
node=10.250.0.1

start() { local name="$1"; shift; "$@" >"log/$name.log" 2>&1 & }

wait_for() {
  local what="$1" tries=0
  shift
  until "$@" >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -le 1200 ] || { printf 'this never came: %s\n' "$what"; exit 1; }
    sleep 0.05
  done
}

network() {
  mount --make-rprivate /
  mkdir -p /run/netns
  ip link set lo up
  ip link add node0 type dummy 2>/dev/null || ip link add node0 type bridge
  ip addr add "$node/24" dev node0
  ip link set node0 up
  ip route add default dev node0
  sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.route_localnet=1 || true
}

quiet_openssl() { openssl "$@" 2>/dev/null; }

certificates() {
  local name subject
  quiet_openssl genrsa -out certs/sa.key 2048
  quiet_openssl rsa -in certs/sa.key -pubout -out certs/sa.pub
  quiet_openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=cluster-ca -keyout certs/ca.key -out certs/ca.crt
  for name in api kubelet-client; do
    subject=/CN=kube-apiserver
    [ "$name" = kubelet-client ] && subject=/O=system:masters/CN=apiserver
    quiet_openssl req -newkey rsa:2048 -nodes -subj "$subject" -keyout "certs/$name.key" -out "certs/$name.csr"
    quiet_openssl x509 -req -in "certs/$name.csr" -CA certs/ca.crt -CAkey certs/ca.key -CAcreateserial -days 30 \
      -out "certs/$name.crt" \
      -extfile <(printf 'subjectAltName=IP:127.0.0.1,IP:%s,IP:10.96.0.1,DNS:localhost,DNS:kubernetes.default.svc\n' "$node")
  done
}

# user FILE NAME GROUPS: a kubeconfig with a token of its own.
user() {
  local file="$1.kubeconfig" token
  token="$(openssl rand -hex 16)"
  printf '%s,%s,%s,"%s"\n' "$token" "$2" "$1" "$3" >>certs/tokens.csv
  kubectl config --kubeconfig="$file" set-cluster c --server="$api" --certificate-authority=certs/ca.crt --embed-certs
  kubectl config --kubeconfig="$file" set-credentials u --token="$token"
  kubectl config --kubeconfig="$file" set-context muster-test --cluster=c --user=u
  kubectl config --kubeconfig="$file" use-context muster-test
}

users() {
  : >certs/tokens.csv
  user admin admin system:masters
  user node system:node:node-1 system:nodes,system:masters
  user kcm system:kube-controller-manager system:authenticated
  user sched system:kube-scheduler system:authenticated
  user proxy system:kube-proxy system:node-proxier
}

containerd_settings() {
  cat <<TOML
version = 2
root = "$dir/containerd"
state = "$dir/state"
[grpc]
  address = "$dir/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.local/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$dir/cni"
TOML
}

pod_network() {
  cat <<JSON
{"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "bridge", "bridge": "pods0", "isGateway": true,
 "hairpinMode": true, "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.0.0/24"}]],
 "routes": [{"dst": "0.0.0.0/0"}], "dataDir": "$dir/ipam"}}]}
JSON
}

kubelet_settings() {
  cat <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $node
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $dir/certs/ca.crt}}
authorization: {mode: Webhook}
containerRuntimeEndpoint: unix://$dir/containerd.sock
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
cgroupsPerQOS: false
enforceNodeAllocatable: []
localStorageCapacityIsolation: false
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
resolvConf: ""
podLogsDir: $dir/pods
YAML
}

api_server() {
  "$bin/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 --bind-address=127.0.0.1 --advertise-address="$node" \
    --secure-port=6443 --tls-cert-file=certs/api.crt --tls-private-key-file=certs/api.key \
    --client-ca-file=certs/ca.crt --token-auth-file=certs/tokens.csv \
    --kubelet-client-certificate=certs/kubelet-client.crt --kubelet-client-key=certs/kubelet-client.key \
    --kubelet-preferred-address-types=InternalIP --authorization-mode=Node,RBAC \
    --service-cluster-ip-range=10.96.0.0/16 --allow-privileged=true \
    --service-account-issuer=https://kubernetes.default.svc --service-account-key-file=certs/sa.pub \
    --service-account-signing-key-file=certs/sa.key
}

admin() { kubectl --kubeconfig=admin.kubeconfig "$@"; }

is_node_ready() {
  admin get node node-1 -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}' | grep -q True
}

network
[ -f certs/sa.key ] || { certificates; users >/dev/null; }
containerd_settings >containerd.toml
pod_network >cni/10-bridge.conflist
kubelet_settings >kubelet.yaml

start etcd etcd --data-dir etcd --listen-client-urls http://127.0.0.1:2379 \
  --advertise-client-urls http://127.0.0.1:2379 --unsafe-no-fsync
start containerd containerd --config containerd.toml
start apiserver api_server
wait_for containerd ctr --address containerd.sock version
for image in "$bin"/*.tar; do
  ctr --address containerd.sock -n k8s.io images import "$image" >/dev/null
done
wait_for 'the API server' admin get --raw /readyz
start kcm "$bin/kube-controller-manager" --kubeconfig=kcm.kubeconfig --use-service-account-credentials \
  --service-account-private-key-file=certs/sa.key --root-ca-file=certs/ca.crt --leader-elect=false
start sched "$bin/kube-scheduler" --kubeconfig=sched.kubeconfig --leader-elect=false
start kubelet "$bin/kubelet" --config=kubelet.yaml --kubeconfig=node.kubeconfig --root-dir="$dir/kubelet" \
  --hostname-override=node-1 --node-ip="$node"
start proxy "$bin/kube-proxy" --kubeconfig=proxy.kubeconfig --proxy-mode=nftables --hostname-override=node-1 \
  --cluster-cidr=10.244.0.0/16 --conntrack-max-per-core=0
wait_for 'a Ready node' is_node_ready
wait_for 'the service account of namespace default' admin -n default get serviceaccount default
touch ready
wait
