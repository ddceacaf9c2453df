/* SPDX-License-Identifier: MIT */
/* Failure injection: which calls fail, what counts as one, and that nothing else changes. */
#include "kmalloc_fixture.h"

enum {
	CALLS = 1000
};

static const struct alloc_fail_plan second = {.mode = ALLOC_FAIL_NTH, .n = 2};

/* Bit i of the result: call i + 1 of 60 fails. */
static uint64_t pattern(struct alloc_fail_plan plan)
{
	struct alloc_fail fail = {.plan = plan};
	uint64_t bits = 0;

	for (unsigned i = 0; i < 60; i++)
		bits |= (uint64_t)alloc_fail_hits(&fail, 1) << i;
	assert_int_equal(fail.calls, 60);
	assert_int_equal(fail.failures, __builtin_popcountll(bits));
	return bits;
}

static void test_modes(void **state)
{
	(void)state;
	assert_int_equal(pattern((struct alloc_fail_plan){.mode = ALLOC_FAIL_OFF}), 0);
	assert_int_equal(pattern((struct alloc_fail_plan){.mode = ALLOC_FAIL_EVERY, .n = 20}),
			 (uint64_t)1 << 19 | (uint64_t)1 << 39 | (uint64_t)1 << 59);
	assert_int_equal(pattern((struct alloc_fail_plan){.mode = ALLOC_FAIL_NTH, .n = 5}), 1 << 4);
	assert_int_equal(pattern((struct alloc_fail_plan){.mode = ALLOC_FAIL_FROM, .n = 58}),
			 (uint64_t)7 << 57);
	assert_int_equal(pattern((struct alloc_fail_plan){.mode = ALLOC_FAIL_PROB, .n = 1000000}),
			 ((uint64_t)1 << 60) - 1);
}

/* About as many as asked for; the same for the same seed, others for another. */
static void test_probability(void **state)
{
	struct alloc_fail_plan plan = {.mode = ALLOC_FAIL_PROB, .n = 250000, .seed = 7};
	struct alloc_fail fail = {.plan = plan};
	uint64_t first = pattern(plan);

	(void)state;
	assert_true(first == pattern(plan));
	plan.seed++;
	assert_true(first != pattern(plan));
	for (unsigned i = 0; i < 100 * CALLS; i++)
		(void)alloc_fail_hits(&fail, 1);
	assert_in_range(fail.failures, 24 * CALLS, 26 * CALLS);
}

/* A plan that somebody wrote down means the same calls in every version of Quire. */
static void test_probability_is_what_it_was(void **state)
{
	(void)state;
	assert_int_equal(
		pattern((struct alloc_fail_plan){.mode = ALLOC_FAIL_PROB, .n = 250000, .seed = 7}),
		0x460100040440a04);
	assert_int_equal(pattern((struct alloc_fail_plan){
				 .mode = ALLOC_FAIL_PROB, .n = 500000, .seed = 123456789}),
			 0x1516896c36685cd);
}

/* No chance is none, whatever the number: that of this seed's first call is 0. */
static void test_probability_of_nothing(void **state)
{
	(void)state;
	assert_int_equal(
		pattern((struct alloc_fail_plan){.mode = ALLOC_FAIL_PROB, .n = 0, .seed = 348462}),
		0);
	assert_int_equal(
		pattern((struct alloc_fail_plan){.mode = ALLOC_FAIL_PROB, .n = 1, .seed = 348462}),
		1);
}

/* Calls from elsewhere neither fail nor count. The return address lies behind the call. */
static void test_only_from_one_caller(void **state)
{
	struct alloc_fail fail = {
		.plan = {.mode = ALLOC_FAIL_EVERY, .n = 1, .first = 0x1000, .end = 0x1100},
	};

	(void)state;
	assert_false(alloc_fail_hits(&fail, 0x1000));
	assert_false(alloc_fail_hits(&fail, 0x1101));
	assert_false(alloc_fail_hits(&fail, 0));
	assert_int_equal(fail.calls, 0);
	assert_true(alloc_fail_hits(&fail, 0x1001));
	assert_true(alloc_fail_hits(&fail, 0x1100));
	assert_int_equal(fail.calls, 2);
	assert_int_equal(fail.last_caller, 0x1100);
}

static void *by_alloc(void)
{
	return kmalloc(100);
}

static void *by_zeroing(void)
{
	return kzalloc(100);
}

static void *by_array(void)
{
	return kcalloc(3, 100);
}

static void *by_alignment(void)
{
	return kmalloc_aligned(100, 64);
}

static void *by_realloc(void)
{
	return krealloc(NULL, 100);
}

static void *by_block(void)
{
	return kzalloc(4 * PAGE_BYTES);
}

static void *by_run(void)
{
	return kmalloc(5 * PAGE_BYTES);
}

static void *(*const ways[])(void) = {by_alloc,   by_zeroing, by_array, by_alignment,
				      by_realloc, by_block,   by_run};

/* A plan that is over stays so, whoever watches next. */
static void test_a_plan_ends(void **state)
{
	(void)state;
	kheap_fail(&kernel_heap, &(struct alloc_fail_plan){.mode = ALLOC_FAIL_EVERY, .n = 1});
	assert_null(kmalloc(64));
	kheap_fail(&kernel_heap, NULL);
	kheap_watch(&kernel_heap, WATCH_TRACK, 0);
	for (unsigned i = 0; i < array_len(ways); i++) {
		void *object = ways[i]();

		assert_non_null(object);
		kfree(object);
	}
	kheap_watch(&kernel_heap, 0, WATCH_TRACK);
}

