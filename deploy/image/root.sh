#!/usr/bin/env bash
# root.sh PROGRAM DIR: puts into DIR all that the image holds, and nothing else. The Dockerfile and build.sh both take
# it from here. The certificates are those of Debian's ca-certificates package, read from the package's own folder: the
# machine's bundle may hold authorities of its owner.
set -euo pipefail
program=$1
root=$2
authorities=${CA_FOLDER:-/usr/share/ca-certificates/mozilla}

if [ -e "$root" ]; then echo "root.sh: $root is there already" >&2; exit 2; fi
compgen -G "$authorities/*.crt" >/dev/null || { echo "root.sh: no certificates in $authorities; install Debian's ca-certificates" >&2; exit 2; }

mkdir -p "$root/etc/ssl/certs"
for certificate in "$authorities"/*.crt; do
  cat "$certificate"
  echo # some end without a newline
done | sed '/^$/d' >"$root/etc/ssl/certs/ca-certificates.crt"
cp "$program" "$root/configurable-agents"
find "$root" -type d -exec chmod 755 {} +
chmod 644 "$root/etc/ssl/certs/ca-certificates.crt"
chmod 755 "$root/configurable-agents"
