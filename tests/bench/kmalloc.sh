#!/bin/bash
# SPDX-License-Identifier: MIT
# Net instructions of kmalloc's operations, under callgrind: the difference of two counts, less the loop.
#   cmake --build build --target bench_kmalloc && tests/bench/kmalloc.sh
set -eu
program=${1:-$(dirname "$0")/../../build/tests/bench_kmalloc}
few=20000 many=60000

instructions() # CASE BYTES COUNT
{
	valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$@" 2>&1 >/dev/null |
		awk '/Collected/ { print $NF }'
}

per_operation() # CASE BYTES
{
	local a b
	a=$(instructions "$1" "$2" $few)
	b=$(instructions "$1" "$2" $many)
	echo $(((b - a) / (many - few)))
}

loop=$(per_operation loop 64)
for bytes in 16 64 256 1024 8192 16384; do
	echo "pair $bytes: $(($(per_operation pair $bytes) - loop))"
done
echo "cache pair 64: $(($(per_operation cache-pair 64) - loop))"
for bytes in 16 64 256 1024 8192; do
	echo "LIFO 1000 x $bytes: $(($(per_operation lifo $bytes) - loop))"
done
echo "churn 16..1024: $(($(per_operation churn 1) - $(per_operation churn 0)))"
"$program" held 0 1000000
