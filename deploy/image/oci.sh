#!/usr/bin/env bash
# oci.sh --output FILE.tar --name HOST/NAME:TAG [--user UID:GID] [--env K=V]... [--label K=V]... --entrypoint PATH ROOT
#
# Makes an OCI image of the files below ROOT, without a container engine, and prints the digest of its manifest. What
# goes in is the same to the byte each time: sorted, owned by root, all times SOURCE_DATE_EPOCH (0). `ctr images import`,
# `skopeo copy oci-archive:FILE`, `docker load` (from 25 on) and `crane push` take it.
set -euo pipefail
export LC_ALL=C
epoch=${SOURCE_DATE_EPOCH:-0}
output='' name='' user=65532:65532 entrypoint='' root=''
environment=() labels=()
while [ $# -gt 0 ]; do
  case $1 in
    --output) output=$2; shift ;;
    --name) name=$2; shift ;;
    --user) user=$2; shift ;;
    --env) environment+=("$2"); shift ;;
    --label) labels+=("$2"); shift ;;
    --entrypoint) entrypoint=$2; shift ;;
    *) root=$1 ;;
  esac
  shift
done
for value in "$output" "$name" "$entrypoint" "$root"; do
  [ -n "$value" ] || { sed -n '2s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2; }
done
for value in "$name" "$user" "$entrypoint" "${environment[@]}" "${labels[@]}"; do
  case $value in *[\"\\]*) echo "oci.sh: $value: quotes and backslashes are not supported" >&2; exit 2 ;; esac
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
blobs=$work/layout/blobs/sha256
mkdir -p "$blobs"

case $(uname -m) in x86_64) architecture=amd64 ;; aarch64) architecture=arm64 ;; *) architecture=$(uname -m) ;; esac
created=$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)

# pack DIR ENTRY...: the same files give the same bytes. --mode is left alone: root.sh sets it.
pack() {
  local folder=$1
  shift
  tar --format=ustar --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner --no-recursion -C "$folder" -cf - "$@"
}
# blob FILE: moves it to where its digest says, prints the digest.
blob() {
  local digest
  digest=$(sha256sum "$1" | cut -c1-64)
  mv "$1" "$blobs/$digest"
  echo "$digest"
}
size() { stat -c %s "$blobs/$1"; }
list() { local item out=; for item in "$@"; do out+="${out:+,}\"$item\""; done; echo "$out"; }
map() { local item out=; for item in "$@"; do out+="${out:+,}\"${item%%=*}\":\"${item#*=}\""; done; echo "$out"; }

mapfile -t entries < <(cd "$root" && find . -mindepth 1 -printf '%P\n' | sort)
pack "$root" "${entries[@]}" >"$work/layer.tar"
diff=$(sha256sum "$work/layer.tar" | cut -c1-64)
gzip -n -9 "$work/layer.tar"
layer=$(blob "$work/layer.tar.gz")

cat >"$work/config" <<J
{"architecture":"$architecture","os":"linux","created":"$created","config":{"User":"$([ "$user" = 0:0 ] || echo "$user")","Env":[$(list "${environment[@]}")],"Entrypoint":["$entrypoint"],"WorkingDir":"/","Labels":{$(map "${labels[@]}")}},"rootfs":{"type":"layers","diff_ids":["sha256:$diff"]},"history":[{"created":"$created","created_by":"deploy/image/oci.sh"}]}
J
config=$(blob "$work/config")
type=application/vnd.oci.image
cat >"$work/manifest" <<J
{"schemaVersion":2,"mediaType":"$type.manifest.v1+json","config":{"mediaType":"$type.config.v1+json","digest":"sha256:$config","size":$(size "$config")},"layers":[{"mediaType":"$type.layer.v1.tar+gzip","digest":"sha256:$layer","size":$(size "$layer")}],"annotations":{$(map "${labels[@]}")}}
J
manifest=$(blob "$work/manifest")
cat >"$work/layout/index.json" <<J
{"schemaVersion":2,"mediaType":"$type.index.v1+json","manifests":[{"mediaType":"$type.manifest.v1+json","digest":"sha256:$manifest","size":$(size "$manifest"),"platform":{"architecture":"$architecture","os":"linux"},"annotations":{"io.containerd.image.name":"$name","org.opencontainers.image.ref.name":"${name##*:}"}}]}
J
printf '{"imageLayoutVersion":"1.0.0"}' >"$work/layout/oci-layout"
chmod -R u=rwX,go=rX "$work/layout"
mapfile -t entries < <(cd "$work/layout" && find . -mindepth 1 -printf '%P\n' | sort)
pack "$work/layout" "${entries[@]}" >"$output.new"
mv "$output.new" "$output"
echo "sha256:$manifest"
