/* SPDX-License-Identifier: MIT */
/*
 * From random firmware maps through region_build() to the descriptor plan,
 * against an oracle that counts the pages of every pageblock one by one and
 * fills the array greedily: fullest pageblocks first, lower address first
 * among equals.
 */
#include "region_oracle.h"
#include <errno.h>
#include <host.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <quire/desc_plan.h>

#define MAPS        20000
#define ENTRIES_MAX 40
#define BLOCKS      24
#define FRAMES      (BLOCKS * PAGEBLOCK_PAGES)

static uint64_t random_state;

static uint64_t random_below(uint64_t limit)
{
	return host_random(&random_state) % limit;
}

static struct region regions[2 * ENTRIES_MAX + 1];
static size_t region_count;
static uint64_t first_block; /* of the window the map lies in */

static uint32_t oracle_pages[BLOCKS]; /* managed pages a block */
static bool oracle_described[BLOCKS];
static uint64_t oracle_total;

static enum region_kind random_kind(void)
{
	static const enum region_kind kinds[] = {REGION_USABLE, REGION_USABLE, REGION_RECLAIMABLE,
						 REGION_RESERVED, REGION_NVS};

	return kinds[random_below(array_len(kinds))];
}

/* Some maps are mostly full, some are a handful of scattered pages. */
static void random_map(void)
{
	struct region_input in[ENTRIES_MAX];
	size_t count = 1 + random_below(ENTRIES_MAX);
	uint64_t longest = random_below(2) ? 1 + random_below(FRAMES) : 1 + random_below(64);

	first_block = random_below(3) ? 0 : random_below((PFN_LIMIT - FRAMES) / PAGEBLOCK_PAGES);
	for (size_t i = 0; i < count; i++) {
		uint64_t at = random_below(FRAMES);
		uint64_t pages = 1 + random_below(longest);

		if (pages > FRAMES - at)
			pages = FRAMES - at;
		if (random_below(4) == 0) /* whole pageblocks are common in real maps */
			at = align_down(at, PAGEBLOCK_PAGES);
		in[i] = (struct region_input){((first_block << PAGEBLOCK_SHIFT) + at) << PAGE_SHIFT,
					      pages, random_kind()};
	}
	assert_int_equal(region_build(in, count, regions, array_len(regions), &region_count), 0);
	assert_null(region_check(regions, region_count));
}

static enum region_kind kind_of(uint64_t frame)
{
	const struct region *r = region_find(regions, region_count, pfn(frame));

	return r ? r->kind : REGION_KINDS;
}

static void oracle_count(void)
{
	oracle_total = 0;
	for (uint64_t b = 0; b < BLOCKS; b++) {
		oracle_pages[b] = 0;
		for (uint64_t i = 0; i < PAGEBLOCK_PAGES; i++) {
			enum region_kind kind = kind_of(((first_block + b) << PAGEBLOCK_SHIFT) + i);

			oracle_pages[b] += kind == REGION_USABLE || kind == REGION_RECLAIMABLE;
		}
		oracle_total += oracle_pages[b];
	}
}

/* Greedily describe at most `budget` blocks. Returns how many. */
static uint64_t oracle_describe(uint64_t budget)
{
	uint64_t described = 0;

	memset(oracle_described, 0, sizeof oracle_described);
	for (uint32_t pages = PAGEBLOCK_PAGES; pages > 0; pages--) {
		for (size_t b = 0; b < BLOCKS; b++) {
			if (oracle_pages[b] == pages && described < budget) {
				oracle_described[b] = true;
				described++;
			}
		}
	}
	return described;
}

/* The walk yields exactly the described blocks, in order, with their counts. */
static void check_walk(const struct desc_plan *plan)
{
	struct desc_cursor cursor = {0};
	struct desc_block run;
	uint64_t next = 0, pages = 0;

	while (desc_plan_walk(regions, region_count, plan, &cursor, &run)) {
		assert_true(run.run > 0 && run.block >= first_block + next);
		for (; next < run.block - first_block; next++)
			assert_false(oracle_described[next]);
		for (; next < run.block - first_block + run.run; next++) {
			assert_true(next < BLOCKS);
			assert_true(oracle_described[next]);
			assert_int_equal(run.pages, oracle_pages[next]);
			pages += run.pages;
		}
	}
	for (; next < BLOCKS; next++)
		assert_false(oracle_described[next]);
	assert_int_equal(plan->page_count, oracle_total);
	assert_int_equal(plan->undescribed, oracle_total - pages);
}

/* The lowest frame from `from` on with `pages` usable frames in a row. */
static pfn_t oracle_place(uint64_t from, uint64_t pages)
{
	uint64_t end = (first_block << PAGEBLOCK_SHIFT) + FRAMES, run = 0;
	uint64_t frame = first_block << PAGEBLOCK_SHIFT;

	for (frame = frame < from ? from : frame; frame < end; frame++) {
		run = kind_of(frame) == REGION_USABLE ? run + 1 : 0;
		if (run == pages)
			return pfn(frame + 1 - pages);
	}
	return PFN_NONE;
}

static void check_places(struct desc_plan *plan, int status)
{
	uint64_t from = 256;

	for (;;) {
		pfn_t wanted = oracle_place(from, plan->pages);

		assert_int_equal(status, pfn_is_none(wanted) ? -ENOSPC : 0);
		if (status)
			return;
		assert_int_equal(plan->start.n, wanted.n);
		from = plan->start.n + plan->pages;
		/* A hundred refusals in a row say no more than a few. */
		if (from > first_block * PAGEBLOCK_PAGES + FRAMES / 2)
			return;
		status = desc_plan_next(regions, region_count, plan);
	}
}

static void check_make(void)
{
	uint64_t budget = 9 * oracle_total / 4096;
	struct desc_plan plan;
	int status = desc_plan_make(regions, region_count, &plan);

	if (region_pages(regions, region_count, REGION_USABLE) == 0) {
		assert_int_equal(status, -ENOENT);
		return;
	}
	assert_int_equal(plan.pages, oracle_describe(budget ? budget : 1));
	assert_true(plan.pages * 4096 <= 9 * oracle_total || plan.pages == 1);
	check_walk(&plan);
	check_places(&plan, status);
}

static void check_fit(void)
{
	uint64_t pages = random_below(BLOCKS + 2);
	struct desc_plan plan = {.start = {77}};

	desc_plan_fit(regions, region_count, pages, &plan);
	oracle_describe(pages);
	assert_int_equal(plan.pages, pages);
	assert_int_equal(plan.start.n, 77);
	check_walk(&plan);
}

static void test_random_maps(void **state)
{
	unsigned planned = 0;

	(void)state;
	random_state = host_seed("model_desc_plan");
	for (unsigned i = 0; i < host_amount(MAPS); i++) {
		random_map();
		oracle_count();
		check_make();
		check_fit();
		planned++;
	}
	printf("model_desc_plan: %u maps\n", planned);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_maps)};

	return cmocka_run_group_tests_name("model_desc_plan", tests, NULL, NULL);
}
