#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Prove what the contracts in this folder say; all goals or failure. 77 where Frama-C is not installed.
#
#   prove.sh            everything
#   prove.sh region     the functions of one file
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
only=${1:-}
failed=0

# goals FILE NAME...: print how many goals there were of each function (or of "lemma"), and those that were not proved.
# Fails when one was not, or when a function has none.
goals() {
	awk -v file="$1" -v names="${*:2}" '
	BEGIN { count = split(names, name, " ") }
	/ Goal typed_/ {
		goal = $0
		sub(/.* Goal typed_/, "", goal)
		sub(/ .*/, "", goal)
		best = ""
		for (i = 1; i <= count; i++)
			if (index(goal, name[i] "_") == 1 && length(name[i]) > length(best))
				best = name[i]
		all[best]++
		if (/: Valid/)
			proved[best]++
		else
			print "NOT PROVED " goal
	}
	/Proved goals:/ { sum = $4; of = $6 }
	END {
		bad = of == 0 || sum != of
		for (i = 1; i <= count; i++) {
			n = name[i]
			seen += all[n]
			bad = bad || !all[n] || proved[n] != all[n]
			printf "%4d of %4d goals  %s: %s\n", proved[n], all[n], file, n
		}
		exit bad || seen != of
	}' "$home/out"
}

# prove FILE OPTIONS NAME...: the goals of these functions, "lemma" for those of the lemmas.
prove() {
	local file=$1 options=$2 functions
	[ -z "$only" ] || [ "$only" = "$file" ] || return 0
	functions=$(IFS=, && echo "${*:3}")
	case $functions in
	lemma) options+=" -wp-prop=@lemma" ;;
	*) options+=" -wp-fct $functions" ;;
	esac
	# shellcheck disable=SC2086 # options are words
	frama-c -c11 -wp -wp-rte -wp-prover z3,cvc4 -wp-timeout 30 -wp-par 2 $options \
		-cpp-extra-args="-I$top/include -I$top/alloc -I$top/tests/host -DQUIRE_HOSTED ${defines:-}" \
		"$here/$file.c" >"$home/out" 2>&1 || { cat "$home/out"; failed=1; }
	goals "$file" "${@:3}" || failed=1
}

prove classes "" kmalloc_class kmalloc_class_bytes slab_reciprocal slab_slot_around slab_live_slot
# Of the regions also that nothing wraps, though C allows it.
prove region -warn-unsigned-overflow lemma
prove region -warn-unsigned-overflow region_kind_name region_kind_is_managed region_is_managed region_end pfn \
	bytes_to_pages entry_round entries_round entry_less sift_down entries_sort cursors_init cursor_covers_from \
	sweep_next region_check region_pages region_find region_overlap_pages
# Of the search in bits; the loop of word_run_starts() and what it ends with, each with the facts it needs.
prove bits -warn-unsigned-overflow lemma
prove bits -warn-unsigned-overflow bits_lowest bits_test runs_words bits_find
prove bits "" bits_mask
defines=-DLOOP_ONLY prove bits "-wp-prop=-where" word_run_starts
prove bits "-wp-prop=where" word_run_starts
exit $failed
