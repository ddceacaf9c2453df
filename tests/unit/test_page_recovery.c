/* SPDX-License-Identifier: MIT */
/*
 * Do large blocks come back? Fill 1 GiB page by page, free at random down to
 * a share of it, then churn: free 1,024 pages at random, allocate as many
 * again, over and over. Of the 2 MiB blocks that the free pages could form,
 * nearly all must be free in the end: taking from the fullest pageblocks first
 * packs the live pages, without moving any.
 */
#include "page_fixture.h"

#define BATCH     1024
#define CHURNS    4096
#define PAGES     GIB
#define PER_MILLE 1000
#define AT_LEAST  980 /* per mille of the possible blocks */

static pfn_t held[PAGES];

static void shuffle(uint64_t *random, size_t count)
{
	for (size_t i = count - 1; i > 0; i--) {
		size_t j = host_random(random) % (i + 1);
		pfn_t t = held[i];

		held[i] = held[j];
		held[j] = t;
	}
}

static uint64_t whole_blocks(void)
{
	struct page_stats stats = page_figures();
	uint64_t blocks = 0;

	for (unsigned k = PAGEBLOCK_SHIFT; k <= PAGE_ORDER_MAX; k++)
		blocks += stats.free_blocks[k] << (k - PAGEBLOCK_SHIFT);
	return blocks;
}

static void churn(size_t percent_live, bool bulk)
{
	uint64_t random = 12345 + percent_live;
	size_t live = PAGES * percent_live / 100;
	uint64_t possible, got;

	page_setup(GIB, PAGES);
	assert_int_equal(page_alloc_bulk(&pa, held, PAGES, PAGE_ANY), PAGES);
	shuffle(&random, PAGES);
	page_free_bulk(&pa, held + live, PAGES - live);
	for (unsigned i = 0; i < CHURNS; i++) {
		for (size_t j = 0; j < BATCH; j++) {
			size_t victim = j + host_random(&random) % (live - j);
			pfn_t t = held[j];

			held[j] = held[victim];
			held[victim] = t;
		}
		if (bulk) {
			page_free_bulk(&pa, held, BATCH);
			assert_int_equal(page_alloc_bulk(&pa, held, BATCH, PAGE_ANY), BATCH);
			continue;
		}
		for (size_t j = 0; j < BATCH; j++)
			page_free(&pa, held[j], 0);
		for (size_t j = 0; j < BATCH; j++)
			held[j] = page_alloc(&pa, 0, PAGE_ANY);
	}
	page_verify();
	possible = page_free_pages(&pa) / PAGEBLOCK_PAGES;
	got = whole_blocks();
	print_message("%zu %% live, %s: %llu of %llu possible pageblocks are whole\n", percent_live,
		      bulk ? "in bulk" : "singly", (unsigned long long)got,
		      (unsigned long long)possible);
	assert_true(got * PER_MILLE >= possible * AT_LEAST);
}

static void test_half_live(void **state)
{
	(void)state;
	churn(50, true);
	churn(50, false);
}

static void test_seventy_percent_live(void **state)
{
	(void)state;
	churn(70, true);
	churn(70, false);
}

static void test_ninety_percent_live(void **state)
{
	(void)state;
	churn(90, true);
	churn(90, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_half_live),
		cmocka_unit_test(test_seventy_percent_live),
		cmocka_unit_test(test_ninety_percent_live),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
