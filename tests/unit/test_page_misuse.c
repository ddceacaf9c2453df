/* SPDX-License-Identifier: MIT */
/* Every wrong way to free or share pages is refused, named, counted, and changes nothing. */
#include "page_fixture.h"

#define CALLER 0x1234u

static uint64_t full_caller(uintptr_t low)
{
	return caller_expand((uint64_t)low << DESC_CALLER_SHIFT);
}

static int setup(void **state)
{
	(void)state;
	page_setup(GIB, 2 * GIB);
	return 0;
}

static void test_double_free(void **state)
{
	pfn_t f = page_alloc_for(&pa, 0, PAGE_ANY, 0x1111);

	(void)state;
	page_free_for(&pa, f, 0, 0x2222);
	page_free_for(&pa, f, 0, 0x3333);
	assert_int_equal(host_last_misuse.caller, 0x3333);
	assert_int_equal(host_last_misuse.freed_by, full_caller(0x2222));
	assert_int_equal(host_last_misuse.address, f.n * PAGE_BYTES);
	assert_refused("double free");
	assert_int_equal(page_facts(f.n).freed_by, full_caller(0x2222));
	/* The same of larger blocks, also where their pageblock is whole again. */
	f = page_alloc(&pa, 12, PAGE_ANY);
	page_free(&pa, f, 12);
	page_free(&pa, f, 12);
	assert_refused("double free");
	f = page_alloc_run(&pa, 700, PAGE_ANY);
	page_free_run(&pa, f);
	page_free_run(&pa, f);
	assert_refused("double free");
	assert_int_equal(page_figures().counters.misuses, 3);
}

static void test_never_allocated(void **state)
{
	(void)state;
	page_free(&pa, pfn(GIB + 5), 0);
	assert_int_equal(host_last_misuse.freed_by, 0);
	assert_int_equal(page_facts(GIB + 5).freed_by, 0);
	assert_refused("free of a page that is not allocated");
	page_free_run(&pa, pfn(GIB + 5));
	assert_refused("free of a page that is not allocated");
	assert_int_equal(page_free_pages(&pa), 2 * GIB);
}

static void test_interior_page(void **state)
{
	pfn_t f = page_alloc_for(&pa, 4, PAGE_ANY, CALLER);

	(void)state;
	page_free(&pa, pfn_add(f, 3), 0);
	assert_int_equal(host_last_misuse.object, f.n * PAGE_BYTES);
	assert_int_equal(host_last_misuse.bytes, 16 * PAGE_BYTES);
	assert_int_equal(host_last_misuse.allocated_by, full_caller(CALLER));
	assert_null(host_last_misuse.freed_to); /* which page it is is wrong, not the order */
	assert_refused("free of a page inside a block");
	f = page_alloc(&pa, 11, PAGE_ANY);
	page_free(&pa, pfn_add(f, 1500), 0); /* its pageblock was never opened */
	assert_int_equal(host_last_misuse.object, f.n * PAGE_BYTES);
	assert_refused("free of a page inside a block");
	f = page_alloc_run(&pa, 1100, PAGE_ANY);
	page_free_run(&pa, pfn_add(f, 1099));
	assert_int_equal(host_last_misuse.object, f.n * PAGE_BYTES);
	assert_int_equal(host_last_misuse.bytes, 1100 * PAGE_BYTES);
	assert_refused("free of a page inside a block");
}

static void test_wrong_order(void **state)
{
	pfn_t f = page_alloc_for(&pa, 4, PAGE_ANY, CALLER);
	static const unsigned wrong[] = {0, 3, 5, 18, 19, 31, 32, 36, 1u << 31 | 4, ~0u};

	(void)state;
	for (size_t i = 0; i < array_len(wrong); i++) {
		page_free(&pa, f, wrong[i]);
		assert_int_equal(host_last_misuse.bytes, 16 * PAGE_BYTES);
		assert_string_equal(host_last_misuse.cache, "order 4");
		assert_int_equal(host_last_misuse.allocated_by, full_caller(CALLER));
		assert_refused("page free with the wrong order");
	}
	page_free(&pa, f, 4);
	assert_int_equal(host_misuses, 0);
}

