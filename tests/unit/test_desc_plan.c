/* SPDX-License-Identifier: MIT */
/*
 * The descriptor plan: its sizes by hand on small maps, and its promises on
 * every real map of tests/data/memmaps (the directory is the argument).
 */
#include "memmap_file.h"
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <quire/desc_plan.h>
#include <quire/memmap.h>

#define MIB_PAGES ((uint64_t)256)
#define GIB_PAGES SUPERBLOCK_PAGES
#define BLOCK(b)  ((uint64_t)(b)*PAGEBLOCK_PAGES)
#define U(s, n)                                                                                    \
	{                                                                                          \
		{s}, n, REGION_USABLE                                                              \
	}
#define C(s, n)                                                                                    \
	{                                                                                          \
		{s}, n, REGION_RECLAIMABLE                                                         \
	}
#define R(s, n)                                                                                    \
	{                                                                                          \
		{s}, n, REGION_RESERVED                                                            \
	}
#define PLAN(r, p) desc_plan_make(r, array_len(r), p)

/* What the walk must yield, run by run. */
static void assert_walk(const struct region *r, size_t count, const struct desc_plan *plan,
			const struct desc_block *wanted, size_t wanted_count)
{
	struct desc_cursor cursor = {0};
	struct desc_block run;
	size_t i = 0;

	assert_null(region_check(r, count));
	for (; desc_plan_walk(r, count, plan, &cursor, &run); i++) {
		assert_true(i < wanted_count);
		assert_int_equal(run.block, wanted[i].block);
		assert_int_equal(run.run, wanted[i].run);
		assert_int_equal(run.pages, wanted[i].pages);
	}
	assert_int_equal(i, wanted_count);
}

static void test_whole_blocks(void **state)
{
	const struct region r[] = {U(BLOCK(1), BLOCK(15)), R(BLOCK(16), 7), U(BLOCK(20), BLOCK(4))};
	const struct desc_block runs[] = {{1, 15, 512}, {20, 4, 512}};
	struct desc_plan plan;

	(void)state;
	assert_int_equal(PLAN(r, &plan), 0);
	assert_int_equal(plan.start.n, BLOCK(1));
	assert_int_equal(plan.pages, 19);
	assert_int_equal(plan.page_count, BLOCK(19));
	assert_int_equal(plan.undescribed, 0);
	assert_int_equal(plan.floor, 0);
	assert_walk(r, 3, &plan, runs, 2);
}

/* Usable and reclaimable pieces of one pageblock add up, whatever lies between them. */
static void test_shared_block(void **state)
{
	const struct region r[] = {
		U(BLOCK(8) - 10, 12),        R(BLOCK(8) + 2, 1),    C(BLOCK(8) + 3, 4),
		U(BLOCK(8) + 100, BLOCK(2)), C(BLOCK(10) + 100, 5),
	};
	const struct desc_block runs[] = {
		{7, 1, 10}, {8, 1, 2 + 4 + 412}, {9, 1, 512}, {10, 1, 105}};
	struct desc_plan plan;

	(void)state;
	desc_plan_fit(r, array_len(r), 100, &plan);
	assert_walk(r, array_len(r), &plan, runs, array_len(runs));
	assert_int_equal(plan.undescribed, 0);
}

static void test_place(void **state)
{
	/* 16 GiB want 8192 descriptor pages: 32 MiB. */
	const struct region r[] = {
		U(1, 158),
		R(160, 96),
		U(MIB_PAGES, 8000),
		R(8256, 100),
		C(9000, 50000),
		U(BLOCK(200) + 3, 9000),
		U(4 * GIB_PAGES, 16 * GIB_PAGES),
	};
	const struct region low[] = {U(1, 100), U(128, 4 * GIB_PAGES)};
	struct desc_plan plan;

	(void)state;
	/* Not the first: too small. Not the reclaimable one. The first that holds it, at its start. */
	assert_int_equal(PLAN(r, &plan), 0);
	assert_int_equal(plan.start.n, BLOCK(200) + 3);
	assert_true(plan.pages > 8000 && plan.pages < 9000);
	/* A region from below 1 MiB to above: its part from 1 MiB up. */
	assert_int_equal(PLAN(low, &plan), 0);
	assert_int_equal(plan.start.n, MIB_PAGES);
}

