#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Prove what the contracts in this folder say; all goals or failure. 77 where Frama-C is not installed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$here/../../..
if ! command -v frama-c >/dev/null || ! command -v why3 >/dev/null; then
	echo "NOT RUN: Frama-C is not installed (tools/setup prove; 900 MB)" >&2
	exit 77
fi
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
export HOME=$home # where why3 notes which provers there are
why3 config detect >/dev/null 2>&1
frama-c -wp -wp-rte -warn-unsigned-overflow -wp-prover z3,cvc4 -wp-timeout 30 -wp-par 2 \
	-cpp-extra-args="-I$top/include -I$top/tests/host -DQUIRE_HOSTED" \
	-wp-fct region_find,region_end "$here/region.c" | tee "$home/out" | grep -E '^\[wp\] |^  |Failed' |
	grep -vE 'Valid|Goal.*Qed' || true
# "Proved goals:   33 / 33"
awk '/Proved goals:/ { seen = 1; ok = $4 == $6 && $4 > 0 } END { exit !(seen && ok) }' "$home/out"
