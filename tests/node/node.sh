#!/usr/bin/env bash
# A real Kubernetes node, for tests and to try things on: etcd, kube-apiserver, controller-manager, scheduler, containerd,
# kubelet, kube-proxy, CoreDNS, volumes, NetworkPolicy; without a container engine, a registry or the internet. As root:
#
#   tests/node/node.sh up [DIR]          start it; what an earlier `up` of DIR kept is there again
#   tests/node/node.sh run [DIR] CMD...  run CMD (kubectl, helm, curl) in its network, KUBECONFIG set
#   tests/node/node.sh load [DIR] FILE.tar...  import images
#   tests/node/node.sh down [DIR]        stop it, as a power cut does: state is kept
#   tests/node/node.sh wipe [DIR]        stop it and remove DIR
#
# DIR is a folder of its own (default: the cache's node/try). Programs come from tests/node/build.sh.
#
# All of it lives in a mount, a network and a process namespace of its own. The network has no way out, ports, mounts,
# firewall rules and sysctls stay inside, and when the first process of the process namespace ends, the kernel ends all
# others. `node.sh hold DIR` is that first process in the foreground: a test starts it so that it ends with the test.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${CONFIGURABLE_AGENTS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/configurable-agents}/node
command=${1:-help}
shift || true
dir=$cache/try
case ${1:-} in
  /*) if [ ! -x "$1" ] || [ -d "$1" ]; then dir=$1; shift; fi ;;
esac
programs=${NODE_PROGRAMS:-$cache}
bin=$programs/bin
run=$dir/run log=$dir/log pki=$dir/pki conf=$dir/conf
# The cgroup of its pods, one per folder, so that two nodes do not meet and `down` finds what is its own.
cgroup=/agents-node-$(printf %s "$dir" | cksum | cut -d' ' -f1)
node_ip=10.98.0.1
api=https://127.0.0.1:6443

holder() { local pid; pid=$(cat "$run/holder" 2>/dev/null) && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = unshare ] && grep -qzxF -- "AGENTS_NODE=$dir" "/proc/$pid/environ" && echo "$pid"; }
need_holder() { holder >/dev/null || { echo "node.sh: no node is up in $dir" >&2; exit 1; }; }
# inside CMD...: in all its namespaces; the working directory becomes /.
inside() { local pid; pid=$(holder) && nsenter -t "$pid" -m -n --pid="/proc/$pid/ns/pid_for_children" -- "$@"; }
# network CMD...: in its network only; the working directory stays.
network() { local pid; pid=$(holder) && nsenter -t "$pid" -n -- env KUBECONFIG="$conf/admin.conf" PATH="$bin:$PATH" "$@"; }
kubectl() { network "$bin/kubectl" "$@"; }

# start NAME CMD...: in the namespaces, output to log/NAME.
start() {
  local name=$1
  shift
  setsid nsenter -t "$(holder)" -m -n --pid="/proc/$(holder)/ns/pid_for_children" -- "$@" >>"$log/$name" 2>&1 </dev/null &
}

# wait_for WHAT CMD...: a minute at most.
wait_for() {
  local what=$1 end=$((SECONDS + 60))
  shift
  until "$@" >/dev/null 2>&1; do
    if [ $SECONDS -ge $end ] || ! holder >/dev/null; then
      echo "node.sh: $what did not come within a minute; see $log" >&2
      tail -n 5 "$log"/* >&2 || true
      exit 1
    fi
    sleep 0.1
  done
}

# cgroups make|remove: of every hierarchy, version 1 and 2.
cgroups() {
  local root parent
  for root in /sys/fs/cgroup /sys/fs/cgroup/*; do
    [ -e "$root/cgroup.procs" ] || continue
    if [ "$1" = make ]; then
      mkdir -p "$root$cgroup"
      for parent in cpuset.cpus cpuset.mems; do # version 1: empty until somebody copies them
        if [ -e "$root/cpuset.cpu_exclusive" ]; then cat "$root/$parent" >"$root$cgroup/$parent"; fi
      done
    elif [ -d "$root$cgroup" ]; then
      find "$root$cgroup" -depth -type d -exec rmdir {} \; 2>/dev/null || true
    fi
  done
}

hold() {
  mkdir -p "$run" "$log"
  echo $$ >"$run/holder"
  export AGENTS_NODE=$dir
  exec unshare --mount --net --pid --fork --kill-child --mount-proc --propagation private -- sleep infinity
}

# What is mounted where, and the network: in the namespaces.
prepare_namespaces() {
  echo 1 >"$run/overcommit"; echo 10 >"$run/panic"; echo 1 >"$run/oops"
  # shellcheck disable=SC2016 # it is the inner shell that expands
  inside bash -euc '
    dir=$1 run=$1/run
    # /sys of this network namespace, with the cgroups of before.
    mkdir -p $run/cgroup
    mount --rbind /sys/fs/cgroup $run/cgroup
    mount -t sysfs sysfs /sys
    mount --rbind $run/cgroup /sys/fs/cgroup
    umount -l $run/cgroup
    mount --make-rshared / # after the umount, which would reach the copy otherwise
    # Folders that kubelet, containerd and CNI have fixed names for.
    for empty in /run /var/lib /var/log; do mount -t tmpfs tmpfs $empty; done
    mkdir -p /var/lib/kubelet /var/log/containers /run/containerd
    mount --bind $dir/kubelet /var/lib/kubelet
    mount --make-shared /var/lib/kubelet
    # Sysctls of the whole machine that kubelet would set: it finds what it wants.
    mount --bind $run/overcommit /proc/sys/vm/overcommit_memory
    mount --bind $run/panic /proc/sys/kernel/panic
    mount --bind $run/oops /proc/sys/kernel/panic_on_oops
    mount --bind $dir/conf/resolv.conf /etc/resolv.conf
    ip link set lo up
    ip link add node0 type bridge # a network card that leads nowhere
    ip addr add $2/24 dev node0
    ip link set node0 up
    ip route add default dev node0
    echo 1 >/proc/sys/net/ipv4/ip_forward
    echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
  ' _ "$dir" "$node_ip"
}

load() {
  local file
  for file in "$@"; do inside ctr -a /run/containerd/containerd.sock -n k8s.io images import - <"$file" >/dev/null; done
}

up() {
  case $dir in /run/* | /var/lib/* | /var/log/* | /proc/* | /sys/*) echo "node.sh: $dir cannot be the folder: choose another" >&2; exit 2 ;; esac
  for needed in containerd runc iptables nft conntrack ip openssl nsenter; do
    command -v $needed >/dev/null || { echo "node.sh: $needed is missing (Debian: containerd runc containernetworking-plugins iptables nftables conntrack iproute2 openssl util-linux)" >&2; exit 2; }
  done
  [ "$(id -u)" = 0 ] || { echo "node.sh: a node needs root: namespaces, cgroups, mounts" >&2; exit 2; }
  [ -x "$bin/kubelet" ] || { echo "node.sh: build the programs with tests/node/build.sh first" >&2; exit 2; }
  mkdir -p "$run" "$log" "$pki" "$conf/cni" "$dir"/{etcd,kubelet,containerd,opt,plugins,volumes}
  if ! holder >/dev/null; then
    setsid "$here/node.sh" hold "$dir" </dev/null >/dev/null 2>&1 &
    local end=$((SECONDS + 10))
    until holder >/dev/null; do [ $SECONDS -lt $end ] || { echo "node.sh: no namespaces" >&2; exit 1; }; sleep 0.05; done
  fi
  wait_for "a process namespace" inside true
  cgroups remove
  cgroups make
  # shellcheck source=tests/node/configure.sh
  . "$here/configure.sh"
  prepare_namespaces

  start etcd "$bin/etcd" --data-dir "$dir/etcd" --unsafe-no-fsync --log-level warn
  start containerd containerd --config "$conf/containerd.toml"
  start kube-apiserver "$bin/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 --bind-address=0.0.0.0 --secure-port=6443 \
    --advertise-address=$node_ip --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction,PodSecurity \
    --client-ca-file="$pki/ca.crt" --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" \
    --kubelet-client-certificate="$pki/apiserver-kubelet.crt" --kubelet-client-key="$pki/apiserver-kubelet.key" \
    --kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP \
    --service-cluster-ip-range=10.96.0.0/24 --service-account-key-file="$pki/sa.pub" \
    --service-account-signing-key-file="$pki/sa.key" --service-account-issuer=https://kubernetes.default.svc \
    --audit-log-path="$log/audit" --audit-log-maxsize=4000 --audit-policy-file="$here/audit.yaml"
  wait_for kube-apiserver kubectl get --raw=/readyz
  start kube-controller-manager "$bin/kube-controller-manager" --kubeconfig="$conf/kube-controller-manager.conf" --leader-elect=false \
    --service-account-private-key-file="$pki/sa.key" --root-ca-file="$pki/ca.crt" --use-service-account-credentials --bind-address=127.0.0.1
  start kube-scheduler "$bin/kube-scheduler" --kubeconfig="$conf/kube-scheduler.conf" --leader-elect=false --bind-address=127.0.0.1
  wait_for containerd inside ctr -a /run/containerd/containerd.sock version
  load "$programs"/images/*.tar
  start kubelet "$bin/kubelet" --config="$conf/kubelet.yaml" --kubeconfig="$conf/kubelet.conf" --hostname-override=node --node-ip=$node_ip
  start kube-proxy "$bin/kube-proxy" --config="$conf/kube-proxy.yaml"
  start network-policy "$bin/network-policy" $api "$pki/ca.crt" "$pki/network-policy.crt" "$pki/network-policy.key"
  # A pod made before its ServiceAccount waits 5 s for no reason.
  wait_for "the ServiceAccounts" kubectl get serviceaccount default -n kube-system
  kubectl apply -f "$here/cluster.yaml" >/dev/null
  local n
  for n in 1 2 3 4 5 6; do
    mkdir -p "$dir/volumes/$n"
    sed -e "s|@NAME@|volume-$n|; s|@PATH@|$dir/volumes/$n|" "$here/volume.yaml" | kubectl apply -f - >/dev/null
  done
  wait_for "a ready node" kubectl wait --for=condition=Ready node/node --timeout=1s
  kubectl -n kube-system rollout status deploy/coredns --timeout=60s >/dev/null
  wait_for DNS inside env RES_OPTIONS="timeout:1 attempts:1" getent ahostsv4 kubernetes.default.svc.cluster.local
  wait_for "NetworkPolicy" inside nft list table inet network_policy
  wait_for "the default namespace" kubectl get serviceaccount default
  wait_for "the root certificate" kubectl get configmap kube-root-ca.crt
}

down() {
  local pid end=$((SECONDS + 20))
  if pid=$(holder); then
    kill -KILL "$pid" # its child goes with it, and with that everything in the namespaces
    while [ -d "/proc/$pid" ] && [ "$(cut -d' ' -f3 "/proc/$pid/stat" 2>/dev/null)" != Z ] && [ $SECONDS -lt $end ]; do sleep 0.05; done
  fi
  # Whoever ended the first process: the last ones may still be on their way out of their cgroups.
  while cgroups remove && [ -n "$(find /sys/fs/cgroup -maxdepth 2 -path "*$cgroup" -print -quit)" ]; do
    if [ $SECONDS -ge $end ]; then echo "node.sh: $cgroup is still in use" >&2; exit 1; fi
    sleep 0.05
  done
  rm -f "$run/holder"
}

case $command in
  hold) hold ;;
  up) up ;;
  down) down ;;
  wipe) down; rm -rf "$dir" ;;
  load) need_holder; load "$@" ;;
  run) need_holder; exec nsenter -t "$(holder)" -n -- env KUBECONFIG="$conf/admin.conf" PATH="$bin:$PATH" "$@" ;;
  inside) need_holder; inside "$@" ;;
  *) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}"; [ "$command" = help ] || exit 2 ;;
esac
