/* SPDX-License-Identifier: MIT */
/* What the tests of kmalloc share: RAM, a page allocator, a heap, and the books that must balance.
 */
#ifndef QUIRE_KMALLOC_FIXTURE_H
#define QUIRE_KMALLOC_FIXTURE_H

#include "host.h"
#include <errno.h>
#include <kmalloc_internal.h>
#include <quire/errno.h>
#include <quire/region.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct kheap kernel_heap;
static struct page_allocator pages;
static uint64_t pages_free_at_start;

static inline uint64_t free_pages(void)
{
	struct page_stats stats;

	page_stats(&pages, &stats);
	return stats.free;
}

/* Pages of `pages` marked as a slab's, counted from the descriptors: the page allocator's view. */
static inline uint64_t slab_pages_by_descriptors(void)
{
	uint64_t count = 0;

	for (uint64_t n = 0; n < pages.pfn_limit; n++)
		count += page_state(page_desc(&pages, pfn(n))) == PAGE_SLAB;
	return count;
}

static inline void heap_init(uint64_t ram_pages)
{
	/* The last pageblock is described, but nobody hands it to the page allocator. */
	const struct region ram[] = {
		{pfn(512), ram_pages, REGION_USABLE},
		{pfn(512 + ram_pages), 512, REGION_RECLAIMABLE},
	};

	host_ram_init((512 + ram_pages + 512) * PAGE_BYTES);
	host_pages_init(&pages, ram, 2);
	kheap_init(&kernel_heap, &pages);
	host_misuse_reset();
	pages_free_at_start = free_pages();
	assert_true(pages_free_at_start > 0);
}

/* Everything in order: validators, and every page accounted for. */
static inline void heap_verify(void)
{
	struct kheap_stats stats;
	const char *wrong = kheap_check(&kernel_heap);

	if (!wrong)
		wrong = page_check(&pages);
	if (wrong)
		fail_msg("%s", wrong);
	kheap_stats(&kernel_heap, &stats);
	assert_int_equal(pages_free_at_start - free_pages(), stats.slab_pages + stats.header_pages +
								     stats.large_pages +
								     stats.guard_pages);
	assert_int_equal(slab_pages_by_descriptors(), stats.slab_pages + stats.header_pages -
							      kernel_heap.track_pages_held -
							      kernel_heap.cpu_pages);
}

/* Nothing is live: after a trim not one page is held, not even for headers. */
static inline void heap_verify_empty(void)
{
	struct kheap_stats stats;

	heap_verify();
	kheap_trim(&kernel_heap);
	heap_verify();
	kheap_stats(&kernel_heap, &stats);
	assert_int_equal(stats.slab_pages, 0);
	assert_int_equal(stats.header_pages, kernel_heap.cpu_pages); /* one a CPU, for good */
	assert_int_equal(stats.large_pages, 0);
	assert_int_equal(stats.live_objects, 0);
	assert_int_equal(stats.live_bytes, 0);
	assert_int_equal(stats.large_live, 0);
	assert_int_equal(free_pages(),
			 pages_free_at_start - kernel_heap.cpu_pages - stats.guard_pages);
}

static inline uint64_t physical(const void *object)
{
	return port_virt_to_phys(object).a;
}

static inline int heap_setup(void **state)
{
	(void)state;
	heap_init(64 * 512);
	return 0;
}

static inline int heap_teardown(void **state)
{
	(void)state;
	heap_verify_empty();
	return 0;
}

#define heap_test(f) cmocka_unit_test_setup_teardown(f, heap_setup, heap_teardown)

#endif
