/* SPDX-License-Identifier: MIT */
/* kmalloc where its tables and limits end: the largest request, all CPUs, every size of a slab. */
#include "kmalloc_fixture.h"

/* However many slabs empty: no more of them stay than that. */
static void test_empty_slabs_are_few(void **state)
{
	enum {
		COUNT = 60000 /* 3,750 KiB */
	};
	static void *objects[COUNT];
	struct kheap_stats stats;
	uint64_t free, trimmed;

	(void)state;
	for (unsigned i = 0; i < COUNT; i++)
		objects[i] = kmalloc(64);
	for (unsigned i = 1; i < COUNT; i++) {
		kfree(objects[i]);
		kheap_stats(&kernel_heap, &stats);
		assert_true(stats.empty_pages <= 512);
	}
	assert_true(stats.empty_pages > 400);
	free = free_pages();
	trimmed = kheap_trim(&kernel_heap);
	assert_int_equal(trimmed, free_pages() - free);
	assert_true(free_pages() < pages_free_at_start); /* the first is live */
	kfree(objects[0]);
}

/* The largest alignment is a request like any other; all it lacks is memory. Past it there is none. */
static void test_largest_alignment(void **state)
{
	struct kheap_stats stats;

	(void)state;
	assert_null(kmalloc_aligned(8, KMALLOC_ALIGN_MAX));
	kheap_stats(&kernel_heap, &stats);
	assert_int_equal(stats.large_failures, 1);
	assert_null(kmalloc_aligned(SIZE_MAX - 4096, 4096));
	kheap_stats(&kernel_heap, &stats);
	assert_int_equal(stats.large_failures, 2);
	assert_null(kmalloc_aligned(SIZE_MAX - 4095, 4096)); /* wraps to 0 */
	assert_null(kmalloc_aligned(8, 2 * KMALLOC_ALIGN_MAX));
	kheap_stats(&kernel_heap, &stats);
	assert_int_equal(stats.large_failures, 2);
}

/* Before the largest request of all fails, whatever kmalloc holds for itself is given back. */
static void test_largest_request_trims(void **state)
{
	(void)state;
	kfree(kmalloc(64));
	assert_null(kmalloc((size_t)PAGE_BYTES << PAGE_ORDER_MAX));
	assert_int_equal(kheap_trim(&kernel_heap), 0);
	assert_int_equal(free_pages(), pages_free_at_start);
}

/* Whatever the size of its objects, a slab's header holds the state of each, and one behind them. */
static void test_headers_hold_all_states(void **state)
{
	(void)state;
	for (size_t bytes = 8; bytes <= KMALLOC_SMALL_MAX; bytes += 8) {
		struct kmem_cache *cache = kmem_cache_create(&kernel_heap, "sized", bytes, 8);

		assert_non_null(cache);
		assert_true(sizeof(struct slab) + cache->slots + 1 <=
			    slab_header_bytes(cache->header));
		assert_int_equal(kmem_cache_destroy(cache), 0);
	}
}

/* The largest class, too, has room to shrink in. */
static void test_largest_class_shrinks_in_place(void **state)
{
	void *object = kmalloc(KMALLOC_SMALL_MAX);

	(void)state;
	assert_ptr_equal(krealloc(object, KMALLOC_SMALL_MAX - 100), object);
	kfree(object);
}

/* All CPUs there may be: each has its magazines, and the books balance. */
static void test_every_cpu(void **state)
{
	struct kmem_cache *cache = kmem_cache_create(&kernel_heap, "of all", 64, 0);

	(void)state;
	for (unsigned cpu = 1; cpu < PORT_CPUS_MAX; cpu++)
		assert_int_equal(kheap_cpu_online(&kernel_heap, cpu), 0);
	assert_int_equal(kheap_cpu_online(&kernel_heap, PORT_CPUS_MAX), -EINVAL);
	for (host_cpu = 0; host_cpu < PORT_CPUS_MAX; host_cpu += PORT_CPUS_MAX - 1) {
		kfree(kmalloc(64));
		kfree(kmalloc(16 * PAGE_BYTES));
		kmem_cache_free(cache, kmem_cache_alloc(cache, 0));
		heap_verify();
	}
	host_cpu = 0;
	assert_int_equal(kmem_cache_destroy(cache), 0);
	kheap_watch(&kernel_heap, WATCH_TRACK, 0);
	kheap_watch(&kernel_heap, 0, WATCH_TRACK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		heap_test(test_empty_slabs_are_few),
		heap_test(test_largest_alignment),
		heap_test(test_largest_request_trims),
		heap_test(test_headers_hold_all_states),
		heap_test(test_largest_class_shrinks_in_place),
		heap_test(test_every_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
