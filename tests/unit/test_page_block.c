/* SPDX-License-Identifier: MIT */
/*
 * Lists of superblocks: whichever of three joins or leaves first, all stay reachable, and the
 * lowest serves first. Which pageblock and which frame a request takes.
 */
#include "page_fixture.h"

#define SUPERBLOCKS 3

/* Two pageblocks in each of three superblocks, at 4 GiB and up, all in the NORMAL zone. */
static const struct region ram[SUPERBLOCKS] = {
	{{4 * (uint64_t)GIB}, 1024, REGION_USABLE},
	{{5 * (uint64_t)GIB}, 1024, REGION_USABLE},
	{{6 * (uint64_t)GIB}, 1024, REGION_USABLE},
};
static const unsigned orders[][SUPERBLOCKS] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
					       {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

static int setup(void **state)
{
	(void)state;
	host_pages_init(&pa, ram, SUPERBLOCKS);
	memset(pa.cache_limit, 0, sizeof pa.cache_limit); /* past the caches, at once */
	host_misuse_reset();
	return 0;
}

static void take_everything(void)
{
	for (unsigned i = 0; i < SUPERBLOCKS * 1024; i++)
		assert_false(pfn_is_none(page_alloc_block(&pa, 0, PAGE_ANY)));
	assert_true(pfn_is_none(page_alloc_block(&pa, 0, PAGE_ANY)));
	page_verify();
}

/* Single free frames: all three on the list of class 0. Then each becomes a pair: they leave it. */
static void test_any_order_of_joining_and_leaving(void **state)
{
	(void)state;
	for (size_t joins = 0; joins < array_len(orders); joins++)
		for (size_t leaves = 0; leaves < array_len(orders); leaves++) {
			setup(NULL);
			take_everything();
			for (unsigned i = 0; i < SUPERBLOCKS; i++) {
				page_free_block(&pa, ram[orders[joins][i]].start, 0);
				page_verify();
			}
			for (unsigned i = 0; i < SUPERBLOCKS; i++) {
				page_free_block(&pa, pfn_add(ram[orders[leaves][i]].start, 1), 0);
				page_verify();
			}
			assert_int_equal(pa.zones[PAGE_ZONE_NORMAL].nonempty, 1u << 1);
			for (unsigned i = 0; i < SUPERBLOCKS; i++)
				assert_false(pfn_is_none(page_alloc_block(&pa, 1, PAGE_ANY)));
			assert_int_equal(pa.zones[PAGE_ZONE_NORMAL].nonempty, 0);
			assert_int_equal(page_free_pages(&pa), 0);
		}
}

/* The same for whole pageblocks, one each, then two that are one run of twice the size. */
static void test_any_order_of_whole_pageblocks(void **state)
{
	(void)state;
	for (size_t joins = 0; joins < array_len(orders); joins++)
		for (size_t leaves = 0; leaves < array_len(orders); leaves++) {
			setup(NULL);
			for (unsigned i = 0; i < SUPERBLOCKS * 2; i++)
				assert_false(pfn_is_none(page_alloc_block(&pa, 9, PAGE_ANY)));
			assert_true(pfn_is_none(page_alloc_block(&pa, 9, PAGE_ANY)));
			for (unsigned i = 0; i < SUPERBLOCKS; i++) {
				page_free_block(&pa, ram[orders[joins][i]].start, 9);
				page_verify();
			}
			for (unsigned i = 0; i < SUPERBLOCKS; i++) {
				page_free_block(&pa, pfn_add(ram[orders[leaves][i]].start, 512), 9);
				page_verify();
			}
			assert_int_equal(pa.zones[PAGE_ZONE_NORMAL].nonempty, 1u << 10);
			for (unsigned i = 0; i < SUPERBLOCKS; i++)
				assert_false(pfn_is_none(page_alloc_block(&pa, 10, PAGE_ANY)));
			assert_int_equal(page_free_pages(&pa), 0);
			page_verify();
		}
}

/* Lower addresses go in front, the first one serves. */
static void test_the_lowest_serves_first(void **state)
{
	(void)state;
	take_everything();
	page_free_block(&pa, ram[2].start, 0);
	page_free_block(&pa, ram[0].start, 0);
	page_free_block(&pa, ram[1].start, 0);
	for (unsigned i = 0; i < SUPERBLOCKS; i++)
		assert_int_equal(page_alloc_block(&pa, 0, PAGE_ANY).n, ram[i].start.n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_any_order_of_joining_and_leaving, setup),
		cmocka_unit_test_setup(test_any_order_of_whole_pageblocks, setup),
		cmocka_unit_test_setup(test_the_lowest_serves_first, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
