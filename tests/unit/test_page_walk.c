/* SPDX-License-Identifier: MIT */
/* A walk sees every allocation once, lowest first, with what is known of it; and nothing else. */
#include "page_fixture.h"

static struct page_owned seen[64];
static unsigned count;

static void visit(void *context, const struct page_owned *owned)
{
	assert_ptr_equal(context, &count);
	assert_true(count < array_len(seen));
	seen[count++] = *owned;
}

static void walk(void)
{
	count = 0;
	page_walk(&pa, visit, &count);
	for (unsigned i = 1; i < count; i++)
		assert_true(seen[i - 1].frame.n + seen[i - 1].pages <= seen[i].frame.n);
}

static const struct page_owned *found(pfn_t frame)
{
	for (unsigned i = 0; i < count; i++)
		if (seen[i].frame.n == frame.n)
			return &seen[i];
	return NULL;
}

static void assert_seen(pfn_t frame, enum page_state kind, uint64_t pages, uint32_t caller)
{
	const struct page_owned *owned = found(frame);

	assert_non_null(owned);
	assert_int_equal(owned->state, kind);
	assert_int_equal(owned->pages, pages);
	assert_int_equal((uint32_t)owned->allocated_by, caller);
	assert_false(owned->is_object);
}

static void test_everything_once(void **state)
{
	pfn_t one, block, run, large, after;

	(void)state;
	page_setup(GIB, GIB);
	memset(pa.cache_limit, 0, sizeof pa.cache_limit);
	walk();
	assert_int_equal(count, 0);
	one = page_alloc_for(&pa, 0, PAGE_ANY, 0x1001);
	block = page_alloc_for(&pa, 3, PAGE_ANY, 0x1002);
	run = page_alloc_run_for(&pa, 5, PAGE_ANY, 0x1003);
	large = page_alloc_for(&pa, 10, PAGE_ANY, 0x1004); /* its second pageblock has no head */
	after = page_alloc_run_for(&pa, 1024 + 7, PAGE_ANY, 0x1005);
	walk();
	assert_int_equal(count, 5);
	assert_int_equal(one.n, GIB); /* the very first page too */
	assert_seen(one, PAGE_HEAD, 1, 0x1001);
	assert_seen(block, PAGE_HEAD, 8, 0x1002);
	assert_seen(run, PAGE_RUN, 5, 0x1003);
	assert_seen(large, PAGE_HEAD, 1024, 0x1004);
	assert_seen(after, PAGE_RUN, 1024 + 7, 0x1005);
	assert_int_equal((uint32_t)page_caller(&pa, run), 0x1003);
	page_free(&pa, block, 3);
	walk();
	assert_int_equal(count, 4);
	assert_null(found(block));
	page_free(&pa, one, 0);
	page_free_run(&pa, run);
	page_free(&pa, large, 10);
	page_free_run(&pa, after);
	walk();
	assert_int_equal(count, 0);
}

/* Neighbours one page apart: nothing is stepped over. */
static void test_singles_side_by_side(void **state)
{
	pfn_t frames[40];

	(void)state;
	page_setup(GIB, 1024);
	memset(pa.cache_limit, 0, sizeof pa.cache_limit);
	for (unsigned i = 0; i < 40; i++)
		frames[i] = page_alloc(&pa, 0, PAGE_ANY);
	for (unsigned i = 0; i < 40; i += 2)
		page_free(&pa, frames[i], 0);
	walk();
	assert_int_equal(count, 20);
	for (unsigned i = 1; i < 40; i += 2)
		assert_non_null(found(frames[i]));
}

/* What lies in a CPU's cache is free. */
static void test_cached_pages_are_free(void **state)
{
	(void)state;
	page_setup(GIB, GIB);
	page_free(&pa, page_alloc(&pa, 0, PAGE_ANY), 0);
	assert_true(page_figures().cached > 0);
	walk();
	assert_int_equal(count, 0);
}

/* A slab is seen page by page, and an object of kmalloc's is told from other runs. */
static void test_pages_of_kmalloc(void **state)
{
	static uint64_t slab;
	pfn_t f, object, run;

	(void)state;
	page_setup(GIB, GIB);
	f = page_alloc(&pa, 2, PAGE_ANY);
	object = page_alloc_run(&pa, 3, PAGE_OBJECT);
	run = page_alloc_run(&pa, 3, PAGE_ANY);
	page_set_slab(&pa, f, 2, &slab);
	walk();
	assert_int_equal(count, 4 + 1 + 1);
	for (unsigned i = 0; i < 4; i++)
		assert_seen(pfn_add(f, i), PAGE_SLAB, 1, 0);
	assert_int_equal(found(object)->state, PAGE_RUN);
	assert_true(found(object)->is_object);
	assert_false(found(run)->is_object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything_once),
		cmocka_unit_test(test_singles_side_by_side),
		cmocka_unit_test(test_cached_pages_are_free),
		cmocka_unit_test(test_pages_of_kmalloc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
