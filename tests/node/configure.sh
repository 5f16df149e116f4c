# Sourced by node.sh: certificates and the parts' configuration.
# shellcheck shell=bash disable=SC2154 # dir, conf, pki, cgroup, node_ip and api are node.sh's

# certificate NAME SUBJECT [NAMES]
certificate() {
  [ ! -f "$pki/$1.crt" ] || return 0
  openssl ecparam -genkey -name prime256v1 -noout -out "$pki/$1.key"
  openssl req -new -key "$pki/$1.key" -subj "$2" -out "$pki/$1.csr"
  { echo "extendedKeyUsage=clientAuth,serverAuth"; [ -z "${3:-}" ] || echo "subjectAltName=$3"; } >"$pki/$1.extensions"
  openssl x509 -req -in "$pki/$1.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 30 \
    -extfile "$pki/$1.extensions" -out "$pki/$1.crt" 2>/dev/null
}

if [ ! -f "$pki/ca.crt" ]; then
  openssl ecparam -genkey -name prime256v1 -noout -out "$pki/ca.key"
  openssl req -x509 -new -key "$pki/ca.key" -subj /CN=agents-node -days 30 -out "$pki/ca.crt" 2>/dev/null
  openssl genrsa -out "$pki/sa.key" 2048 2>/dev/null
  openssl rsa -in "$pki/sa.key" -pubout -out "$pki/sa.pub" 2>/dev/null
fi
certificate apiserver /CN=kube-apiserver "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:localhost,IP:127.0.0.1,IP:$node_ip,IP:10.96.0.1"
certificate apiserver-kubelet /O=system:masters/CN=kube-apiserver-kubelet-client
certificate admin /O=system:masters/CN=admin
certificate kube-controller-manager /CN=system:kube-controller-manager
certificate kube-scheduler /CN=system:kube-scheduler
certificate kube-proxy /CN=system:kube-proxy
certificate network-policy /CN=network-policy
certificate kubelet /O=system:nodes/CN=system:node:node "DNS:node,IP:$node_ip,IP:127.0.0.1"

for user in admin kube-controller-manager kube-scheduler kube-proxy kubelet; do
  cat >"$conf/$user.conf" <<Y
apiVersion: v1
kind: Config
clusters: [{name: node, cluster: {server: "$api", certificate-authority: "$pki/ca.crt"}}]
users: [{name: $user, user: {client-certificate: "$pki/$user.crt", client-key: "$pki/$user.key"}}]
contexts: [{name: node, context: {cluster: node, user: $user}}]
current-context: node
Y
done

echo "nameserver 10.96.0.10" >"$conf/resolv.conf"

# restrict_oom_score_adj and kubelet's oomScoreAdj 0: where CAP_SYS_RESOURCE is not ours, a negative one is refused.
cat >"$conf/containerd.toml" <<Y
version = 2
root = "$dir/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$dir/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "local.test/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$conf/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
Y

cat >"$conf/cni/10-node.conflist" <<Y
{"cniVersion": "0.4.0", "name": "node", "plugins": [
  {"type": "bridge", "bridge": "pods0", "isGateway": true, "hairpinMode": true, "ipMasq": false,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.97.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
Y

cat >"$conf/kubelet.yaml" <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false # refused by default since 1.35, and still what many machines have
cgroupDriver: cgroupfs
cgroupRoot: $cgroup
enforceNodeAllocatable: [pods]
failSwapOn: false
oomScoreAdj: 0
maxOpenFiles: 20000
address: 0.0.0.0
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: "$pki/ca.crt"}}
authorization: {mode: Webhook}
tlsCertFile: $pki/kubelet.crt
tlsPrivateKeyFile: $pki/kubelet.key
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
resolvConf: $conf/resolv.conf
clusterDomain: cluster.local
clusterDNS: [10.96.0.10]
podLogsDir: $log/pods
volumePluginDir: $dir/plugins
imageGCHighThresholdPercent: 100 # no registry: what is removed does not come back
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}
nodeStatusUpdateFrequency: 5s
Y

# minSyncPeriod: with the default of a second a Service answers up to that much after its pod is ready.
cat >"$conf/kube-proxy.yaml" <<Y
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clientConnection: {kubeconfig: "$conf/kube-proxy.conf"}
clusterCIDR: 10.97.0.0/24
hostnameOverride: node
oomScoreAdj: 0
iptables: {minSyncPeriod: 50ms}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
nodePortAddresses: ["$node_ip/32"]
Y
