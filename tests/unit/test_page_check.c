/* SPDX-License-Identifier: MIT */
/*
 * The validator itself: it must notice every single thing that can be out of
 * step. Each case breaks one figure behind the allocator's back, expects the
 * matching sentence, and puts it right again.
 */
#include "page_fixture.h"

static pfn_t block, run, large;
static struct superblock *sb;

/* Pageblock 0 partly used, 1 taken whole, 2 taken whole and never opened, the rest of 1 GiB spare. */
static int setup(void **state)
{
	(void)state;
	page_setup(GIB, GIB);
	block = page_alloc(&pa, 2, PAGE_ANY);
	page_drain();
	run = page_alloc_run(&pa, 5, PAGE_ANY);
	large = page_alloc(&pa, 10, PAGE_ANY);
	sb = &pa.superblocks[0];
	assert_int_equal(block.n, GIB);
	assert_int_equal(large.n, GIB + 1024);
	page_drain();
	page_verify();
	return 0;
}

static void assert_wrong(const char *what)
{
	const char *wrong = page_check(&pa);

	assert_non_null(wrong);
	assert_string_equal(wrong, what);
	assert_int_equal(pa.lock.held, 0);
}

/* Break `lvalue`, expect the sentence, mend it. */
#define BREAK(lvalue, value, what)                                                                 \
	do {                                                                                       \
		__typeof__(lvalue) saved_ = (lvalue);                                              \
                                                                                                   \
		(lvalue) = (__typeof__(lvalue))(value);                                            \
		assert_wrong(what);                                                                \
		(lvalue) = saved_;                                                                 \
		page_verify();                                                                     \
	} while (0)

static void test_figures_of_a_pageblock(void **state)
{
	struct pageblock *info = block_info(sb, 0);
	uint64_t *bits = block_bits(sb, 0);

	(void)state;
	BREAK(info->free, info->free + 1, "a pageblock's free count is wrong");
	BREAK(info->runs, info->runs ^ 1, "a pageblock's summary is wrong");
	BREAK(info->block_class, 3, "a pageblock's class is wrong");
	BREAK(bits[7], bits[7] & ~1ull, "a pageblock's free count is wrong");
	BREAK(block_bits(sb, 2)[0], 0, "a pageblock's free count is wrong");
	BREAK(sb->class_map[4][0], 1, "a pageblock is in the set of another class");
	BREAK(sb->spare[0], sb->spare[0] | 1,
	      "a wholly free pageblock is not spare, or a spare one not free");
	BREAK(sb->spare[0], sb->spare[0] | 4, "a taken pageblock's bitmap was touched");
	BREAK(sb->spare[0], sb->spare[0] | 8, "a pageblock is both taken and spare");
}

static void test_untouched_and_undescribed(void **state)
{
	(void)state;
	BREAK(sb->class_map[2][5], 1, "an untouched pageblock has a class");
	BREAK(sb->taken[5], 2, "a pageblock is both taken and spare");
	BREAK(sb->described[7], ~1ull, "an undescribed pageblock is in use");
	page_setup(GIB, 512 * 4);
	sb = &pa.superblocks[0];
	BREAK(sb->fresh[1], 1, "an undescribed pageblock is in use");
	BREAK(sb->spare[1], 1, "an undescribed pageblock is in use");
	BREAK(sb->taken[1], 1, "an undescribed pageblock is in use");
	BREAK(sb->class_map[0][1], 1, "an undescribed pageblock has a class");
}

/* All figures of a taken pageblock agree with each other, and not with its being taken. */
static void test_a_taken_pageblock_that_is_not_full(void **state)
{
	struct pageblock *info = block_info(sb, 2), saved = *info;
	uint64_t *bits = block_bits(sb, 2);

	(void)state;
	assert_true(bits_test(sb->taken, 2));
	bits_clear(bits, &info->runs, 511, 1);
	info->free = 511;
	info->block_class = 8;
	assert_wrong("a taken pageblock's bitmap was touched");
	bits[7] = ~0ull;
	*info = saved;
	page_verify();
}

