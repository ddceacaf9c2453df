/* SPDX-License-Identifier: MIT */
/*
 * Regions, case by case. Most cases are pictures: a column is a page frame, a
 * letter the kind that covers it, each row of the input one or more firmware
 * entries, and the last row what must come out.
 *
 *   "uuuuuuuu"      two entries go in, in this order ...
 *   "  RRR   "
 *   "uuRRRuuu"      ... and three regions must come out
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <quire/region.h>

static const char letters[] = "ucmkantpxRib"; /* by enum region_kind */

#define ENTRIES_MAX 64

/* Turn the runs of letters of a row into entries. */
static size_t draw(const char *row, uint64_t first_frame, struct region_input *in)
{
	size_t count = 0;

	for (size_t i = 0; row[i] != '\0';) {
		size_t run = 1;

		while (row[i + run] == row[i])
			run++;
		if (row[i] != ' ')
			in[count++] = (struct region_input){
				(first_frame + i) << PAGE_SHIFT, run,
				(enum region_kind)(strchr(letters, row[i]) - letters)};
		i += run;
	}
	return count;
}

static void assert_regions(const struct region *regions, size_t count,
			   const struct region_input *wanted, size_t wanted_count)
{
	assert_null(region_check(regions, count));
	assert_int_equal(count, wanted_count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(pfn_to_paddr(regions[i].start).a, wanted[i].base);
		assert_int_equal(regions[i].pages, wanted[i].pages);
		assert_int_equal(regions[i].kind, wanted[i].kind);
	}
}

static void check_picture_at(uint64_t first_frame, const char *const *rows)
{
	struct region_input in[ENTRIES_MAX], wanted[ENTRIES_MAX];
	struct region out[2 * ENTRIES_MAX + 1];
	size_t count = 0, wanted_count, out_count;

	for (; rows[1]; rows++)
		count += draw(rows[0], first_frame, in + count);
	wanted_count = draw(rows[0], first_frame, wanted);
	assert_int_equal(region_build(in, count, out, 2 * count + 1, &out_count), 0);
	assert_regions(out, out_count, wanted, wanted_count);
}

#define PICTURE(...)        check_picture_at(256, (const char *const[]){__VA_ARGS__, NULL})
#define PICTURE_FROM_0(...) check_picture_at(0, (const char *const[]){__VA_ARGS__, NULL})

static void test_merging(void **state)
{
	(void)state;
	PICTURE("", "");
	PICTURE("uuuu", "uuuu");
	PICTURE("uuuu", "    uuuu", "uuuuuuuu");
	PICTURE("    uuuu", "uuuu", "uuuuuuuu"); /* unsorted */
	PICTURE("uuuu", "     uuu", "uuuu uuu"); /* a hole of one page stays */
	PICTURE("uuuuuu", "   uuuuu", "uuuuuuuu");
	PICTURE("uuuuuuuu", "  uuu", "uuuuuuuu");
	PICTURE("uuuu", "uuuu", "uuuu", "uuuu");
	PICTURE("u u u u ", " u u u u", "uuuuuuuu");
	PICTURE("uuuu", "    RRRR", "uuuuRRRR"); /* different kinds touch, and stay two */
	PICTURE("uuuu", "    cccc", "uuuucccc");
}

static void test_the_more_restrictive_wins(void **state)
{
	(void)state;
	PICTURE("uuuuuuuu", "  RRR", "uuRRRuuu");
	PICTURE("  RRR", "uuuuuuuu", "uuRRRuuu");
	PICTURE("uuuu", "  RRRR", "uuRRRR");
	PICTURE("RRRR", "  uuuu", "RRRRuu");
	PICTURE("RRRRRRRR", "  uuu", "RRRRRRRR"); /* swallowed */
	PICTURE("uuuu", "RRRR", "RRRR");
	/* Two islands under one sea, and a sea that comes through between them. */
	PICTURE("uuuuuuuuuu", " RR   RR", "uRRuuuRRuu");
	/* Three deep: the middle kind surfaces on both sides of the top one. */
	PICTURE("uuuuuuuuuuu", "  ttttttt", "    bbb", "uuttbbbttuu");
	/* A staircase, all kinds, up and down. */
	PICTURE("uuuuuuuuuuuu", " ccccccccccc", "  mmmmmmmmmm", "   kkkkkkkkk", "    aaaaaaaa",
		"     nnnnnnn", "      tttttt", "       ppppp", "        xxxx", "         RRR",
		"          ii", "           b", "ucmkantpxRib");
	PICTURE("bbb", "iiii", "RRRRR", "xxxxxx", "ppppppp", "tttttttt", "nnnnnnnnn", "aaaaaaaaaa",
		"kkkkkkkkkkk", "mmmmmmmmmmmm", "ccccccccccccc", "uuuuuuuuuuuuuu", "bbbiRxptnakmcu");
	/* Winners of one kind from different entries join over a loser that ends in between. */
	PICTURE("RRRR", "    RRRR", "  uuuu", "RRRRRRRR");
	PICTURE("uuuu", "  cccc", "    uuuu", "uuccccuu");
}

