#!/usr/bin/env bash
# Builds what a real node needs beside the control plane, from committed Go modules: kubelet, kube-proxy, kube-scheduler
# and Helm 4 (the module of ../controlplane/v1.36, which has them all), CoreDNS, Helm 3, and the two small programs of
# programs/. Makes the images of pause and CoreDNS. Prints the folder as the last line of standard output; all else goes
# to standard error. What is built already is kept: each program has a key of its own, as in ../controlplane/build.sh.
#
#   tests/node/build.sh                everything
#   tests/node/build.sh helm4 helm3    these alone, without the control plane and the images
set -euo pipefail
only=" $* "

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=${CONFIGURABLE_AGENTS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/configurable-agents}
out=$cache/node
kubernetes=$here/../controlplane/v1.36

say() { echo "node: $*" >&2; }

command -v go >/dev/null || { say "Go is not installed; it is needed once to build the node"; exit 2; }

mkdir -p "$out/bin" "$out/images" "$out/keys"
exec 8>"$out/lock"
flock 8 # two builds wait for each other

# build NAME MODULE PACKAGE FLAGS HOW-LONG: into a file of its own first, so that an ended build leaves no half program.
build() {
  [ "$only" = "  " ] || [[ $only == *" $1 "* ]] || return 0
  local name=$1 module=$2 package=$3 ldflags="-s -w $4" what=$5 key
  key=$({ go env GOVERSION GOOS GOARCH; echo "$package $ldflags"; find "$module" -type f \( -name 'go.*' -o -name '*.go' \) -print0 | sort -z | xargs -0 cat; } | sha256sum | cut -c1-64)
  if [ -x "$out/bin/$name" ] && [ "$(cat "$out/keys/$name" 2>/dev/null)" = "$key" ]; then return 0; fi
  say "building $name from Go modules, $what on two cores, once"
  (cd "$module" && GOWORK=off GOFLAGS='' CGO_ENABLED=${CGO:-0} go build -mod=readonly -buildvcs=false -ldflags "$ldflags" -o "$out/bin/$name.new" "$package")
  mv "$out/bin/$name.new" "$out/bin/$name"
  echo "$key" >"$out/keys/$name"
}

if [ "$only" = "  " ]; then
  planes=$("$here/../controlplane/build.sh" 1.36 | tail -n 1)
  for name in etcd kube-apiserver kube-controller-manager kubectl; do ln -sfn "$planes/$name" "$out/bin/$name"; done
fi

version=$(awk '$1 == "k8s.io/kubernetes" && $2 ~ /^v/ { print $2; exit }' "$kubernetes/go.mod")
stamp=k8s.io/component-base/version
stamped="-X $stamp.gitVersion=$version -X $stamp.gitMajor=1 -X $stamp.gitMinor=36"
# With cgo, as the control plane: what both use is compiled once.
CGO=1 build kube-scheduler "$kubernetes" k8s.io/kubernetes/cmd/kube-scheduler "$stamped" "half a minute"
CGO=1 build kubelet "$kubernetes" k8s.io/kubernetes/cmd/kubelet "$stamped" "about a minute"
CGO=1 build kube-proxy "$kubernetes" k8s.io/kubernetes/cmd/kube-proxy "$stamped" "half a minute"
helm4=$(awk '$1 == "helm.sh/helm/v4" && $2 ~ /^v/ { print $2; exit }' "$kubernetes/go.mod")
CGO=1 build helm4 "$kubernetes" helm.sh/helm/v4/cmd/helm "-X helm.sh/helm/v4/internal/version.version=$helm4" "about a minute"
helm3=$(awk '/helm.sh\/helm\/v3 v/ { print $NF == "indirect" ? $(NF-2) : $NF; exit }' "$here/helm3/go.mod")
build helm3 "$here/helm3" helm.sh/helm/v3/cmd/helm "-X helm.sh/helm/v3/internal/version.version=$helm3" "about a minute"
build coredns "$here/coredns" github.com/coredns/coredns "" "about a minute and a half"
build pause "$here/programs" ./pause "" "seconds"
build network-policy "$here/programs" ./network-policy "" "seconds"

[ "$only" = "  " ] || { echo "$out"; exit 0; }

# image NAME PROGRAM USER: one program, nothing else, by the recipe of our own image.
image() {
  rm -rf "$out/root" && mkdir -m 755 "$out/root"
  install -m 755 "$out/bin/$2" "$out/root/$2"
  "$root/deploy/image/oci.sh" --output "$out/images/$2.tar" --name "$1" --user "$3" --entrypoint "/$2" "$out/root" >/dev/null
  rm -rf "$out/root"
}
image local.test/pause:1 pause 0:0
image local.test/coredns:1 coredns 65532:65532
echo "$out"
