/* SPDX-License-Identifier: MIT */
/* Building the books: sparse and huge maps, ragged regions, failure of every allocation. */
#include "page_fixture.h"

#include <time.h>

#define TIB ((uint64_t)GIB << 10)

static void test_every_boot_allocation_may_fail(void **state)
{
	const struct region ram[] = {{pfn(GIB), GIB, REGION_USABLE}};
	struct page_config config;
	int calls = 0, error;

	(void)state;
	do {
		assert_int_equal(host_pages_config(&config, ram, 1), 0);
		host_boot_alloc_fails_at = calls;
		error = page_init(&pa, &config);
		host_boot_alloc_fails_at = -1;
		if (error) {
			assert_int_equal(error, -ENOMEM);
			calls++;
		}
	} while (error);
	assert_int_equal(calls, 8);
	page_verify();
}

static void test_one_source_of_memory_will_do(void **state)
{
	const struct region ram[] = {{pfn(GIB), GIB, REGION_USABLE}};
	struct page_config config;

	(void)state;
	assert_int_equal(host_pages_config(&config, ram, 1), 0);
	config.boot_alloc_raw = NULL;
	assert_int_equal(page_init(&pa, &config), 0);
	assert_int_equal(page_add(&pa, pfn(GIB), GIB), GIB);
	page_verify();
	assert_int_equal(page_figures().free_blocks[18], 1);
}

/* Nothing is free, or counted, before it is handed over. */
static void test_nothing_before_it_is_added(void **state)
{
	const struct region ram[] = {{pfn(GIB), GIB, REGION_USABLE}};
	struct page_config config;
	struct page_stats stats;

	(void)state;
	assert_int_equal(host_pages_config(&config, ram, 1), 0);
	assert_int_equal(page_init(&pa, &config), 0);
	stats = page_figures();
	assert_int_equal(stats.managed, 0);
	assert_int_equal(stats.free, 0);
	assert_int_equal(stats.pageblocks, 512);
	assert_int_equal(stats.fullness[PAGE_FULLNESS_STEPS - 1], 512);
	assert_true(pfn_is_none(page_alloc(&pa, 0, PAGE_ANY)));
	page_verify();
	assert_int_equal(page_add(&pa, pfn(GIB), 0), 0);
	assert_int_equal(page_add(&pa, pfn(GIB + 512), 1), 1);
	assert_int_equal(page_alloc(&pa, 0, PAGE_ANY).n, GIB + 512);
	assert_true(pfn_is_none(page_alloc(&pa, 0, PAGE_ANY)));
	page_verify();
}

/*
 * Piece by piece, in any order, around what is never added:
 *   |  0 .. 99 | 100: never | 101 .. 511 | 512 .. 1535 | 1536 .. 1700 |
 */
static void test_ragged_pieces(void **state)
{
	const struct region ram[] = {{pfn(GIB), 512 * 4, REGION_USABLE}};
	struct page_config config;
	struct page_stats stats;

	(void)state;
	assert_int_equal(host_pages_config(&config, ram, 1), 0);
	assert_int_equal(page_init(&pa, &config), 0);
	assert_int_equal(page_add(&pa, pfn(GIB + 101), 411 + 1024), 411 + 1024);
	page_verify();
	assert_int_equal(page_add(&pa, pfn(GIB + 1536), 165), 165);
	assert_int_equal(page_add(&pa, pfn(GIB), 100), 100);
	page_verify();
	stats = page_figures();
	assert_int_equal(stats.managed, 100 + 411 + 1024 + 165);
	/* Pageblocks 1 and 2: neighbours, but no pair. */
	assert_int_equal(stats.free_blocks[9], 2);
	assert_int_equal(stats.free_blocks[10], 0);
	assert_int_equal(page_facts(GIB + 100).state, PAGE_RESERVED);
	assert_false(page_facts(GIB + 100).free);
	assert_int_equal(page_facts(GIB + 100).block_free, 511);
	/* What was left out comes later, and completes the pageblock. */
	assert_int_equal(page_add(&pa, pfn(GIB + 100), 1), 1);
	assert_int_equal(page_add(&pa, pfn(GIB + 1701), 347), 347);
	page_verify();
	assert_int_equal(page_figures().free_blocks[11], 1);
}