static void test_descriptors(void **state)
{
	struct page *descs = &pa.descs[GIB];

	(void)state;
	BREAK(descs[block.n - GIB + 1].word, DESC_HEAD_1(0),
	      "a page inside a block has a descriptor of its own");
	BREAK(descs[300].word, DESC_HEAD_1(0), "a free page has an owner");
	BREAK(descs[block.n - GIB].word, PAGE_NONE, "a page is neither free nor anybody's");
	BREAK(descs[block.n - GIB].word, DESC_HEAD_1(5), "a page inside a block is free");
	BREAK(descs[block.n - GIB].word, DESC_HEAD(2), "a block without owners");
	BREAK(descs[run.n - GIB].word, DESC_RUN(6), "a page inside a block is free");
	BREAK(descs[run.n - GIB].word, DESC_RUN(9), "a block is not aligned to its size");
	BREAK(descs[run.n - GIB].word, DESC_RUN(4), "a page is neither free nor anybody's");
	BREAK(descs[large.n - GIB].word, DESC_HEAD_1(9),
	      "an untouched pageblock is taken by nobody");
	BREAK(descs[large.n - GIB].word, DESC_RUN(1025), "a block is not aligned to its size");
	BREAK(descs[block.n - GIB + 3].word, PAGE_RESERVED,
	      "a page inside a block has a descriptor of its own");
	BREAK(descs[large.n - GIB].word, PAGE_RESERVED, "a page is neither free nor anybody's");
}

static void test_blocks_that_reach_too_far(void **state)
{
	(void)state;
	page_setup(GIB, 512 * 6);
	sb = &pa.superblocks[0];
	block = page_alloc(&pa, 10, PAGE_ANY);
	large = page_alloc(&pa, 9, PAGE_BELOW_4G);
	assert_int_equal(block.n, GIB);
	assert_int_equal(large.n, GIB + 1024);
	/* Pageblocks 4 and 5 are untouched and free, 6 and 7 not described. */
	BREAK(pa.descs[GIB].word, DESC_RUN(512 * 7),
	      "a page inside a block has a descriptor of its own");
	page_free(&pa, large, 9);
	BREAK(pa.descs[GIB].word, DESC_HEAD_1(11), "a page inside a block is free");
	page_setup(GIB, 512 * 6);
	block = page_alloc(&pa, 10, PAGE_ANY);
	BREAK(pa.descs[GIB].word, DESC_HEAD_1(11), "a block reaches into an untouched pageblock");
	page_free(&pa, block, 10);
	page_setup(GIB + 512 * 2, 512 * 2);
	block = page_alloc(&pa, 10, PAGE_ANY);
	pa.descs[block.n].word = DESC_HEAD_1(10) | DESC_REF_ONE;
	assert_null(page_check(&pa));
	page_setup(GIB, 512 * 2);
	block = page_alloc(&pa, 10, PAGE_ANY);
	BREAK(pa.descs[GIB].word, DESC_HEAD_1(11), "a block reaches into an undescribed pageblock");
	page_setup(2 * (uint64_t)GIB - 1024, 1024);
	block = page_alloc(&pa, 10, PAGE_ANY);
	BREAK(pa.descs[block.n].word, DESC_RUN(0xfffff), "a block is not aligned to its size");
	page_setup(2 * (uint64_t)GIB, GIB);
	block = page_alloc(&pa, 10, PAGE_ANY);
	BREAK(pa.descs[block.n].word, DESC_RUN(GIB + 1), "a block leaves its superblock");
}

static void test_caches(void **state)
{
	struct page_cpu *pc = pa.caches[0];

	(void)state;
	page_free(&pa, block, 2);
	assert_int_equal(pc->stack[2].count, 1);
	BREAK(pc->stack[2].count, 17, "a CPU's cache holds more than there is room for");
	BREAK(pc->frames[page_cache_first(2)].n, 5, "a cached page is free, or no RAM");
	BREAK(pc->frames[page_cache_first(2)].n, GIB + 400, "a cached page is free, or no RAM");
	BREAK(pc->frames[page_cache_first(2)].n, run.n,
	      "a cached page has an owner, or is cached twice");
	/* CPU 1 has none. */
	host_ram_init((uint64_t)2 * GIB * PAGE_BYTES);
	assert_int_equal(page_cpu_online(&pa, 2), 0);
	assert_int_equal(pa.cpus, 3);
	page_verify();
	assert_int_equal(page_figures().cached, 4);
}

static void test_lists_of_two_superblocks(void **state)
{
	struct superblock *two;

	(void)state;
	page_setup(GIB + 512, 2 * (uint64_t)GIB - 1024); /* neither is whole, so neither sleeps */
	two = pa.superblocks;
	assert_int_equal(two[1].link[PARTIAL_LISTS].prev, 0);
	BREAK(two[1].link[PARTIAL_LISTS].prev, 2,
	      "a superblock is missing from the list of its largest run");
	BREAK(two[0].link[PARTIAL_LISTS].next, INDEX_NONE,
	      "a superblock is missing from the list of its largest run");
	BREAK(two[0].link[PARTIAL_LISTS].prev, 1,
	      "a superblock is missing from the list of its largest run");
}

