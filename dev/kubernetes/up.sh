#!/usr/bin/env bash
# Starts a single-node Kubernetes on loopback. Prints only the path of an administrator's kubeconfig on standard
# output:
#   up.sh [--registry]
# --registry: also starts a registry on 127.0.0.1:5000 with the images of images.sh, in place of Docker Hub and all
# others. Needs root and the result of build.sh. A running cluster stays as it is. Remains of an earlier cluster are
# removed.
. "$(dirname "$0")/settings.sh"
need_root
registry=
case "$*" in
  '') ;;
  --registry) registry=1 ;;
  *) fail "no such arguments: \"$*\" (usage: up.sh [--registry])" ;;
esac
lock up
[ -x "$bin/kubectl" ] || fail "nothing is built in $bin: run build.sh first"

start_registry() {
  if ! is_running registry; then
    cat > "$run/registry.yaml" <<Y
version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $run/registry}, delete: {enabled: true}}
http: {addr: "127.0.0.1:$registry_port"}
Y
    start registry docker-registry serve "$run/registry.yaml"
    wait_for 20 "the registry answers" registry is_registry_ready
  fi
  "$here/images.sh" push
}

is_up() { local p; for p in $core_programs; do is_running "$p" || return 1; done; }
if is_up; then
  [ -z "$registry" ] || start_registry
  echo "$run/admin.kubeconfig"
  exit 0
fi

owner=$(cat "$state/owner" 2> /dev/null || true)
if [ -n "$owner" ] && [ "$owner" != "$dir" ] &&
  grep -qzxF -e "$owner/run/containerd.toml" -e "--config=$owner/run/kubelet.yaml" /proc/[0-9]*/cmdline 2> /dev/null; then
  fail "another cluster runs on this machine, and there can be one only; stop it with: C3_CLUSTER_DIR=$owner $here/down.sh"
fi
rm -rf "$state/owner"
"$here/down.sh"

for port in "$api_port" "$etcd_port" $((etcd_port + 1)) "$kubelet_port" $((kubelet_port - 2)) 10257 10259 ${registry:+"$registry_port"}; do
  taken=$(ss -Hltnp "sport = :$port")
  [ -z "$taken" ] || fail "port $port is taken by another program (settings.sh has the variables to choose others): $taken"
done

mkdir -p "$run/log" "$run/manifests" "$run/cni" "$run/certs.d/_default" "$state"
echo "$dir" > "$state/owner"
rm -f "$run"/log/*.log
for path in /var/log/pods /var/log/containers /var/lib/kubelet /usr/libexec/kubernetes /var/lib/cni /run/netns /run/containerd \
  /run/docker.sock; do
  [ -e "$path" ] || echo "$path"
done > "$run/made-on-host"
# If the start fails, this removes everything but the logs.
trap '[ $? -eq 0 ] || "$here/down.sh"' EXIT

# Keys are made once, so that a kubeconfig stays valid after down.sh and up.sh. Elliptic curves, because RSA keys take
# seconds.
if [ ! -f "$run/pki/ca.crt" ]; then
  say "making keys"
  pki=$run/pki.partial
  rm -rf "$pki" "$run/pki"
  mkdir -p "$pki"
  new_key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
  openssl req -x509 "${new_key[@]}" -keyout "$pki/ca.key" -out "$pki/ca.crt" -subj /CN=c3-test-ca -days 3650 2> /dev/null
  openssl ecparam -genkey -noout -name prime256v1 -out "$pki/sa.key"
  openssl ec -in "$pki/sa.key" -pubout -out "$pki/sa.pub" 2> /dev/null
  issue() { # name, subject, alternative names
    openssl req "${new_key[@]}" -keyout "$pki/$1.key" -out "$pki/$1.csr" -subj "$2" 2> /dev/null
    openssl x509 -req -in "$pki/$1.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 3650 -out "$pki/$1.crt" \
      -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth' "$3") 2> /dev/null
  }
  issue apiserver /CN=kube-apiserver "DNS:localhost,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:10.96.0.1"
  issue admin /O=system:masters/CN=admin DNS:admin
  issue kubelet /O=system:nodes/CN=system:node:localhost "DNS:localhost,IP:127.0.0.1"
  issue kubelet-client /O=system:masters/CN=apiserver-kubelet-client DNS:apiserver
  mv "$pki" "$run/pki"
fi
pki=$run/pki

write_kubeconfig() {
  cat > "$run/$1.kubeconfig" <<Y
apiVersion: v1
kind: Config
clusters: [{name: c3, cluster: {server: "https://127.0.0.1:$api_port", certificate-authority-data: $(base64 -w0 "$pki/ca.crt")}}]
users: [{name: c3, user: {client-certificate-data: $(base64 -w0 "$pki/$1.crt"), client-key-data: $(base64 -w0 "$pki/$1.key")}}]
contexts: [{name: c3, context: {cluster: c3, user: c3, namespace: default}}]
current-context: c3
Y
}
umask 077
write_kubeconfig admin
write_kubeconfig kubelet
umask 022

# The names of all registries lead to ours. `server` names it as the last alternative too: no pull leaves the machine.
cat > "$run/certs.d/_default/hosts.toml" <<T
server = "http://127.0.0.1:$registry_port"
[host."http://127.0.0.1:$registry_port"]
  capabilities = ["pull", "resolve"]
T
# restrict_oom_score_adj: a lower score needs CAP_SYS_RESOURCE, which a container with this cluster may not have.
cat > "$run/containerd.toml" <<T
version = 2
root = "$run/containerd"
state = "$state"
disabled_plugins = ["io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "$socket"
[plugins."io.containerd.internal.v1.opt"]
  path = "$run/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$run/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "$run/certs.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        Root = "$state/runc"
T
cat > "$run/cni/10-c3.conflist" <<J
{"cniVersion": "0.4.0", "name": "c3", "plugins": [
  {"type": "bridge", "bridge": "$bridge", "isGateway": true, "ipam": {"type": "host-local", "dataDir": "$run/ipam",
    "ranges": [[{"subnet": "$pod_subnet", "gateway": "$pod_gateway"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "loopback"}]}
J
# Limits of pulls and events are off: tests cause in a second as many as a node in an hour. By default this kubelet
# sends at most five requests a second to the API server, so that with many Pods a deletion takes minutes. The rates
# here are the defaults of 1.27 and later. By default it measures volumes once a minute; tests wait for evictions. The
# controller manager's grace for a silent node is 16 s, not 40, so the kubelet renews its Lease more often. There is
# no DNS. With the gateway as the server, lookups fail at once, and Pods have no warning. The node's name is localhost
# because the kubelet refuses a loopback address for its node.
cat > "$run/kubelet.yaml" <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 127.0.0.1
port: $kubelet_port
healthzPort: $((kubelet_port - 2))
cgroupDriver: cgroupfs
clusterDNS: [$pod_gateway]
failSwapOn: false
oomScoreAdj: 0
maxPods: 200
nodeStatusUpdateFrequency: 4s
nodeLeaseDurationSeconds: 8
makeIPTablesUtilChains: false
serializeImagePulls: false
registryPullQPS: 0
eventRecordQPS: 50
eventBurst: 100
kubeAPIQPS: 50
kubeAPIBurst: 100
volumeStatsAggPeriod: 5s
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $pki/ca.crt}}
authorization: {mode: Webhook}
staticPodPath: $run/manifests
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
Y

# The network plugin would make the bridge with the first Pod. It exists now so that a test's forge can listen on the
# gateway before. It has its own MAC address: else it has the lowest one of its Pods, which changes, and Pods lose the
# gateway until they forget the old address, for about a minute.
ip link add "$bridge" address 02:c3:00:00:00:01 type bridge
ip address add "$pod_gateway/${pod_subnet#*/}" dev "$bridge"
ip link set "$bridge" up