/* The order the issue of the project gives, pair by pair. */
static void test_every_pair_of_kinds(void **state)
{
	(void)state;
	for (int low = 0; low < REGION_KINDS; low++) {
		for (int high = low + 1; high < REGION_KINDS; high++) {
			char a[8] = "    ", b[8] = "  ", wanted[8];

			memset(a, letters[low], 4);
			memset(b + 2, letters[high], 4);
			memcpy(wanted, (char[]){a[0], a[0], b[2], b[2], b[2], b[2], 0}, 7);
			PICTURE(a, b, wanted);
			PICTURE(b, a, wanted);
		}
	}
}

static void test_page_0(void **state)
{
	(void)state;
	PICTURE_FROM_0("uuuu", "Ruuu");
	PICTURE_FROM_0("cccc", "Rccc");
	PICTURE_FROM_0("u", "R");
	PICTURE_FROM_0("uRRR", "RRRR");      /* joins what is reserved anyway */
	PICTURE_FROM_0("uuu", " RR", "RRR"); /* also when the winner starts behind it */
	PICTURE_FROM_0("tttt", "tttt");      /* the firmware's own keep their kind */
	PICTURE_FROM_0("kkuu", "kkuu");
	PICTURE_FROM_0("uuuu", "b", "buuu");
	PICTURE_FROM_0(" uuu", " uuu"); /* no entry, no region */
}

/* One entry in bytes, and what must come of it. */
static void check_rounding(struct region_input in, uint64_t frame, uint64_t pages)
{
	struct region_input wanted = {frame << PAGE_SHIFT, pages, in.kind};
	struct region out[3];
	size_t count;

	assert_int_equal(region_build(&in, 1, out, 3, &count), 0);
	assert_regions(out, count, &wanted, pages ? 1 : 0);
}

static void test_rounding(void **state)
{
	(void)state;
	check_rounding((struct region_input){0x10000, 4, REGION_USABLE}, 16, 4);
	check_rounding((struct region_input){0x10800, 4, REGION_USABLE}, 17, 3);
	check_rounding((struct region_input){0x10fff, 4, REGION_USABLE}, 17, 3);
	check_rounding((struct region_input){0x10001, 1, REGION_USABLE}, 0, 0);
	for (int kind = REGION_RECLAIMABLE; kind < REGION_KINDS; kind++) {
		enum region_kind k = (enum region_kind)kind;

		check_rounding((struct region_input){0x10000, 4, k}, 16, 4);
		check_rounding((struct region_input){0x10800, 4, k}, 16, 5);
		check_rounding((struct region_input){0x10001, 1, k}, 16, 2);
		check_rounding((struct region_input){0x10fff, 1, k}, 16, 2);
	}
}

/* The page two unaligned entries share belongs to the more restrictive one. */
static void test_unaligned_neighbours(void **state)
{
	struct region_input in[] = {{0x10800, 4, REGION_USABLE}, {0x14800, 4, REGION_RESERVED}};
	struct region_input wanted[] = {{0x11000, 3, REGION_USABLE}, {0x14000, 5, REGION_RESERVED}};
	struct region_input same[] = {{0x10800, 4, REGION_USABLE}, {0x14800, 4, REGION_USABLE}};
	struct region_input apart[] = {{0x11000, 3, REGION_USABLE}, {0x15000, 3, REGION_USABLE}};
	struct region out[5];
	size_t count;

	(void)state;
	assert_int_equal(region_build(in, 2, out, 5, &count), 0);
	assert_regions(out, count, wanted, 2);
	/* Neither has frame 20 whole: entries shrink before they merge. */
	assert_int_equal(region_build(same, 2, out, 5, &count), 0);
	assert_regions(out, count, apart, 2);
}