static void test_next_place(void **state)
{
	const struct region r[] = {U(BLOCK(1), 40), R(BLOCK(1) + 40, 1), U(BLOCK(2), BLOCK(30) + 9),
				   U(BLOCK(40), 20)};
	struct desc_plan plan;
	uint64_t last;

	(void)state;
	assert_int_equal(PLAN(r, &plan), 0);
	assert_int_equal(plan.start.n, BLOCK(1));
	assert_int_equal(plan.pages, 33);
	/* 7 pages are left in that region: the next one, and then on through it. */
	for (uint64_t i = 0; i < (BLOCK(30) + 9) / 33; i++) {
		assert_int_equal(desc_plan_next(r, array_len(r), &plan), 0);
		assert_int_equal(plan.start.n, BLOCK(2) + i * 33);
		assert_int_equal(plan.pages, 33);
	}
	/* 20 pages are too few. The plan stays what it was. */
	last = plan.start.n;
	assert_int_equal(desc_plan_next(r, array_len(r), &plan), -ENOSPC);
	assert_int_equal(plan.start.n, last);
}

static void test_no_plan(void **state)
{
	const struct region none[] = {C(BLOCK(1), 1000), R(BLOCK(8), 1000)};
	const struct region low[] = {U(1, 255)};
	const struct region small[] = {U(BLOCK(1), 100), C(BLOCK(4), GIB_PAGES)};
	struct desc_plan plan;

	(void)state;
	assert_int_equal(desc_plan_make(NULL, 0, &plan), -ENOENT);
	assert_int_equal(PLAN(none, &plan), -ENOENT);
	assert_int_equal(PLAN(low, &plan), -ENOSPC);
	assert_int_equal(plan.pages, 1);
	assert_int_equal(PLAN(small, &plan), -ENOSPC);
	assert_int_equal(plan.pages, 513);
	assert_true(pfn_is_none(plan.start));
}

/*
 * One full gigabyte and 1,000 pageblocks with a page each. 9 bytes a page pay
 * for 578 pages of array: the 512 full blocks and the 66 lowest of the others.
 */
static void test_sparse_map(void **state)
{
	static struct region r[1001];
	struct desc_cursor cursor = {0};
	struct desc_block run;
	struct desc_plan plan;
	uint64_t sparse = 0;

	(void)state;
	for (uint64_t i = 0; i < 1000; i++)
		r[i] = (struct region)U(BLOCK(2 + 2 * i) + 5, 1);
	r[1000] = (struct region)U(BLOCK(4096), GIB_PAGES);
	assert_int_equal(PLAN(r, &plan), 0);
	assert_int_equal(plan.page_count, GIB_PAGES + 1000);
	assert_int_equal(plan.pages, 9 * (GIB_PAGES + 1000) / 4096);
	assert_int_equal(plan.floor, 1);
	assert_int_equal(plan.at_floor, plan.pages - 512);
	assert_int_equal(plan.undescribed, 1000 - plan.at_floor);
	assert_int_equal(plan.start.n, BLOCK(4096)); /* one page is no place for 578 */
	while (desc_plan_walk(r, 1001, &plan, &cursor, &run) && run.pages == 1) {
		assert_int_equal(run.block, 2 + 2 * sparse);
		sparse++;
	}
	assert_int_equal(sparse, plan.at_floor);
	assert_int_equal(run.block, 4096);
	assert_int_equal(run.run, 512);
}

/* At least one page of descriptors, however few pages there are to describe. */
static void test_tiny_map(void **state)
{
	const struct region r[] = {U(300, 2)};
	const struct region two[] = {U(300, 2), U(BLOCK(2), 3)};
	const struct desc_block run = {0, 1, 2}, fuller = {2, 1, 3};
	struct desc_plan plan;

	(void)state;
	assert_int_equal(PLAN(r, &plan), 0);
	assert_int_equal(plan.pages, 1);
	assert_walk(r, 1, &plan, &run, 1);
	assert_int_equal(PLAN(two, &plan), 0);
	assert_int_equal(plan.pages, 1);
	assert_int_equal(plan.undescribed, 2);
	assert_walk(two, 2, &plan, &fuller, 1);
}

