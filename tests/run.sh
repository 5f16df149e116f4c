#!/usr/bin/env bash
# All checks and all tests. On a fresh Debian machine with Rust, Go and Node, as root:
#
#   tests/run.sh                      everything: format, lints, dependencies, tests, tests on real control planes and on
#                                     a real node, with the image and the chart
#   tests/run.sh --fast               without the control planes, the node and the browser; nothing is built for the checks
#   tests/run.sh --kubeconfig FILE    the cluster tests that run anywhere, on the cluster of FILE (or set
#                                     KUBECONFIG_UNDER_TEST); no control plane is built
#
# The last line is "N passed, N failed, N skipped"; the exit code is not 0 when a test or a step failed. With CI=true a
# skipped test is a failure. What is built once is kept in $CONFIGURABLE_AGENTS_CACHE, else ~/.cache/configurable-agents.
# shellcheck disable=SC2317 # functions are called by name: step, start_in_background, trap
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2

fast=false
kubeconfig=${KUBECONFIG_UNDER_TEST:-}
while [ $# -gt 0 ]; do
  case $1 in
    --fast) fast=true ;;
    --kubeconfig)
      kubeconfig=${2:?"--kubeconfig needs a file"}
      shift
      ;;
    -h | --help)
      sed -n '2,/^set /{/^set /d;/shellcheck/d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    *)
      echo "run.sh: unknown option $1 (see --help)" >&2
      exit 2
      ;;
  esac
  shift
done
unset KUBECONFIG_UNDER_TEST # tier 1 is the same everywhere; the cluster tests get it below
if [ -n "$kubeconfig" ]; then
  [ -r "$kubeconfig" ] || { echo "run.sh: cannot read the kubeconfig $kubeconfig" >&2; exit 2; }
  command -v kubectl >/dev/null || { echo "run.sh: --kubeconfig needs kubectl in PATH" >&2; exit 2; }
  kubeconfig=$(realpath "$kubeconfig")
fi

# The cache, seen alike by this script, by build.sh and by the tests.
export CONFIGURABLE_AGENTS_CACHE=${CONFIGURABLE_AGENTS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/configurable-agents}
mkdir -p "$CONFIGURABLE_AGENTS_CACHE"
work=$(mktemp -d)
failed_steps=()
user_skips=0 # tests left out because the user chose the cluster