static void test_dropped(void **state)
{
	const uint64_t top = PFN_LIMIT;

	(void)state;
	/* Empty, also where growing would make a page of it. */
	check_rounding((struct region_input){0x10000, 0, REGION_USABLE}, 0, 0);
	check_rounding((struct region_input){0x10800, 0, REGION_RESERVED}, 0, 0);
	/* Wrapping past 2^64. */
	check_rounding((struct region_input){0x10000, UINT64_MAX, REGION_RESERVED}, 0, 0);
	check_rounding((struct region_input){0x10000, (uint64_t)1 << 52, REGION_MMIO}, 0, 0);
	check_rounding((struct region_input){0x10000, ((uint64_t)1 << 52) - 16, REGION_MMIO}, 0, 0);
	check_rounding((struct region_input){0, (uint64_t)1 << 52, REGION_BAD}, 0, 0);
	check_rounding((struct region_input){UINT64_MAX, 1, REGION_BAD}, 0, 0);
	/* Their size in bytes wraps to four pages. */
	check_rounding((struct region_input){0x10000, ((uint64_t)1 << 52) + 4, REGION_BAD}, 0, 0);
	check_rounding((struct region_input){0x10000, ((uint64_t)1 << 52) + 4, REGION_USABLE}, 0,
		       0);
	/* Ends at the highest address there is: kept. One page more: free memory there is a lie, */
	check_rounding((struct region_input){(top - 2) << 12, 2, REGION_USABLE}, top - 2, 2);
	check_rounding((struct region_input){(top - 2) << 12, 2, REGION_RESERVED}, top - 2, 2);
	check_rounding((struct region_input){(top - 2) << 12, 3, REGION_USABLE}, 0, 0);
	check_rounding((struct region_input){(top - 2) << 12, 3, REGION_RECLAIMABLE}, 0, 0);
	/* and anything else still warns us off the part below. */
	check_rounding((struct region_input){(top - 2) << 12, 3, REGION_RESERVED}, top - 2, 2);
	check_rounding((struct region_input){0x10000, ((uint64_t)1 << 52) - 17, REGION_MMIO}, 16,
		       top - 16);
	check_rounding((struct region_input){top << 12, 1, REGION_RESERVED}, 0, 0);
	check_rounding((struct region_input){0xfffffffffffff000, 1, REGION_RESERVED}, 0, 0);
	/* Unaligned at the top: usable shrinks to fit, reclaimable would reach past. */
	check_rounding((struct region_input){((top - 2) << 12) + 8, 2, REGION_USABLE}, top - 1, 1);
	check_rounding((struct region_input){((top - 2) << 12) + 8, 2, REGION_RECLAIMABLE}, 0, 0);
}