static void test_block_and_run_mixed_up(void **state)
{
	pfn_t block = page_alloc(&pa, 2, PAGE_ANY), run = page_alloc_run(&pa, 4, PAGE_ANY);

	(void)state;
	page_free_run(&pa, block);
	assert_refused("block of pages freed as a run");
	page_free(&pa, run, 2);
	assert_refused("run of pages freed as a block");
	page_free_bulk(&pa, &run, 1);
	assert_refused("run of pages freed as a block");
	page_free(&pa, block, 2);
	page_free_run(&pa, run);
	assert_int_equal(host_misuses, 0);
}

/* What kmalloc made, only kmalloc frees, and no other run. */
static void test_objects_and_runs_mixed_up(void **state)
{
	pfn_t run = page_alloc_run(&pa, 5, PAGE_ANY);
	pfn_t object = page_alloc_run_for(&pa, 5, PAGE_OBJECT, CALLER);

	(void)state;
	page_free_run(&pa, object);
	assert_string_equal(host_last_misuse.cache, "kmalloc object");
	assert_string_equal(host_last_misuse.freed_to, "run");
	assert_int_equal(host_last_misuse.allocated_by, full_caller(CALLER));
	assert_refused("object freed as pages");
	page_free(&pa, object, 2);
	assert_string_equal(host_last_misuse.freed_to, "order 2");
	assert_refused("object freed as pages");
	page_free_object_run(&pa, run, CALLER);
	assert_string_equal(host_last_misuse.cache, "run");
	assert_refused("run of pages freed as an object");
	page_free_object_run(&pa, object, CALLER);
	page_free_object_run(&pa, object, CALLER);
	assert_refused("double free");
	page_free_run(&pa, run);
	assert_int_equal(host_misuses, 0);
}

static void test_shared_page(void **state)
{
	pfn_t f = page_alloc(&pa, 1, PAGE_ANY);

	(void)state;
	page_get(&pa, f);
	page_free(&pa, f, 1);
	assert_null(host_last_misuse.freed_to); /* the order is right */
	assert_refused("free of a shared page");
	page_put(&pa, f);
	page_free(&pa, f, 1);
	assert_int_equal(host_misuses, 0);
}

static void test_slab_page(void **state)
{
	static uint64_t slab;
	pfn_t f = page_alloc(&pa, 1, PAGE_ANY);

	(void)state;
	page_set_slab(&pa, f, 1, &slab);
	page_free(&pa, f, 1);
	assert_int_equal(host_last_misuse.allocated_by, 0); /* the slab's address is no caller */
	assert_refused("free of a page of a slab");
	page_free(&pa, pfn_add(f, 1), 0);
	assert_refused("free of a page of a slab");
	page_clear_slab(&pa, f, 1);
	page_free(&pa, f, 1);
	/* One that has descriptors of its own in more than one pageblock. */
	f = page_alloc(&pa, 11, PAGE_ANY);
	page_set_slab(&pa, f, 11, &slab);
	page_verify();
	page_clear_slab(&pa, f, 11);
	page_free(&pa, f, 11);
	assert_int_equal(host_misuses, 0);
}

static void test_not_ram_and_reserved(void **state)
{
	const struct region ram[] = {
		{pfn(GIB), 512 * 64, REGION_USABLE},
		{pfn(2 * (uint64_t)GIB), 512 * 64, REGION_RECLAIMABLE},
		{pfn(3 * (uint64_t)GIB), 512 * 9 + 300, REGION_USABLE},
	};
	static const uint64_t not_ram[] = {0,
					   511,
					   GIB - 1,
					   GIB + 512 * 64,
					   2 * (uint64_t)GIB - 1,
					   3 * (uint64_t)GIB + 512 * 10,
					   (uint64_t)1 << 40,
					   ~(uint64_t)0};

	(void)state;
	host_pages_init(&pa, ram, array_len(ram));
	for (size_t i = 0; i < array_len(not_ram); i++) {
		page_free(&pa, pfn(not_ram[i]), 0);
		assert_refused("free of a page that is not the allocator's");
		page_free_run(&pa, pfn(not_ram[i]));
		assert_refused("free of a page that is not the allocator's");
		assert_false(page_facts(not_ram[i]).described);
	}
	/* Behind the ragged end of a region, and in a pageblock not handed over yet. */
	page_free(&pa, pfn(3 * (uint64_t)GIB + 512 * 9 + 300), 0);
	assert_refused("free of a reserved page");
	page_free(&pa, pfn(2 * (uint64_t)GIB + 7), 0);
	assert_refused("free of a reserved page");
	assert_int_equal(page_facts(2 * (uint64_t)GIB + 7).state, PAGE_RESERVED);
	assert_int_equal(page_facts(3 * (uint64_t)GIB + 512 * 9 + 300).state, PAGE_RESERVED);
}

