/* SPDX-License-Identifier: MIT */
/* The figures of the page allocator, each counted by hand. */
#include "page_fixture.h"

static uint64_t pageblocks_listed(const struct page_stats *s)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < PAGE_FULLNESS_STEPS; i++)
		sum += s->fullness[i];
	return sum;
}

/* Free memory in blocks, as the list says it. */
static uint64_t pages_listed(const struct page_stats *s)
{
	uint64_t sum = 0;

	for (unsigned k = 0; k <= PAGE_ORDER_MAX; k++)
		sum += s->free_blocks[k] << k;
	return sum;
}

static void assert_consistent(const struct page_stats *s)
{
	uint64_t zones = 0, nodes = 0, managed = 0;

	for (unsigned z = 0; z < PAGE_ZONES; z++) {
		zones += s->zone[z].free;
		managed += s->zone[z].managed;
		for (unsigned n = 0; n < s->nodes; n++)
			nodes += s->node[n][z].free;
	}
	assert_int_equal(zones, s->free);
	assert_int_equal(nodes, s->free);
	assert_int_equal(managed, s->managed);
	assert_int_equal(s->managed, s->free + s->used);
	assert_int_equal(pages_listed(s), s->free);
	assert_int_equal(pageblocks_listed(s), s->pageblocks);
}

/* GiBs that sleep count as what they are: free, or not handed over yet. */
static void test_asleep(void **state)
{
	const struct region ram[] = {{{8 * (uint64_t)GIB}, 4 * (uint64_t)GIB, REGION_USABLE}};
	struct page_config config;
	struct page_stats s;

	(void)state;
	assert_int_equal(host_pages_config(&config, ram, 1), 0);
	assert_int_equal(page_init(&pa, &config), 0);
	s = page_figures();
	assert_consistent(&s);
	assert_int_equal(s.pageblocks, 4 * 512);
	assert_int_equal(s.fullness[0], 0);
	assert_int_equal(s.fullness[PAGE_FULLNESS_STEPS - 1], 4 * 512);
	assert_int_equal(page_add(&pa, ram[0].start, 3 * (uint64_t)GIB), 3 * (uint64_t)GIB);
	s = page_figures();
	assert_consistent(&s);
	assert_int_equal(s.managed, 3 * (uint64_t)GIB);
	assert_int_equal(s.free_blocks[18], 3);
	assert_int_equal(s.pageblocks, 4 * 512);
	assert_int_equal(s.superblocks, 4);
	assert_int_equal(s.fullness[0], 3 * 512);
	assert_int_equal(s.fullness[PAGE_FULLNESS_STEPS - 1], 512);
	assert_int_equal(s.zone[PAGE_ZONE_NORMAL].free, 3 * (uint64_t)GIB);
	assert_int_equal(s.zone[PAGE_ZONE_DMA32].free, 0);
}

/* Wholly free; under a quarter, half, three quarters, all used; full. */
static void test_fullness(void **state)
{
	static const struct {
		unsigned used, step;
	} steps[] = {{1, 1}, {127, 1}, {128, 2}, {255, 2}, {256, 3}, {384, 4}, {511, 4}, {512, 5}};
	static pfn_t frames[512];
	unsigned taken = 0;

	(void)state;
	page_setup(GIB, 512 * 4);
	memset(pa.cache_limit, 0, sizeof pa.cache_limit);
	for (size_t i = 0; i < array_len(steps); i++) {
		struct page_stats s;

		while (taken < steps[i].used)
			frames[taken++] = page_alloc(&pa, 0, PAGE_ANY);
		s = page_figures();
		assert_consistent(&s);
		assert_int_equal(s.used, taken);
		assert_int_equal(s.fullness[0], 3);
		assert_int_equal(s.fullness[steps[i].step], 1);
		assert_int_equal(s.free_blocks[9] + 2 * s.free_blocks[10], 3);
		for (unsigned k = 0; k < 9; k++)
			assert_int_equal(s.free_blocks[k], (512 - taken) >> k & 1);
	}
	while (taken)
		page_free(&pa, frames[--taken], 0);
	assert_int_equal(page_figures().fullness[0], 4);
	assert_int_equal(page_figures().free_blocks[11], 1);
}

/* Cached blocks are free memory of their zone, listed as they are. */
static void test_cached(void **state)
{
	const struct region ram[] = {
		{{3 * (uint64_t)GIB}, 64 * MIB, REGION_USABLE},
		{{4 * (uint64_t)GIB}, 64 * MIB, REGION_USABLE},
	};
	struct page_stats s;
	uint64_t free, low;
	pfn_t f;

	(void)state;
	host_pages_init(&pa, ram, 2);
	free = page_figures().free;
	low = page_figures().zone[PAGE_ZONE_DMA32].free;
	f = page_alloc(&pa, 3, PAGE_ANY);
	page_free(&pa, f, 3);
	s = page_figures();
	assert_consistent(&s);
	assert_true(s.cached >= 8);
	assert_int_equal(s.free, free);
	assert_int_equal(s.zone[PAGE_ZONE_DMA32].free, low);
	assert_int_equal(s.used, 0);
	assert_int_equal(s.counters.allocs[3], 1);
	assert_int_equal(s.counters.frees[3], 1);
	page_drain();
	s = page_figures();
	assert_consistent(&s);
	assert_int_equal(s.cached, 0);
	assert_int_equal(s.free, free);
	assert_int_equal(page_free_pages(&pa), free);
}