static void test_whole_pageblocks_stay_untouched(void **state)
{
	const struct region ram[] = {{pfn(GIB), 64 * (uint64_t)GIB, REGION_USABLE}};
	pfn_t f;

	(void)state;
	host_pages_init(&pa, ram, 1);
	assert_int_equal(host_backing.calls, 0);
	assert_true(page_facts(GIB + 5000).free);
	assert_int_equal(page_facts(GIB + 5000).block_free, 512);
	f = page_alloc(&pa, 18, PAGE_ANY);
	assert_false(page_facts(f.n + 5000).free);
	assert_int_equal(page_facts(f.n + 5000).head.n, f.n);
	assert_int_equal(page_facts(f.n).block_free, 0);
	assert_int_equal(page_facts(f.n + 5000).block_free, 0);
	assert_int_equal(host_backing.calls, 1);
	page_free(&pa, f, 18);
	f = page_alloc(&pa, 18, PAGE_ANY);
	assert_int_equal(host_backing.calls, 1);
	page_free(&pa, f, 18);
	page_verify();
}

static void test_adding_twice_panics(void **state)
{
	pfn_t f;

	(void)state;
	page_setup(GIB, GIB);
	page_add_panics(GIB, GIB);
	page_add_panics(GIB + 700, 1);
	f = page_alloc(&pa, 0, PAGE_ANY);
	page_add_panics(f.n, 1);
	page_add_panics(f.n + 1, 511);
	page_free(&pa, f, 0);
	page_add_panics(f.n, 1);
	f = page_alloc(&pa, 18, PAGE_ANY);
	assert_false(pfn_is_none(f));
	page_add_panics(f.n + 5000, 1);
	page_add_panics(f.n + 1024, 1024);
}

static void test_frame_0_and_frames_beyond(void **state)
{
	const struct region ram[] = {{pfn(0), 2048, REGION_USABLE}};
	struct page_config config;

	(void)state;
	assert_int_equal(host_pages_config(&config, ram, 1), 0);
	assert_int_equal(page_init(&pa, &config), 0);
	assert_int_equal(page_add(&pa, pfn(0), ~(uint64_t)0), 2047);
	assert_int_equal(page_add(&pa, pfn(2048), 5), 0);
	assert_int_equal(page_add(&pa, pfn(~(uint64_t)0 - 2), 2), 0);
	page_verify();
	assert_int_equal(page_facts(0).state, PAGE_RESERVED);
	assert_int_equal(page_figures().zone[PAGE_ZONE_LOW].managed, 511);
}

/* A few pages between holes of terabytes. */
static void test_sparse_map(void **state)
{
	const struct region ram[] = {
		{pfn(1), 159, REGION_USABLE},
		{pfn(256), 8 * 512, REGION_USABLE},
		{pfn(3 * (uint64_t)GIB + 512), 3, REGION_USABLE},
		{pfn(1 * TIB + 512 * 17), 512 * 20, REGION_USABLE},
		{pfn(5 * TIB), 512 * 2, REGION_USABLE},
		{pfn(11 * TIB + GIB - 512), 1024, REGION_USABLE},
	};
	static pfn_t got[20000];
	struct page_stats stats;
	uint64_t free;
	size_t n;

	(void)state;
	host_pages_init(&pa, ram, array_len(ram));
	page_verify();
	stats = page_figures();
	assert_int_equal(stats.managed, 3 + 159 + 8 * 512 + 512 * 20 + 1024 + 1024);
	assert_int_equal(stats.superblocks, 7);
	/* The index is the only cost of the holes. */
	assert_true(stats.metadata_bytes <= 11 * 1024 * 4 + 4 + 7 * 1024 + 42 * 80 + 2 * 8 +
						    8 * 63 + 64 + sizeof(struct page_cpu));
	free = stats.free;
	n = page_alloc_bulk(&pa, got, array_len(got), PAGE_ANY);
	assert_int_equal(n, free);
	page_verify();
	for (size_t i = 0; i < n; i++)
		page_free(&pa, got[i], 0);
	page_verify();
	assert_int_equal(page_free_pages(&pa), free);
	assert_int_equal(host_misuses, 0);
}

