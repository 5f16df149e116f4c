#!/usr/bin/env bash
# release.sh VERSION [--output DIR] [--sign-key FILE] [--program FILE]: everything that a release consists of, into DIR
# (default: target/release-VERSION). docs/development/releasing.md says how to check it.
#
#   configurable-agents-VERSION-linux-ARCH            the static program
#   configurable-agents-VERSION-linux-ARCH.oci.tar    the image
#   configurable-agents-CHART.tgz                     the chart
#   configurable-agents-VERSION.cdx.json              the bill of materials, CycloneDX
#   install.yaml                                      the chart's default render
#   SHA256SUMS, SHA256SUMS.sig                        checksums; signed where a key is given
#
# --program takes a static program that is built already. --sign-key is a private key, RSA or EC, PEM.
set -euo pipefail
version='' output='' key='' program=''
while [ $# -gt 0 ]; do
  case $1 in
    --output) output=$(realpath -m "$2"); shift ;;
    --sign-key) key=$(realpath "$2"); shift ;;
    --program) program=$(realpath "$2"); shift ;;
    -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}"; exit 0 ;;
    -*) echo "release.sh: unknown option $1 (see --help)" >&2; exit 2 ;;
    *) version=$1 ;;
  esac
  shift
done
cd "$(dirname "${BASH_SOURCE[0]}")/.."
fail() { echo "release.sh: $*" >&2; exit 1; }

is=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
[ -n "$version" ] || { echo "release.sh: which version? This checkout is $is" >&2; exit 2; }
[ "$version" = "$is" ] || fail "Cargo.toml says $is, not $version"
chart=charts/configurable-agents
grep -q "^appVersion: \"\?$version\"\?\$" $chart/Chart.yaml || fail "appVersion in $chart/Chart.yaml is not $version"
[ -z "$key" ] || [ -r "$key" ] || fail "cannot read the key $key"

# The last commit's time, so that the same commit gives the same bytes.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH
cache=${CONFIGURABLE_AGENTS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/configurable-agents}
output=${output:-$PWD/target/release-$version}
mkdir -p "$output"
[ -z "$(ls -A "$output")" ] || fail "$output is not empty"
case $(uname -m) in x86_64) architecture=amd64 ;; aarch64) architecture=arm64 ;; *) architecture=$(uname -m) ;; esac

[ -n "$program" ] || program=$(deploy/image/binary.sh | tail -n 1)
name=configurable-agents-$version-linux-$architecture
install -m 755 "$program" "$output/$name"
deploy/image/build.sh --program "$program" "$output/$name.oci.tar"

# Helm 4 of the PATH, or the one that the tests build.
helm=$(command -v helm || echo "$cache/node/bin/helm4")
[ -x "$helm" ] || fail "no helm: install it, or run tests/node/build.sh"
"$helm" package $chart --destination "$output" >&2
cp deploy/install.yaml "$output/install.yaml"

tools=$cache/cargo-cyclonedx-0.5
if [ ! -x "$tools/bin/cargo-cyclonedx" ]; then
  echo "release.sh: building cargo-cyclonedx 0.5 from crates.io, about 2 minutes on two cores, once" >&2
  cargo install --quiet --locked --root "$tools" cargo-cyclonedx --version '^0.5' >&2
fi
bill=configurable-agents-$version.cdx
# It writes beside Cargo.toml; what runs is listed, not what builds or tests it.
PATH=$tools/bin:$PATH cargo cyclonedx --quiet --format json --spec-version 1.5 --all --target "$(rustc -vV | sed -n 's/^host: //p')" \
  --no-build-deps --override-filename "$bill" >&2
mv "$bill.json" "$output/$bill.json"

(cd "$output" && sha256sum ./* >"$output/.sums" && sed 's|  \./|  |' .sums >SHA256SUMS && rm .sums)
if [ -n "$key" ]; then
  openssl dgst -sha256 -sign "$key" -out "$output/SHA256SUMS.sig" "$output/SHA256SUMS"
fi
echo "$output"
