/* SPDX-License-Identifier: MIT */
/*
 * Failure injection: calls of an allocator that fail although there is memory,
 * to see what their callers make of it. Part of watching (quire/alloc_watch.h).
 *
 * What counts as a call:
 *
 *   kmalloc   kmalloc and its kin, krealloc that has to move, kmem_cache_alloc, kmem_cache_create
 *   page      a block, a run, a bulk request (one call, whatever it asks for), a slab of kmalloc's
 *
 * An injected failure is to the caller what running out of memory is: NULL, PFN_NONE,
 * no frames; but the allocator's own counts of failures stay as they are.
 */
#ifndef QUIRE_ALLOC_FAIL_H
#define QUIRE_ALLOC_FAIL_H

#include <stdbool.h>
#include <stdint.h>

enum alloc_fail_mode {
	ALLOC_FAIL_OFF,
	ALLOC_FAIL_EVERY, /* call n, 2n, 3n, ... */
	ALLOC_FAIL_NTH,   /* call n alone */
	ALLOC_FAIL_FROM,  /* call n and all after it: memory stays out */
	ALLOC_FAIL_PROB,  /* n of a million calls; which ones follows from the seed */
};

struct alloc_fail_plan {
	enum alloc_fail_mode mode;
	uint64_t n; /* at least 1 */
	uint64_t seed;
	uintptr_t first, end; /* only calls made from code in [first, end); 0, 0: all */
};

struct alloc_fail {
	struct alloc_fail_plan plan;
	/* Since the plan was made; atomic. */
	uint64_t calls, failures;
	uintptr_t last_caller; /* whose call failed last */
};

/* Count a call; shall it fail? Interrupts off. */
bool alloc_fail_hits(struct alloc_fail *fail, uintptr_t caller);

#endif