static void test_sets_and_lists(void **state)
{
	struct page_free_set *zone = &pa.zones[PAGE_ZONE_DMA32];

	(void)state;
	BREAK(sb->class_words[8], 3, "a class's set and its summary differ");
	BREAK(sb->spare_runs, sb->spare_runs ^ 2, "a superblock's summary is wrong");
	BREAK(sb->top, 9, "a superblock's largest run is wrong");
	BREAK(sb->top, CLASS_NONE, "a superblock's largest run is wrong");
	BREAK(zone->nonempty, 0, "a superblock is missing from the list of a class");
	BREAK(zone->nonempty, zone->nonempty & 0x1ff,
	      "a superblock is missing from the list of its largest run");
	BREAK(sb->link[8].next, 0, "a zone's list does not end");
	BREAK(sb->link[8].next, 77, "a zone's list does not end");
	BREAK(zone->nonempty, zone->nonempty | 1,
	      "a zone's list holds a superblock that cannot serve it");
	BREAK(sb->zone, PAGE_ZONE_NORMAL, "a superblock is missing from the list of a class");
}

static void test_a_list_of_the_wrong_zone(void **state)
{
	struct page_free_set *zone = &pa.zones[PAGE_ZONE_NORMAL];

	(void)state;
	zone->head[8] = 0;
	BREAK(zone->nonempty, 1u << 8, "a zone's list holds another zone's superblock");
}

static void test_sums(void **state)
{
	struct page_free_set *zone = &pa.zones[PAGE_ZONE_DMA32];

	(void)state;
	BREAK(zone->free, zone->free - 1, "a zone's free count is wrong");
	BREAK(zone->managed, zone->managed + 1, "managed pages are not free + used");
}

/* The only superblock of its list, which has nothing left to serve from it. */
static void test_a_list_that_cannot_serve(void **state)
{
	(void)state;
	page_setup(GIB, PAGEBLOCK_PAGES);
	memset(pa.cache_limit, 0, sizeof pa.cache_limit);
	sb = &pa.superblocks[0];
	assert_false(pfn_is_none(page_alloc(&pa, 9, PAGE_ANY)));
	BREAK(sb->top, CLASS_NONE, "a zone's list holds a superblock that cannot serve it");
	BREAK(sb->class_words[0], 1, "a class's set and its summary differ");
}

static void test_a_list_that_leaves_the_array(void **state)
{
	unsigned c;

	(void)state;
	page_setup(GIB, 2 * (uint64_t)GIB);
	(void)!page_alloc_run(&pa, 5, PAGE_ANY).n;
	sb = &pa.superblocks[0];
	c = block_info(sb, 0)->block_class;
	BREAK(sb->link[c].next, pa.superblock_count, "a zone's list does not end");
}

/* A sample is in no bitmap. */
static void test_a_sample_that_is_free(void **state)
{
	pfn_t f;

	(void)state;
	host_ram_init((uint64_t)2 * GIB * PAGE_BYTES);
	f = page_alloc(&pa, 0, PAGE_ANY);
	page_sample_next(&pa);
	page_free(&pa, f, 0);
	assert_int_equal(pa.sample_count, 1);
	BREAK(pa.samples[pa.sample_first].n, 2 * (uint64_t)GIB - 1,
	      "a sampled page is free, or no RAM");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_figures_of_a_pageblock, setup),
		cmocka_unit_test_setup(test_untouched_and_undescribed, setup),
		cmocka_unit_test_setup(test_a_taken_pageblock_that_is_not_full, setup),
		cmocka_unit_test_setup(test_descriptors, setup),
		cmocka_unit_test_setup(test_caches, setup),
		cmocka_unit_test_setup(test_lists_of_two_superblocks, setup),
		cmocka_unit_test_setup(test_blocks_that_reach_too_far, setup),
		cmocka_unit_test_setup(test_sets_and_lists, setup),
		cmocka_unit_test_setup(test_a_list_of_the_wrong_zone, setup),
		cmocka_unit_test_setup(test_sums, setup),
		cmocka_unit_test(test_a_list_that_cannot_serve),
		cmocka_unit_test(test_a_list_that_leaves_the_array),
		cmocka_unit_test_setup(test_a_sample_that_is_free, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