static void test_references_to_nothing(void **state)
{
	pfn_t run = page_alloc_run(&pa, 3, PAGE_ANY), block = page_alloc(&pa, 3, PAGE_ANY);
	const pfn_t wrong[] = {run, pfn_add(block, 1), pfn(GIB + 900), pfn(1), PFN_NONE};

	(void)state;
	for (size_t i = 0; i < array_len(wrong); i++) {
		page_get(&pa, wrong[i]);
		assert_refused("reference to a page that heads no block");
		page_put(&pa, wrong[i]);
		assert_refused("reference dropped on a page that heads no block");
	}
	page_put(&pa, block);
	page_put(&pa, block);
	assert_refused("reference dropped on a page that heads no block");
}

/* The right ones around a wrong one are freed all the same. */
static void test_bulk_with_wrong_ones(void **state)
{
	pfn_t f[8];

	(void)state;
	assert_int_equal(page_alloc_bulk(&pa, f, 6, PAGE_ANY), 6);
	f[6] = f[2];
	f[7] = PFN_NONE;
	page_get(&pa, f[4]);
	page_free_bulk(&pa, f, 8);
	assert_int_equal(host_misuses, 3);
	assert_string_equal(host_last_misuse.what, "free of a page that is not the allocator's");
	assert_int_equal(page_figures().counters.misuses, 3);
	assert_int_equal(page_free_pages(&pa), 2 * GIB - 1);
	page_verify();
}

static void test_clearing_what_is_no_slab_panics(void **state)
{
	pfn_t f = page_alloc(&pa, 0, PAGE_ANY);

	(void)state;
	if (host_expect_panic()) {
		page_clear_slab(&pa, f, 0);
		fail();
	}
	pa.lock.held = 0;
	if (host_expect_panic()) {
		page_set_slab(&pa, f, 1, NULL);
		fail();
	}
	pa.lock.held = 0;
	if (host_expect_panic()) {
		page_set_slab(&pa, f, 0, (void *)(uintptr_t)4);
		fail();
	}
	pa.lock.held = 0;
}

/* The frames end at pfn_limit, whatever lies behind them. */
static void test_behind_the_last_frame(void **state)
{
	pfn_t run = page_alloc_run(&pa, 3, PAGE_ANY);
	uint64_t limit = pa.pfn_limit;

	(void)state;
	pa.pfn_limit = run.n;
	page_free_run(&pa, run);
	pa.pfn_limit = limit;
	assert_refused("free of a page that is not the allocator's");
	page_free_run(&pa, run);
	assert_int_equal(host_misuses, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_double_free, setup),
		cmocka_unit_test_setup(test_never_allocated, setup),
		cmocka_unit_test_setup(test_interior_page, setup),
		cmocka_unit_test_setup(test_wrong_order, setup),
		cmocka_unit_test_setup(test_block_and_run_mixed_up, setup),
		cmocka_unit_test_setup(test_objects_and_runs_mixed_up, setup),
		cmocka_unit_test_setup(test_shared_page, setup),
		cmocka_unit_test_setup(test_slab_page, setup),
		cmocka_unit_test_setup(test_not_ram_and_reserved, setup),
		cmocka_unit_test_setup(test_references_to_nothing, setup),
		cmocka_unit_test_setup(test_bulk_with_wrong_ones, setup),
		cmocka_unit_test_setup(test_clearing_what_is_no_slab_panics, setup),
		cmocka_unit_test_setup(test_behind_the_last_frame, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
