/* SPDX-License-Identifier: MIT */
/* Out of memory at every step of kmalloc: NULL, nothing lost, every counter exact. */
#include "kmalloc_fixture.h"

#include <stdlib.h>

static pfn_t *hoard;
static size_t hoarded;

/* Take every page but `keep` of them. */
static void leave_pages(uint64_t keep)
{
	while (free_pages() > keep) {
		hoard[hoarded] = page_alloc(&pages, 0, 0);
		assert_false(pfn_is_none(hoard[hoarded]));
		hoarded++;
		pages_free_at_start--;
	}
	assert_int_equal(free_pages(), keep);
}

static void release_pages(void)
{
	while (hoarded) {
		page_free(&pages, hoard[--hoarded], 0);
		pages_free_at_start++;
	}
}

static int oom_setup(void **state)
{
	heap_init(4 * 512);
	hoard = calloc(4 * 512, sizeof *hoard);
	hoarded = 0;
	(void)state;
	return 0;
}

static int oom_teardown(void **state)
{
	release_pages();
	free(hoard);
	assert_int_equal(host_misuses, 0);
	return heap_teardown(state);
}

#define oom_test(f) cmocka_unit_test_setup_teardown(f, oom_setup, oom_teardown)

/* 0 pages: the slab fails. 1: its header does, and the slab's page is put back. 2: enough. */
static void test_first_object(void **state)
{
	struct kmem_cache_stats stats;
	void *object;

	(void)state;
	leave_pages(2);
	leave_pages(1);
	assert_null(kmalloc(64));
	assert_int_equal(free_pages(), 1);
	heap_verify();
	leave_pages(0);
	assert_null(kmalloc(64));
	assert_null(kzalloc(64));
	assert_null(krealloc(NULL, 64));
	heap_verify();
	assert_true(kheap_cache_stats(&kernel_heap, kmalloc_class(64), &stats));
	assert_int_equal(stats.failures, 4);
	assert_int_equal(stats.allocs, 0);
	assert_int_equal(stats.slabs, 0);
	release_pages();
	leave_pages(2);
	object = kmalloc(64);
	assert_non_null(object);
	assert_int_equal(free_pages(), 0);
	heap_verify();
	kfree(object);
}

static void test_cache_create(void **state)
{
	struct kmem_cache *cache;

	(void)state;
	for (uint64_t keep = 0; keep < 2; keep++) {
		release_pages();
		leave_pages(keep);
		assert_null(kmem_cache_create(&kernel_heap, "cache", 64, 0));
		assert_int_equal(free_pages(), keep);
		heap_verify();
	}
	release_pages();
	leave_pages(2);
	cache = kmem_cache_create(&kernel_heap, "cache", 64, 0);
	assert_non_null(cache);
	assert_null(kmem_cache_alloc(cache, KMALLOC_ZERO));
	heap_verify();
	assert_int_equal(kmem_cache_destroy(cache), 0);
}

/* The record of callers is a help, not a need. */
static void test_tracking(void **state)
{
	void *object;

	(void)state;
	kheap_watch(&kernel_heap, WATCH_TRACK, 0);
	leave_pages(2);
	object = kmalloc(64);
	assert_non_null(object);
	assert_null(slab_of(&kernel_heap, object)->track);
	heap_verify();
	kfree(object);
	kheap_trim(&kernel_heap);
	release_pages();
	leave_pages(3);
	object = kmalloc(64);
	assert_non_null(slab_of(&kernel_heap, object)->track);
	heap_verify();
	kfree(object);
}

static void test_large(void **state)
{
	struct kheap_stats stats;

	(void)state;
	leave_pages(2);
	assert_null(kmalloc(3 * PAGE_BYTES));
	assert_null(kzalloc(1024 * PAGE_BYTES));
	assert_null(kmalloc(SIZE_MAX));
	kheap_stats(&kernel_heap, &stats);
	assert_int_equal(stats.large_failures, 3);
	assert_int_equal(stats.large_allocs, 0);
	assert_int_equal(stats.large_pages, 0);
	assert_int_equal(free_pages(), 2);
}