static void test_fit(void **state)
{
	const struct region r[] = {U(BLOCK(1), BLOCK(10)), U(BLOCK(20), 7), U(BLOCK(30), 9),
				   U(BLOCK(40), 7)};
	const struct desc_block one_sparse[] = {{1, 10, 512}, {30, 1, 9}};
	const struct desc_block two_sparse[] = {{1, 10, 512}, {20, 1, 7}, {30, 1, 9}};
	const struct desc_block part[] = {{1, 4, 512}};
	struct desc_plan plan = {.start = {1234}};

	(void)state;
	desc_plan_fit(r, 4, 20, &plan); /* more than needed */
	assert_int_equal(plan.pages, 20);
	assert_int_equal(plan.undescribed, 0);
	desc_plan_fit(r, 4, 12, &plan);
	assert_walk(r, 4, &plan, two_sparse, 3);
	assert_int_equal(plan.undescribed, 7);
	desc_plan_fit(r, 4, 11, &plan);
	assert_walk(r, 4, &plan, one_sparse, 2);
	assert_int_equal(plan.undescribed, 14);
	desc_plan_fit(r, 4, 4, &plan); /* not even the full ones: the lowest of them */
	assert_walk(r, 4, &plan, part, 1);
	assert_int_equal(plan.undescribed, BLOCK(6) + 23);
	desc_plan_fit(r, 4, 0, &plan);
	assert_walk(r, 4, &plan, NULL, 0);
	assert_int_equal(plan.undescribed, plan.page_count);
	desc_plan_fit(NULL, 0, 5, &plan);
	assert_int_equal(plan.page_count, 0);
	assert_int_equal(plan.start.n, 1234);
}

/* The formula of alloc/boot_pool.c, term by term, on maps where it can be done by hand. */
static void test_boot_pool(void **state)
{
	const uint64_t fixed = 1 + 4 + 64;
	const uint64_t first = 12 + 2 + 2 + 2 + 1; /* a GiB; 512 GiB, 256 TiB; two ends; tables */
	const struct region one[] = {U(MIB_PAGES, 1000)};
	const struct region two[] = {U(MIB_PAGES, 1000), U(2000, 1000)};
	const struct region five[] = {U(MIB_PAGES, 2100)}; /* pageblocks */
	const struct region crossing[] = {U(GIB_PAGES - 5, 10)};
	const struct region mmio[] = {U(MIB_PAGES, 1000), {{GIB_PAGES}, 1 << 30, REGION_MMIO}};
	const struct region above[] = {U(MIB_PAGES, 1000), R(GIB_PAGES, 1 << 30)};
	const struct region window[] = {U(MIB_PAGES, 1000),
					{{4 * GIB_PAGES}, 4 * GIB_PAGES, REGION_MMIO},
					U(9 * GIB_PAGES, 1000)};
	const struct region hole[] = {U(MIB_PAGES, 1000), U(9 * GIB_PAGES, 1000)};
	const struct region far[] = {U(MIB_PAGES, 1000), U((uint64_t)1 << 36, 1)};

	(void)state;
	assert_int_equal(boot_pool_pages(NULL, 0, 0), fixed);
	assert_int_equal(boot_pool_pages(one, 1, 1), fixed + first);
	assert_int_equal(boot_pool_pages(two, 2, 2), fixed + first + 2);
	/* A thousand entries that make one region still are a thousand entries. */
	/* They may end in each of its three pageblocks. */
	assert_int_equal(boot_pool_pages(one, 1, 1000), fixed + first - 1 + 126 + 1);
	assert_int_equal(boot_pool_pages(five, 1, 2), fixed + first + 2);
	assert_int_equal(boot_pool_pages(five, 1, 3), fixed + first + 3);
	assert_int_equal(boot_pool_pages(crossing, 1, 1), fixed + first + 13);
	/* Nothing is mapped of device registers, nor of anything above all RAM. */
	assert_int_equal(boot_pool_pages(mmio, 2, 2), fixed + first + 1);
	assert_int_equal(boot_pool_pages(above, 2, 2), fixed + first + 1);
	assert_int_equal(boot_pool_pages(window, 3, 3), boot_pool_pages(hole, 2, 3));
	/* RAM at 256 TiB: a second of everything, and a superblock index of 262,145 entries. */
	assert_int_equal(boot_pool_pages(far, 2, 2), fixed + 2 * (first - 1) + 257);
}

