#!/usr/bin/env bash
# build.sh [--program FILE] [--name HOST/NAME] OUTPUT.tar: the image without a container engine, with the same files and
# settings as the Dockerfile beside it (tests/image.rs compares them). Prints the manifest's digest.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program='' name=ghcr.io/configurable-agents/configurable-agents output=''
while [ $# -gt 0 ]; do
  case $1 in
    --program) program=$2; shift ;;
    --name) name=$2; shift ;;
    *) output=$1 ;;
  esac
  shift
done
[ -n "$output" ] || { sed -n '2s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2; }
[ -n "$program" ] || program=$("$here/binary.sh" | tail -n 1)
# What loads a library at run time cannot start in an image that has none.
if ldd "$program" 2>/dev/null | grep -q '/ld'; then
  echo "build.sh: $program is not static: build it with deploy/image/binary.sh" >&2
  exit 1
fi
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$here/../../Cargo.toml" | head -n 1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$here/root.sh" "$program" "$work/root"
# As in the Dockerfile:
"$here/oci.sh" --output "$output" --name "$name:$version" \
  --user 65532:65532 \
  --env SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
  --label org.opencontainers.image.title=configurable-agents \
  --label "org.opencontainers.image.description=The Kubernetes-native way to know which AI agents really answer" \
  --label org.opencontainers.image.licenses=Apache-2.0 \
  --label "org.opencontainers.image.version=$version" \
  --entrypoint /configurable-agents \
  "$work/root"