static void test_realloc_fails(void **state)
{
	unsigned char *object = kmalloc(4000);

	(void)state;
	memset(object, 0x77, 4000);
	leave_pages(0);
	assert_null(krealloc(object, 5000));
	assert_null(krealloc(object, 100000));
	for (unsigned i = 0; i < 4000; i++)
		assert_int_equal(object[i], 0x77);
	assert_int_equal(kmalloc_size(object), 4096);
	assert_ptr_equal(krealloc(object, 10), object); /* nowhere to move to: it stays */
	assert_int_equal(kmalloc_size(object), 4096);
	kfree(object);
}

/* Kept empty slabs of other caches are given up before a request fails. */
static void test_trims_before_failing(void **state)
{
	void *small = kmalloc(64), *object;

	(void)state;
	kfree(small);
	leave_pages(0);
	object = kmalloc(128);
	assert_non_null(object);
	assert_int_equal(kernel_heap.classes[kmalloc_class(64)].slabs, 0);
	heap_verify();
	kfree(object);
	object = kmalloc(4 * PAGE_BYTES + 1); /* 5 pages: not to be had */
	assert_null(object);
	assert_int_equal(free_pages(), 4); /* but everything was tried, magazines too */
	kfree(kmalloc(4096));              /* 8 pages: neither */
	heap_verify();
}

static void test_large_trims_before_failing(void **state)
{
	void *slabs[2], *large;

	(void)state;
	slabs[0] = kmalloc(4096); /* 8 pages */
	leave_pages(0);
	kfree(slabs[0]);
	large = kmalloc(8 * PAGE_BYTES);
	assert_non_null(large);
	heap_verify();
	kfree(large);
}

/*
 * The slab of headers is full and a slab wants a header; no page for another slab of headers, but
 * trimming returns a header to the full one.
 *
 *   headers:  0 own | 1..29 slabs of 64-byte objects, full | magazines | an empty slab of 128
 */
static void test_trim_refills_the_headers(void **state)
{
	enum {
		SLABS = 29,
		IN_SLAB = 64
	};
	static void *objects[SLABS * IN_SLAB];
	void *object;

	(void)state;
	for (unsigned i = 0; i < SLABS * IN_SLAB; i++)
		objects[i] = kmalloc(64);
	kfree(kmalloc(128));
	assert_int_equal(kernel_heap.headers[0].slabs, 1);
	assert_null(kernel_heap.headers[0].common.current);
	leave_pages(1);
	object = kmalloc(256);
	assert_non_null(object);
	assert_int_equal(kernel_heap.headers[0].slabs, 1);
	assert_int_equal(kernel_heap.classes[kmalloc_class(128)].slabs, 0);
	assert_int_equal(free_pages(), 1); /* the slab of 128's; that of magazines is there anew */
	heap_verify();
	kfree(object);
	for (unsigned i = 0; i < SLABS * IN_SLAB; i++)
		kfree(objects[i]);
}

/* Fill memory with one size after the other, to the brim and back. */
static void test_to_the_brim(void **state)
{
	static const size_t sizes[] = {8, 64, 144, 1000, 5000, 8192, 12000, 30000};

	(void)state;
	for (size_t s = 0; s < array_len(sizes); s++) {
		void **chain = NULL, **object;
		uint64_t bytes = 0;

		while ((object = kmalloc(sizes[s]))) {
			*object = chain;
			chain = object;
			bytes += sizes[s];
		}
		heap_verify();
		assert_true(bytes > 4 * 512 * PAGE_BYTES * 2 / 3);
		while ((object = chain)) {
			chain = *object;
			kfree(object);
		}
		heap_verify_empty();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		oom_test(test_first_object),
		oom_test(test_cache_create),
		oom_test(test_tracking),
		oom_test(test_large),
		oom_test(test_realloc_fails),
		oom_test(test_trims_before_failing),
		oom_test(test_large_trims_before_failing),
		oom_test(test_trim_refills_the_headers),
		oom_test(test_to_the_brim),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
