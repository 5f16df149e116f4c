#!/usr/bin/env bash
# Builds etcd, kube-apiserver, kube-controller-manager and kubectl from the Go modules committed beside this file, and
# prints the folder they are in as the last line of standard output; all else goes to standard error.
#
#   tests/controlplane/build.sh 1.36     (or 1.33: one folder v<minor> per Kubernetes minor)
#
# What is built already is kept: the key is the hash of go.mod, go.sum, the Go version and the flags.
# The checkout stays clean: go build -mod=readonly, results in the cache only.
set -euo pipefail

minor=${1:-1.36}
minor=${minor#v}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
module=$here/v$minor
cache=${CONFIGURABLE_AGENTS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/configurable-agents}/controlplane
out=$cache/v$minor
bin=$out/bin
etcd_minor=1.36 # one etcd for every Kubernetes minor: only this module pins it

say() { echo "controlplane: $*" >&2; }

if [ ! -f "$module/go.mod" ]; then
  say "there is no module $module; known: $(cd "$here" && echo v*)"
  exit 2
fi
if ! command -v go >/dev/null; then
  say "Go is not installed; it is needed once to build the control plane (version: see the go line of $module/go.mod)"
  exit 2
fi

version=$(awk '$1 == "k8s.io/kubernetes" && $2 ~ /^v/ { print $2; exit }' "$module/go.mod")
stamp=k8s.io/component-base/version
ldflags="-s -w -X $stamp.gitVersion=$version -X $stamp.gitMajor=1 -X $stamp.gitMinor=${minor#1.}"
key=$({ go env GOVERSION GOOS GOARCH; echo "$ldflags"; cat "$module/go.mod" "$module/go.sum"; } | sha256sum | cut -c1-64)

mkdir -p "$bin"
exec 9>"$out/lock"
flock 9 # two builds of the same version wait for each other

if [ "$(cat "$out/key" 2>/dev/null)" != "$key" ]; then
  rm -rf "$bin" "$out/tmp"
  mkdir -p "$bin"
  echo "$key" >"$out/key"
fi

# build NAME PACKAGE HOW-LONG: into a file of its own first, so that an ended build leaves no half-written program.
build() {
  local name=$1 package=$2 what=$3
  [ -x "$bin/$name" ] && return 0
  say "building $name ${version#v} from Go modules, $what on two cores, once"
  mkdir -p "$out/tmp"
  (cd "$module" && GOWORK=off GOFLAGS='' go build -mod=readonly -buildvcs=false -ldflags "$ldflags" -o "$out/tmp/$name" "$package")
  mv "$out/tmp/$name" "$bin/$name"
}

if [ "$minor" = "$etcd_minor" ]; then
  version_of_kubernetes=$version
  version=$(awk '$1 == "go.etcd.io/etcd/server/v3" && $2 ~ /^v/ { print $2; exit }' "$module/go.mod")
  build etcd go.etcd.io/etcd/server/v3 "about half a minute"
  version=$version_of_kubernetes
else
  shared=$("${BASH_SOURCE[0]}" "$etcd_minor" | tail -n 1)
  cmp -s "$shared/etcd" "$bin/etcd" || { ln -f "$shared/etcd" "$bin/etcd" 2>/dev/null || cp "$shared/etcd" "$bin/etcd"; }
fi
build kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver "about 3 minutes"
build kube-controller-manager k8s.io/kubernetes/cmd/kube-controller-manager "about a minute"
build kubectl k8s.io/kubernetes/cmd/kubectl "about half a minute"
rmdir "$out/tmp" 2>/dev/null || true
echo "$bin"