/* Where describing a pageblock would cost more than it brings, its pages are left out. */
static void test_undescribed_pages_are_skipped(void **state)
{
	const struct region ram[] = {
		{pfn(GIB), 512, REGION_USABLE},
		{pfn(GIB + 512 * 9), 3, REGION_USABLE},
		{pfn(2 * (uint64_t)GIB), 3, REGION_USABLE},
	};

	(void)state;
	host_pages_init(&pa, ram, array_len(ram));
	page_verify();
	assert_int_equal(page_figures().managed, 512);
	assert_int_equal(page_figures().pageblocks, 1);
	assert_false(page_facts(ram[1].start.n).described);
	assert_false(page_facts(ram[2].start.n).described);
	assert_int_equal(page_add(&pa, ram[1].start, 3), 0);
	assert_int_equal(page_add(&pa, pfn(GIB + 512 * 8), 512 * 4), 0);
	assert_int_equal(page_free_pages(&pa), 512);
	page_verify();
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* 12 TiB: the work is a few words a GiB. Generous bound: this runs under sanitizers. */
static void test_twelve_terabytes(void **state)
{
	const struct region ram[] = {
		{pfn(256), 2 * (uint64_t)GIB, REGION_USABLE},
		{pfn(4 * (uint64_t)GIB), 12 * TIB, REGION_USABLE},
	};
	struct page_config config;
	double start, taken;
	pfn_t f, g;

	(void)state;
	assert_int_equal(host_pages_config(&config, ram, array_len(ram)), 0);
	start = seconds();
	assert_int_equal(page_init(&pa, &config), 0);
	assert_int_equal(page_add(&pa, ram[0].start, ram[0].pages), ram[0].pages);
	assert_int_equal(page_add(&pa, ram[1].start, ram[1].pages), ram[1].pages);
	taken = seconds() - start;
	print_message("12 TiB: %.1f ms\n", taken * 1e3);
	assert_true(taken < 1.0);
	assert_true(host_backing.calls <= 2); /* the ragged ends of the first region */
	assert_int_equal(page_free_pages(&pa), ram[0].pages + ram[1].pages);
	f = page_alloc(&pa, 0, PAGE_ANY);
	g = page_alloc(&pa, 18, PAGE_ANY);
	assert_false(pfn_is_none(f));
	assert_false(pfn_is_none(g));
	page_free(&pa, f, 0);
	page_free(&pa, g, 18);
	page_drain();
	assert_int_equal(page_figures().free_blocks[18], 12 * 1024 + 1);
	page_verify();
}

static void test_figures(void **state)
{
	pfn_t f;
	struct page_stats stats;

	(void)state;
	page_setup(GIB, GIB);
	f = page_alloc_run(&pa, 512 + 100, PAGE_ANY); /* one full pageblock, one under 25 % used */
	stats = page_figures();
	assert_int_equal(stats.fullness[0], 510);
	assert_int_equal(stats.fullness[1], 1);
	assert_int_equal(stats.fullness[5], 1);
	assert_int_equal(stats.used, 612);
	/* 412 free behind page 100: 4, 8, 16, 128, 256 */
	assert_int_equal(stats.free_blocks[2], 1);
	assert_int_equal(stats.free_blocks[3], 1);
	assert_int_equal(stats.free_blocks[4], 1);
	assert_int_equal(stats.free_blocks[7], 1);
	assert_int_equal(stats.free_blocks[8], 1);
	assert_int_equal(stats.free_blocks[9], 0);
	for (unsigned k = 10; k <= 17; k++)
		assert_int_equal(stats.free_blocks[k], 1);
	assert_int_equal(stats.free_blocks[18], 0);
	page_free_run(&pa, f);
	for (unsigned step = 1; step <= 4; step++) {
		f = page_alloc_run(&pa, step * 128, PAGE_ANY);
		assert_int_equal(page_figures().fullness[step == 4 ? 5 : step + 1], 1);
		page_free_run(&pa, f);
	}
}

static void test_low_memory_alone(void **state)
{
	(void)state;
	page_setup(1, 300);
	assert_int_equal(page_figures().free, 300);
	assert_int_equal(page_alloc(&pa, 0, PAGE_BELOW_1M).n, 1);
	page_verify();
}

/* A GiB of which only a part is described is not added as a whole. */
static void test_a_gib_described_in_part(void **state)
{
	const struct region ram[] = {{pfn(GIB), GIB, REGION_USABLE}};
	struct page_config config;

	(void)state;
	assert_int_equal(host_pages_config(&config, ram, 1), 0);
	desc_plan_fit(ram, 1, 100, &config.plan);
	assert_int_equal(page_init(&pa, &config), 0);
	assert_int_equal(page_add(&pa, pfn(GIB), GIB), 100 * 512);
	page_verify();
	assert_int_equal(page_figures().free, 100 * 512);
}

/* One page freed in each of more pageblocks than are noted as dirty before somebody searches. */
static void test_more_dirty_pageblocks_than_are_noted(void **state)
{
	const uint64_t pages = 2 * (uint64_t)GIB;
	pfn_t *frames = malloc(pages * sizeof *frames);

	(void)state;
	page_setup(GIB, pages);
	assert_int_equal(page_alloc_bulk(&pa, frames, pages, PAGE_ANY), pages);
	for (uint64_t i = 0; i < pages; i++)
		if (frames[i].n % PAGEBLOCK_PAGES == 7)
			page_free(&pa, frames[i], 0);
	page_drain();
	page_verify();
	assert_int_equal(page_figures().free, pages / PAGEBLOCK_PAGES);
	free(frames);
}

/* A source of memory that counts, and once has none. */
static struct {
	uint64_t bytes;
	int calls, fails_at;
} source;

static void *counted_alloc(size_t bytes)
{
	if (source.calls++ == source.fails_at)
		return NULL;
	source.bytes += bytes;
	return host_boot_alloc(bytes);
}

/* One allocation fails, and those after it do not. */
static void test_any_one_boot_allocation_may_fail(void **state)
{
	const struct region ram[] = {{pfn(GIB), GIB, REGION_USABLE}};
	struct page_config config;

	(void)state;
	for (int n = 0; n < 8; n++) {
		assert_int_equal(host_pages_config(&config, ram, 1), 0);
		config.boot_alloc = config.boot_alloc_raw = counted_alloc;
		memset(&source, 0, sizeof source);
		source.fails_at = n;
		assert_int_equal(page_init(&pa, &config), -ENOMEM);
		assert_int_equal(source.calls, 8);
	}
}

/* What the books cost is what they took; the index ends with the last GiB. */
static void test_the_cost_of_the_books(void **state)
{
	const struct region ram[] = {{pfn(GIB), GIB, REGION_USABLE}};
	struct page_config config;

	(void)state;
	assert_int_equal(host_pages_config(&config, ram, 1), 0);
	config.boot_alloc = config.boot_alloc_raw = counted_alloc;
	memset(&source, 0, sizeof source);
	source.fails_at = -1;
	assert_int_equal(page_init(&pa, &config), 0);
	assert_int_equal(page_figures().metadata_bytes, source.bytes);
	assert_int_equal(pa.desc_frames_used, 512);
	assert_int_equal(pa.index_entries, 2);
	page_setup(1, 300);
	assert_int_equal(pa.index_entries, 1);
}

/* A GiB described in part, and whole ones behind it: each has records of its own. */
static void test_part_of_a_gib_before_whole_ones(void **state)
{
	const struct region ram[] = {
		{pfn(GIB), 64 * 512, REGION_USABLE},
		{pfn(2 * (uint64_t)GIB), GIB, REGION_USABLE},
	};
	static pfn_t got[64 * 512];
	pfn_t large;

	(void)state;
	host_pages_init(&pa, ram, array_len(ram));
	assert_int_equal(page_alloc_bulk(&pa, got, array_len(got), PAGE_ANY), array_len(got));
	assert_int_equal(got[array_len(got) - 1].n, GIB + 64 * 512 - 1);
	large = page_alloc(&pa, 18, PAGE_ANY);
	assert_int_equal(large.n, 2 * (uint64_t)GIB);
	page_verify();
	page_free(&pa, large, 18);
	page_free_bulk(&pa, got, array_len(got));
	page_verify();
	assert_int_equal(page_free_pages(&pa), 64 * 512 + GIB);
}

/* Pageblocks of which some pages were handed over, and then all. */
static void test_adding_the_rest_and_more_panics(void **state)
{
	const struct region ram[] = {{pfn(GIB), 1024, REGION_USABLE}};
	struct page_config config;

	(void)state;
	assert_int_equal(host_pages_config(&config, ram, 1), 0);
	assert_int_equal(page_init(&pa, &config), 0);
	assert_int_equal(page_add(&pa, pfn(GIB), 1), 1);
	assert_int_equal(page_add(&pa, pfn(GIB + 513), 1), 1);
	page_add_panics(GIB, 512);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_boot_allocation_may_fail),
		cmocka_unit_test(test_one_source_of_memory_will_do),
		cmocka_unit_test(test_nothing_before_it_is_added),
		cmocka_unit_test(test_ragged_pieces),
		cmocka_unit_test(test_whole_pageblocks_stay_untouched),
		cmocka_unit_test(test_adding_twice_panics),
		cmocka_unit_test(test_frame_0_and_frames_beyond),
		cmocka_unit_test(test_sparse_map),
		cmocka_unit_test(test_undescribed_pages_are_skipped),
		cmocka_unit_test(test_twelve_terabytes),
		cmocka_unit_test(test_figures),
		cmocka_unit_test(test_low_memory_alone),
		cmocka_unit_test(test_a_gib_described_in_part),
		cmocka_unit_test(test_more_dirty_pageblocks_than_are_noted),
		cmocka_unit_test(test_any_one_boot_allocation_may_fail),
		cmocka_unit_test(test_the_cost_of_the_books),
		cmocka_unit_test(test_part_of_a_gib_before_whole_ones),
		cmocka_unit_test(test_adding_the_rest_and_more_panics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