say "starting (logs: $run/log)"
etcd_url=http://127.0.0.1:$etcd_port
start etcd etcd --data-dir "$run/etcd" --listen-client-urls "$etcd_url" --advertise-client-urls "$etcd_url" \
  --listen-peer-urls "http://127.0.0.1:$((etcd_port + 1))"
start apiserver "$bin/kube-apiserver" --etcd-servers="$etcd_url" --bind-address=127.0.0.1 --secure-port="$api_port" \
  --advertise-address=127.0.0.1 --endpoint-reconciler-type=none --client-ca-file="$pki/ca.crt" \
  --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" --cert-dir="$run/apiserver" \
  --kubelet-client-certificate="$pki/kubelet-client.crt" --kubelet-client-key="$pki/kubelet-client.key" \
  --kubelet-preferred-address-types=Hostname --service-account-key-file="$pki/sa.pub" \
  --service-account-signing-key-file="$pki/sa.key" --service-account-issuer=https://kubernetes.default.svc \
  --service-cluster-ip-range=10.96.0.0/16 --authorization-mode=Node,RBAC --allow-privileged=true
start containerd containerd -c "$run/containerd.toml"

wait_for 20 "containerd answers" containerd is_containerd_ready
# Starts before the API server is ready: the kubelet first searches for Docker, for 5 s.
start kubelet "$bin/kubelet" --config="$run/kubelet.yaml" --kubeconfig="$run/kubelet.kubeconfig" --hostname-override=localhost \
  --container-runtime=remote --container-runtime-endpoint="unix://$socket" --root-dir="$run/kubelet" \
  --volume-plugin-dir="$run/kubelet/volume-plugins" --cert-dir="$run/kubelet-certificates"
"$here/images.sh" load
[ -z "$registry" ] || start_registry
wait_for 60 "the API server answers" apiserver is_api_ready

start controller-manager "$bin/kube-controller-manager" --kubeconfig="$run/admin.kubeconfig" --root-ca-file="$pki/ca.crt" \
  --service-account-private-key-file="$pki/sa.key" --bind-address=127.0.0.1 --port=0 --cert-dir="$run/controller-manager" \
  --node-monitor-period=1s --node-monitor-grace-period=16s --leader-elect=false
start scheduler "$bin/kube-scheduler" --kubeconfig="$run/admin.kubeconfig" --bind-address=127.0.0.1 --port=0 --leader-elect=false
wait_for 60 "the node is ready" kubelet is_node_ready
wait_for 20 "the default service account is there" controller-manager kubectl get serviceaccount default
say "up after $SECONDS s"
echo "$run/admin.kubeconfig"