static char *read_text(const char *path, size_t *length)
{
	FILE *f = fopen(path, "rb");
	char *text = malloc(1 << 20);

	assert_non_null(f);
	assert_non_null(text);
	*length = fread(text, 1, 1 << 20, f);
	fclose(f);
	return text;
}

/* Every promise of quire/desc_plan.h that can be checked from outside. */
static void check_real_map(const char *path)
{
	size_t length, count, capacity;
	char *text = read_text(path, &length);
	uint64_t blocks = 0, pages = 0, next = 0;
	struct desc_cursor cursor = {0};
	struct memmap_file file;
	struct desc_block run;
	struct desc_plan plan;

	assert_int_equal(memmap_file_parse(&file, text, length), 0);
	capacity = 2 * file.count + 1;
	struct region_input *in = calloc(file.count, sizeof *in);
	struct region *r = calloc(capacity, sizeof *r);

	for (size_t i = 0; i < file.count; i++)
		in[i] = (struct region_input){file.entries[i].base, file.entries[i].pages,
					      memmap_kind(file.entries[i].type)};
	assert_int_equal(region_build(in, file.count, r, capacity, &count), 0);
	assert_null(region_check(r, count));
	assert_int_equal(desc_plan_make(r, count, &plan), 0);
	while (desc_plan_walk(r, count, &plan, &cursor, &run)) {
		assert_true(run.block >= next);
		assert_true(run.pages > 0 && run.pages <= PAGEBLOCK_PAGES);
		next = run.block + run.run;
		blocks += run.run;
		pages += run.run * run.pages;
	}
	assert_int_equal(blocks, plan.pages);
	assert_int_equal(pages, plan.page_count);
	assert_int_equal(plan.undescribed, 0); /* no real map is that sparse */
	assert_true(plan.pages * 4096 <= 9 * plan.page_count);
	assert_true(plan.start.n >= MIB_PAGES);
	assert_int_equal(region_find(r, count, plan.start)->kind, REGION_USABLE);
	assert_true(plan.start.n + plan.pages <= region_end(region_find(r, count, plan.start)));
	/* The pool is a small fraction: under 1 % of the RAM there is, or under 1 MiB. */
	assert_true(boot_pool_pages(r, count, file.count) < 256 + plan.page_count / 100);

	memmap_file_free(&file);
	free(in);
	free(r);
	free(text);
}

static const char *maps_directory;

static void test_real_maps(void **state)
{
	DIR *directory = opendir(maps_directory);
	struct dirent *entry;
	unsigned seen = 0;
	char path[4096];

	(void)state;
	assert_non_null(directory);
	while ((entry = readdir(directory))) {
		const char *dot = strrchr(entry->d_name, '.');

		if (!dot || strcmp(dot, ".map") != 0)
			continue;
		snprintf(path, sizeof path, "%s/%s", maps_directory, entry->d_name);
		check_real_map(path);
		seen++;
	}
	closedir(directory);
	assert_true(seen >= 26);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_blocks), cmocka_unit_test(test_shared_block),
		cmocka_unit_test(test_place),        cmocka_unit_test(test_next_place),
		cmocka_unit_test(test_no_plan),      cmocka_unit_test(test_sparse_map),
		cmocka_unit_test(test_tiny_map),     cmocka_unit_test(test_fit),
		cmocka_unit_test(test_boot_pool),    cmocka_unit_test(test_real_maps),
	};

	if (argc != 2) {
		fprintf(stderr, "usage: test_desc_plan DIRECTORY_OF_MAPS\n");
		return 2;
	}
	maps_directory = argv[1];
	return cmocka_run_group_tests_name("desc_plan", tests, NULL, NULL);
}