/* Each way to kmalloc is one call, and the failure leaves nothing behind. */
static void test_every_way_to_kmalloc(void **state)
{
	struct kheap_stats before, after;

	(void)state;
	for (unsigned i = 0; i < array_len(ways); i++) {
		void *first;

		kheap_stats(&kernel_heap, &before);
		kheap_fail(&kernel_heap, &second);
		first = ways[i]();
		assert_non_null(first);
		assert_null(ways[i]());
		assert_int_equal(kernel_heap.fail.calls, 2);
		assert_int_equal(kernel_heap.fail.failures, 1);
		assert_true(kernel_heap.fail.last_caller != 0);
		kfree(ways[i]());
		kfree(first);
		kheap_fail(&kernel_heap, NULL);
		heap_verify();
		kheap_stats(&kernel_heap, &after);
		assert_int_equal(after.live_objects, before.live_objects);
		assert_int_equal(after.large_live, 0);
		assert_int_equal(after.large_failures, 0);
	}
	assert_int_equal(kernel_heap.classes[kmalloc_class(100)].failures, 0);
}

static void test_typed_caches(void **state)
{
	const struct alloc_fail_plan first = {.mode = ALLOC_FAIL_NTH, .n = 1};
	struct kmem_cache *cache;
	void *object;

	(void)state;
	kheap_fail(&kernel_heap, &first);
	assert_null(kmem_cache_create(&kernel_heap, "cache", 100, 0));
	cache = kmem_cache_create(&kernel_heap, "cache", 100, 0);
	assert_non_null(cache);
	kheap_fail(&kernel_heap, &second);
	object = kmem_cache_alloc(cache, 0);
	assert_null(kmem_cache_alloc(cache, KMALLOC_ZERO));
	kmem_cache_free(cache, object);
	kheap_fail(&kernel_heap, NULL);
	assert_int_equal(cache->failures, 0);
	assert_int_equal(kmem_cache_destroy(cache), 0);
}

/* A move that fails leaves the old object; what need not move does not count. */
static void test_moving(void **state)
{
	unsigned char *object = kmalloc(100);

	(void)state;
	memset(object, 0x5a, 100);
	kheap_fail(&kernel_heap, &(struct alloc_fail_plan){.mode = ALLOC_FAIL_EVERY, .n = 1});
	assert_ptr_equal(krealloc(object, 101), object);
	assert_int_equal(kernel_heap.fail.calls, 0);
	assert_null(krealloc(object, 5000));
	assert_ptr_equal(krealloc(object, 10), object); /* shrinking never fails */
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(object[i], 0x5a);
	kheap_fail(&kernel_heap, NULL);
	kfree(object);
}

static void fail_pages(uint64_t n, enum alloc_fail_mode mode)
{
	page_fail(&pages, &(struct alloc_fail_plan){.mode = mode, .n = n});
}

/* Blocks, runs and bulk requests are one call each, whatever they ask for. */
static void test_pages(void **state)
{
	struct page_stats before, after;
	pfn_t many[600];

	(void)state;
	page_stats(&pages, &before);
	fail_pages(1, ALLOC_FAIL_EVERY);
	assert_true(pfn_is_none(page_alloc(&pages, 0, PAGE_ANY)));
	assert_true(pfn_is_none(page_alloc(&pages, 3, PAGE_ZEROED)));
	assert_true(pfn_is_none(page_alloc(&pages, 10, PAGE_BELOW_4G)));
	assert_true(pfn_is_none(page_alloc_run(&pages, 5, PAGE_ANY)));
	assert_int_equal(page_alloc_bulk(&pages, many, 600, PAGE_ANY), 0);
	assert_int_equal(pages.fail.calls, 5);
	assert_int_equal(pages.fail.failures, 5);
	fail_pages(2, ALLOC_FAIL_NTH);
	assert_int_equal(page_alloc_bulk(&pages, many, 600, PAGE_ANY), 600);
	assert_int_equal(pages.fail.calls, 1);
	page_free_bulk(&pages, many, 600);
	page_fail(&pages, NULL);
	page_stats(&pages, &after);
	assert_int_equal(after.free, before.free);
	assert_int_equal(after.counters.failures, before.counters.failures);
}

/* Without a page for a slab kmalloc fails, cleanly; with one after all it does not. */
static void test_slab_growth(void **state)
{
	(void)state;
	fail_pages(1, ALLOC_FAIL_FROM);
	assert_null(kmalloc(64));
	assert_null(kmalloc(20000));
	heap_verify();
	page_fail(&pages, NULL);
	assert_int_equal(kernel_heap.classes[kmalloc_class(64)].failures, 1);
	kfree(kmalloc(64));
}

/* For each call in turn: fail it alone, and everything is as before. */
static void test_sweep(void **state)
{
	uint64_t met = 1;

	(void)state;
	for (uint64_t n = 1; met; n++) {
		void *objects[100];

		fail_pages(n, ALLOC_FAIL_NTH);
		for (unsigned i = 0; i < 100; i++)
			objects[i] = kmalloc(i * i * 7);
		for (unsigned i = 0; i < 100; i++)
			kfree(objects[i]);
		met = pages.fail.failures;
		page_fail(&pages, NULL);
		heap_verify_empty();
		assert_true(n < CALLS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_probability),
		cmocka_unit_test(test_probability_is_what_it_was),
		cmocka_unit_test(test_probability_of_nothing),
		cmocka_unit_test(test_only_from_one_caller),
		heap_test(test_a_plan_ends),
		heap_test(test_every_way_to_kmalloc),
		heap_test(test_typed_caches),
		heap_test(test_moving),
		heap_test(test_pages),
		heap_test(test_slab_growth),
		heap_test(test_sweep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