static bool is_byte(pfn_t frame, uint64_t pages, unsigned char value)
{
	const unsigned char *at = port_phys_to_virt(pfn_to_paddr(frame));

	for (uint64_t i = 0; i < pages * PAGE_BYTES; i++)
		if (at[i] != value)
			return false;
	return true;
}

/* What is asked for cleared is, all of it, and nothing beside it. */
static void test_cleared(void **state)
{
	unsigned char *ram;
	pfn_t many[8];

	(void)state;
	host_ram_init((uint64_t)2 * GIB * PAGE_BYTES);
	page_setup(GIB, 1024);
	ram = port_phys_to_virt(pfn_to_paddr(pfn(GIB)));
	for (unsigned order = 0; order <= 5; order++) {
		pfn_t before, f;

		memset(ram, 0x77, 1024 * PAGE_BYTES);
		before = page_alloc(&pa, order, PAGE_ANY);
		f = page_alloc(&pa, order, PAGE_ZEROED);
		assert_true(is_byte(f, 1u << order, 0));
		assert_true(is_byte(before, 1u << order, 0x77));
		page_free(&pa, f, order);
		/* From the cache now. */
		memset(ram, 0x77, 1024 * PAGE_BYTES);
		f = page_alloc(&pa, order, PAGE_ZEROED);
		assert_true(is_byte(f, 1u << order, 0));
		page_free(&pa, f, order);
		page_free(&pa, before, order);
	}
	page_drain();
	memset(ram, 0x77, 1024 * PAGE_BYTES);
	assert_int_equal(page_alloc_bulk(&pa, many, 8, PAGE_ZEROED), 8);
	for (unsigned i = 0; i < 8; i++)
		assert_true(is_byte(many[i], 1, 0));
	assert_int_equal(many[7].n, GIB + 7);
	assert_true(is_byte(pfn(GIB + 8), 100, 0x77));
}

/* A request that gets less than it asked for is one failure. */
static void test_bulk_requests_that_fail(void **state)
{
	static pfn_t frames[2048];
	struct page_stats s;

	(void)state;
	page_setup(GIB, 512 * 2);
	assert_int_equal(page_alloc_bulk(&pa, frames, 1000, PAGE_ANY), 1000);
	assert_int_equal(page_figures().counters.failures, 0);
	assert_int_equal(page_alloc_bulk(&pa, frames + 1000, 1000, PAGE_ANY), 24);
	s = page_figures();
	assert_int_equal(s.counters.failures, 1);
	assert_int_equal(s.counters.allocs[0], 1024);
	assert_int_equal(s.counters.bulk_pages, 1024);
	assert_int_equal(s.free, 0);
	page_free_bulk(&pa, frames, 1024);
	s = page_figures();
	assert_int_equal(s.counters.frees[0], 1024);
	assert_int_equal(s.free, 1024);
	assert_consistent(&s);
}

/* A page that waits as a sample is free, and listed as one. */
static void test_sampled(void **state)
{
	struct page_stats s;
	pfn_t f;

	(void)state;
	host_ram_init((uint64_t)2 * GIB * PAGE_BYTES);
	page_setup(GIB, 1024);
	f = page_alloc(&pa, 0, PAGE_ANY);
	page_sample_next(&pa);
	page_free(&pa, f, 0);
	assert_int_equal(pa.sample_count, 1);
	s = page_figures();
	assert_consistent(&s);
	assert_int_equal(s.free, 1024);
}

/* How often a CPU had to fill its cache. */
static void test_refills(void **state)
{
	struct page_cpu_stats s;

	(void)state;
	page_setup(GIB, GIB);
	page_cpu_stats(&pa, 0, &s);
	assert_int_equal(s.refills, 0);
	page_free(&pa, page_alloc(&pa, 0, PAGE_ANY), 0);
	page_free(&pa, page_alloc(&pa, 1, PAGE_ANY), 1);
	page_free(&pa, page_alloc(&pa, 1, PAGE_ANY), 1); /* from the cache */
	page_cpu_stats(&pa, 0, &s);
	assert_int_equal(s.refills, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asleep),
		cmocka_unit_test(test_fullness),
		cmocka_unit_test(test_cached),
		cmocka_unit_test(test_cleared),
		cmocka_unit_test(test_bulk_requests_that_fail),
		cmocka_unit_test(test_sampled),
		cmocka_unit_test(test_refills),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