static void test_kind_out_of_range(void **state)
{
	struct region_input in = {0x10000, 4, (enum region_kind)77};
	struct region out[3];
	size_t count;

	(void)state;
	assert_int_equal(region_build(&in, 1, out, 3, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(out[0].kind, REGION_RESERVED);
	in = (struct region_input){0x10000, 4, REGION_KINDS};
	assert_int_equal(region_build(&in, 1, out, 3, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(out[0].kind, REGION_RESERVED);
}

static void test_too_small_an_output(void **state)
{
	struct region out[5];
	size_t count;

	(void)state;
	for (size_t capacity = 0; capacity <= 5; capacity++) {
		struct region_input in[] = {{0x0, 16, REGION_USABLE}, {0x4000, 4, REGION_NVS}};

		/* Page 0, usable, nvs, usable: four regions. */
		assert_int_equal(region_build(in, 2, out, capacity, &count),
				 capacity < 4 ? -ENOSPC : 0);
		assert_true(count <= capacity);
	}
	assert_int_equal(region_build(NULL, 0, out, 0, &count), 0);
	assert_int_equal(count, 0);
}

/* The bound the contract promises, reached: islands in one sea from page 0. */
static void test_largest_output(void **state)
{
	struct region_input in[9] = {{0, 64, REGION_USABLE}};
	struct region out[19];
	size_t count;

	(void)state;
	for (uint64_t i = 1; i < 9; i++)
		in[i] = (struct region_input){i * 0x4000, 1, REGION_BAD};
	assert_int_equal(region_build(in, 9, out, 18, &count), 0);
	assert_null(region_check(out, count));
	assert_int_equal(count, 18); /* page 0, 9 pieces of sea, 8 islands */
}

/* As many entries as no firmware has, every one over every other. */
static void test_many_overlapping(void **state)
{
	enum {
		COUNT = 8192
	};
	static struct region_input in[COUNT];
	static struct region out[2 * COUNT + 1];
	size_t count;

	(void)state;
	for (uint64_t i = 0; i < COUNT; i++)
		in[i] = (struct region_input){(i + 1) << PAGE_SHIFT, 2 * (COUNT - i),
					      (enum region_kind)(i * REGION_KINDS / COUNT)};
	assert_int_equal(region_build(in, COUNT, out, 2 * COUNT + 1, &count), 0);
	assert_null(region_check(out, count));
	assert_true(count >= REGION_KINDS);
	/* Equal entries, and descending ones, must not slow the sort down either. */
	for (uint64_t i = 0; i < COUNT; i++)
		in[i] = (struct region_input){(COUNT - i / 2) << PAGE_SHIFT, 1, REGION_USABLE};
	assert_int_equal(region_build(in, COUNT, out, 2 * COUNT + 1, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(out[0].pages, COUNT / 2);
}

static void test_check_finds_each_fault(void **state)
{
	struct region good[] = {
		{{1}, 3, REGION_USABLE}, {{4}, 4, REGION_NVS}, {{9}, 1, REGION_NVS}};
	struct region r[3];

	(void)state;
	assert_null(region_check(good, 3));
	assert_null(region_check(NULL, 0));
#define BREAK(change, message)                                                                     \
	do {                                                                                       \
		memcpy(r, good, sizeof r);                                                         \
		change;                                                                            \
		assert_string_equal(region_check(r, 3), message);                                  \
	} while (0)
	BREAK(r[1].pages = 0, "empty region");
	BREAK(r[0].kind = REGION_KINDS, "region of no known kind");
	BREAK(r[0].start.n = 0, "page 0 is up for use");
	BREAK(r[0].pages = 4, "regions overlap");
	BREAK(r[2].start.n = 2, "regions not sorted");
	BREAK(r[1].pages = 5, "neighbours of one kind not merged");
	BREAK(r[2].start.n = PFN_LIMIT, "region past the highest physical address");
	BREAK(r[2].pages = PFN_LIMIT, "region past the highest physical address");
	BREAK(r[2].pages = UINT64_MAX, "region past the highest physical address");
#undef BREAK
}

static void test_queries(void **state)
{
	const struct region r[] = {
		{{1}, 3, REGION_USABLE}, {{4}, 4, REGION_NVS}, {{10}, 2, REGION_USABLE}};

	(void)state;
	assert_int_equal(region_pages(r, 3, REGION_USABLE), 5);
	assert_int_equal(region_pages(r, 3, REGION_NVS), 4);
	assert_int_equal(region_pages(r, 3, REGION_BAD), 0);
	assert_null(region_find(r, 3, pfn(0)));
	assert_ptr_equal(region_find(r, 3, pfn(1)), &r[0]);
	assert_ptr_equal(region_find(r, 3, pfn(3)), &r[0]);
	assert_ptr_equal(region_find(r, 3, pfn(4)), &r[1]);
	assert_ptr_equal(region_find(r, 3, pfn(7)), &r[1]);
	assert_null(region_find(r, 3, pfn(8)));
	assert_null(region_find(r, 3, pfn(9)));
	assert_ptr_equal(region_find(r, 3, pfn(11)), &r[2]);
	assert_null(region_find(r, 3, pfn(12)));
	assert_null(region_find(r, 3, PFN_NONE));
	assert_null(region_find(r, 0, pfn(1)));
	assert_int_equal(region_overlap_pages(r, 3, pfn(0), 100), 9);
	assert_int_equal(region_overlap_pages(r, 3, pfn(2), 3), 3);
	assert_int_equal(region_overlap_pages(r, 3, pfn(7), 4), 2);
	assert_int_equal(region_overlap_pages(r, 3, pfn(8), 2), 0);
	assert_int_equal(region_overlap_pages(r, 3, pfn(2), 0), 0);
}

static void test_names(void **state)
{
	static const char *const names[] = {"usable",     "reclaimable", "metadata", "kernel",
					    "acpi",       "nvs",         "runtime",  "persistent",
					    "unaccepted", "reserved",    "mmio",     "bad"};

	(void)state;
	for (int kind = 0; kind < REGION_KINDS; kind++)
		assert_string_equal(region_kind_name((enum region_kind)kind), names[kind]);
	assert_string_equal(region_kind_name(REGION_KINDS), "unknown");
}

/* A drawn row as regions; one letter a frame, from frame 8 on. */
static size_t draw_regions(const char *row, struct region *out)
{
	struct region_input in[ENTRIES_MAX];
	size_t count = draw(row, 8, in);

	for (size_t i = 0; i < count; i++)
		out[i] = (struct region){pfn(in[i].base >> PAGE_SHIFT), in[i].pages, in[i].kind};
	return count;
}

/* Carving `pages` metadata frames from column `at` turns `before` into `after`; NULL: refused. */
static void carves(const char *before, unsigned at, uint64_t pages, const char *after,
		   size_t capacity)
{
	struct region regions[ENTRIES_MAX], want[ENTRIES_MAX];
	size_t count = draw_regions(before, regions);
	size_t wanted = draw_regions(after ? after : before, want);
	bool done = region_carve(regions, &count, capacity, pfn(8 + at), pages, REGION_METADATA);

	assert_int_equal(done, after != NULL);
	assert_int_equal(count, wanted);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(regions[i].start.n, want[i].start.n);
		assert_int_equal(regions[i].pages, want[i].pages);
		assert_int_equal(regions[i].kind, want[i].kind);
	}
}

static void test_carve(void **state)
{
	(void)state;
	carves("uccccRR", 2, 2, "ucmmcRR", ENTRIES_MAX);
	carves("uccccRR", 1, 2, "ummccRR", ENTRIES_MAX);
	carves("uccccRR", 3, 2, "uccmmRR", ENTRIES_MAX);
	carves("uccccRR", 1, 4, "ummmmRR", ENTRIES_MAX);
	carves("cccc", 1, 1, "cmcc", ENTRIES_MAX);
	/* refused: across an edge, in a hole, past the end, nothing, already so */
	carves("uccccRR", 3, 3, NULL, ENTRIES_MAX);
	carves("uu  cc", 2, 1, NULL, ENTRIES_MAX);
	carves("uu  cc", 3, 2, NULL, ENTRIES_MAX);
	carves("uccccRR", 9, 1, NULL, ENTRIES_MAX);
	carves("uccccRR", 2, 0, NULL, ENTRIES_MAX);
	carves("ummmm", 2, 1, NULL, ENTRIES_MAX);
	/* refused: a neighbour of the kind touches it; one that does not touch is no reason */
	carves("mmcccc", 2, 2, NULL, ENTRIES_MAX);
	carves("ccccmm", 2, 2, NULL, ENTRIES_MAX);
	carves("mm cccc", 3, 2, "mm mmcc", ENTRIES_MAX);
	/* refused: no room for the pieces */
	carves("uccccRR", 2, 2, NULL, 4);
	carves("uccccRR", 2, 2, "ucmmcRR", 5);
	carves("uccccRR", 1, 4, "ummmmRR", 3);
	/* at either end of the map, and beside one of the kind that does not touch */
	carves("cccc", 0, 2, "mmcc", ENTRIES_MAX);
	carves("cccc", 2, 2, "ccmm", ENTRIES_MAX);
	carves("cccc mm", 2, 2, "ccmm mm", ENTRIES_MAX);
}

/* What lies beside the table in memory is none of it, however well it fits. */
static void test_carve_looks_at_the_table_only(void **state)
{
	struct region r[] = {
		{pfn(4), 4, REGION_METADATA},
		{pfn(8), 8, REGION_USABLE},
		{pfn(16), 4, REGION_METADATA},
	};
	size_t count = 1;

	(void)state;
	assert_true(region_carve(&r[1], &count, 1, pfn(8), 8, REGION_METADATA));
	r[1].kind = REGION_USABLE;
	assert_true(region_carve(&r[1], &count, 2, pfn(8), 4, REGION_METADATA));
	assert_int_equal(count, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_merging),
		cmocka_unit_test(test_the_more_restrictive_wins),
		cmocka_unit_test(test_every_pair_of_kinds),
		cmocka_unit_test(test_page_0),
		cmocka_unit_test(test_rounding),
		cmocka_unit_test(test_unaligned_neighbours),
		cmocka_unit_test(test_dropped),
		cmocka_unit_test(test_kind_out_of_range),
		cmocka_unit_test(test_too_small_an_output),
		cmocka_unit_test(test_largest_output),
		cmocka_unit_test(test_many_overlapping),
		cmocka_unit_test(test_check_finds_each_fault),
		cmocka_unit_test(test_carve),
		cmocka_unit_test(test_carve_looks_at_the_table_only),
		cmocka_unit_test(test_queries),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("region", tests, NULL, NULL);
}
