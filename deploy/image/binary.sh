#!/usr/bin/env bash
# Builds the static program that the image holds and prints its path as the last line of standard output.
# The target is named, or the flag would reach build scripts and procedural macros too; paths of this machine stay out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
target=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=$PWD=. --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo" \
  cargo build --release --locked --bin configurable-agents --target "$target" >&2
echo "${CARGO_TARGET_DIR:-$PWD/target}/$target/release/configurable-agents"