cleanup() {
  local pid
  for pid in $(jobs -rp); do
    kill -TERM -- "-$pid" 2>/dev/null # a process group of its own: see start_in_background
  done
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { echo "== $*"; }

# step NAME COMMAND...: runs it with its output kept, goes on after a failure.
step() {
  local name=$1 start=$SECONDS
  shift
  say "$name"
  if "$@" 2>&1 | tee -a "$work/output"; then
    say "$name: ok, $((SECONDS - start)) s"
  else
    say "$name: FAILED"
    failed_steps+=("$name")
  fi
}

# start_in_background NAME COMMAND...: in a process group of its own, output to $work/NAME and, what it says of long
# builds, to the terminal; $! is its id.
start_in_background() {
  local name=$1
  shift
  set -m
  "$@" >"$work/$name" 2> >(tee "$work/$name.err" | grep --line-buffered -E '^(controlplane|cargo-deny|node): ' >&2) &
  set +m
}

install_packages() {
  local missing=() program
  command -v cc >/dev/null || missing+=(gcc libc6-dev)
  for program in curl jq openssl python3; do # what the documents' commands use
    command -v "$program" >/dev/null || missing+=("$program")
  done
  command -v ip >/dev/null || missing+=(iproute2)
  command -v setpriv >/dev/null || missing+=(util-linux)
  command -v ip >/dev/null || missing+=(iproute2)
  command -v nft >/dev/null || missing+=(nftables)
  [ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
  command -v curl >/dev/null || missing+=(curl)
  [ -x /usr/bin/promtool ] || missing+=(prometheus) # the judge of metrics, rules and runbooks
  ls -d /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || [ -n "${POSTGRES_BIN:-}" ] || missing+=(postgresql)
  command -v strace >/dev/null || missing+=(strace)
  $fast || [ -x /usr/bin/chromium ] || [ -n "${CHROMIUM:-}" ] || missing+=(chromium fonts-dejavu-core)
  if $node_wanted; then
    local package
    for package in containerd:containerd runc:runc nft:nftables iptables:iptables conntrack:conntrack ip:iproute2 openssl:openssl; do
      command -v "${package%%:*}" >/dev/null || missing+=("${package##*:}")
    done
    [ -x /usr/lib/cni/bridge ] || missing+=(containernetworking-plugins)
    [ -d /usr/share/ca-certificates/mozilla ] || missing+=(ca-certificates)
  fi
  [ ${#missing[@]} -eq 0 ] && return 0
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "run.sh: please install ${missing[*]}" >&2
    return 1
  fi
  say "installing Debian packages: ${missing[*]}"
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } >"$work/apt" 2>&1 ||
    { tail -n 20 "$work/apt" >&2; return 1; }
}

deny_tools=$CONFIGURABLE_AGENTS_CACHE/cargo-deny-0.20
install_cargo_deny() {
  [ -x "$deny_tools/bin/cargo-deny" ] && return 0
  echo "cargo-deny: building cargo-deny 0.20 from crates.io, about 3 minutes on two cores, once" >&2
  cargo install --quiet --locked --root "$deny_tools" cargo-deny --version '^0.20'
}

build_control_planes() {
  tests/controlplane/build.sh 1.36 && tests/controlplane/build.sh 1.33
}

# The node's programs, then the image that runs on it.
build_node() {
  tests/node/build.sh || return 1
  echo "node: building the static program and the image, about 7 minutes on two cores" >&2
  deploy/image/build.sh "$work/image.tar"
}

# Why this machine cannot have a node of its own; nothing when it can.
no_node_because() {
  if [ "$(id -u)" -ne 0 ]; then
    echo "they need root"
  elif ! unshare --mount --net --pid --fork --mount-proc true 2>/dev/null; then
    echo "this machine does not allow new namespaces"
  elif [ -z "$(find /sys/fs/cgroup -maxdepth 2 -name cgroup.procs -writable -print -quit 2>/dev/null)" ]; then
    echo "the cgroups of this machine cannot be written to"
  fi
}

# Packages of the browser tests, outside the checkout, once per lock file.
browser_tests() {
  local modules
  modules=$CONFIGURABLE_AGENTS_CACHE/browser-$(sha256sum tests/browser/package-lock.json | cut -c1-12)
  if [ ! -e "$modules/installed" ]; then
    mkdir -p "$modules" && cp tests/browser/package*.json "$modules/" || return 1
    npm ci --prefix "$modules" --ignore-scripts --no-audit --no-fund --loglevel=error || return 1
    touch "$modules/installed"
  fi
  BROWSER_MODULES=$modules cargo test --locked --no-fail-fast --features browser-tests --test browser
}

check_dependencies() {
  [ -x "$deny_tools/bin/cargo-deny" ] || { cat "$work/cargo-deny.err"; return 1; }
  "$deny_tools/bin/cargo-deny" --all-features check --hide-inclusion-graph bans licenses sources
}

cluster_tests() {
  local filter=() chart=()
  if [ -n "$kubeconfig" ]; then
    export KUBECONFIG_UNDER_TEST=$kubeconfig
    filter=(anywhere::)
  else
    [ "$planes" = built ] || { cat "$work/controlplane.err"; return 1; }
    # build.sh's last line is the folder of the programs, one per version.
    CONTROLPLANE_BIN_1_36=$(sed -n 1p "$work/controlplane")
    CONTROLPLANE_BIN_1_33=$(sed -n 2p "$work/controlplane")
    export CONTROLPLANE_BIN_1_36 CONTROLPLANE_BIN_1_33
    tests/node/build.sh helm4 helm3 >/dev/null || return 1
    chart=(--test chart)
  fi
  cargo test --locked --no-fail-fast --features cluster-tests --test cluster --test crd_cluster "${chart[@]}" -- \
    --test-threads=1 "${filter[@]}"
}

node_tests() {
  [ "$node" = built ] || { cat "$work/node.err"; return 1; }
  NODE_IMAGE=$work/image.tar cargo test --locked --no-fail-fast --features node-tests --test node --test release -- --test-threads=1
}

# count FIELD FILE: the sum of one field of all "test result:" lines.
count() {
  grep -aE '^test result: ' "$2" | grep -oE "[0-9]+ $1" | awk '{ sum += $1 } END { print sum + 0 }'
}

node_wanted=false
node_skips=0
if ! $fast && [ -z "$kubeconfig" ]; then
  no_node=$(no_node_because)
  if [ -z "$no_node" ]; then
    node_wanted=true
  else
    node_skips=$(cat tests/node/*.rs tests/release.rs | grep -cE '^#\[(tokio::)?test')
    say "node tests: left out, $no_node; $node_skips tests skipped"
  fi
fi
step "packages" install_packages
deny_pid=
node_pid=
node=
planes_pid=
planes=
$fast || [ -n "$kubeconfig" ] || {
  start_in_background controlplane build_control_planes
  planes_pid=$!
}
# It waits for the control plane that it shares: build.sh has a lock.
if $node_wanted; then
  start_in_background node build_node
  node_pid=$!
fi
if ! $fast && [ ! -x "$deny_tools/bin/cargo-deny" ]; then
  start_in_background cargo-deny install_cargo_deny
  deny_pid=$!
fi
step "format" cargo fmt --check
step "lints" cargo clippy --locked --all-targets --all-features -- -D warnings
# Tests have deadlines: what is still being built beside them would take their time. In this shell, not in a step's:
# only it can wait for them.
step "build of the tests" cargo test --locked --no-run --features postgres-tests
[ -z "$planes_pid" ] || { wait "$planes_pid" && planes=built; }
[ -z "$node_pid" ] || { wait "$node_pid" && node=built; }
[ -z "$deny_pid" ] || wait "$deny_pid"
step "tests" cargo test --locked --no-fail-fast --features postgres-tests
touch "$work/output"
$fast || step "browser tests" browser_tests
if ! $fast; then
  cp "$work/output" "$work/before"
  step "cluster tests" cluster_tests
  if [ -n "$kubeconfig" ]; then
    tail -c "+$(($(stat -c %s "$work/before") + 1))" "$work/output" >"$work/cluster"
    user_skips=$(count "filtered out" "$work/cluster")
  fi
fi
if $node_wanted; then
  step "node tests" node_tests
fi
if $fast && [ ! -x "$deny_tools/bin/cargo-deny" ]; then
  say "dependencies: left out, cargo-deny is not built yet"
else
  step "dependencies" check_dependencies
fi

passed=$(count passed "$work/output")
failed=$(count failed "$work/output")
skipped=$(($(count ignored "$work/output") + $(count "filtered out" "$work/output") + node_skips))
[ "$passed" -gt 0 ] || failed_steps+=("no test ran")
if [ "${CI:-}" = true ] && [ "$skipped" -gt "$user_skips" ]; then
  failed_steps+=("a test was skipped")
fi
code=0
if [ ${#failed_steps[@]} -gt 0 ] || [ "$failed" -gt 0 ]; then
  code=1
  say "failed: $(printf '%s; ' "${failed_steps[@]}" | sed 's/; $//')"
fi
echo "$passed passed, $failed failed, $skipped skipped"
exit $code
