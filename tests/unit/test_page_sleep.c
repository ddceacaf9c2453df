/* SPDX-License-Identifier: MIT */
/* GiBs nobody has touched are two bits each; whatever looks at one finds it as it would be awake. */
#include "page_fixture.h"

#define TIB (1024 * (uint64_t)GIB)

static uint64_t asleep(void)
{
	uint64_t sum = 0;

	for (unsigned z = 0; z < PAGE_NODE_ZONES; z++)
		sum += pa.zones[z].asleep;
	return sum;
}

static void test_the_lowest_wakes_when_needed(void **state)
{
	pfn_t f[8];

	(void)state;
	page_setup(8 * (uint64_t)GIB, 100 * (uint64_t)GIB);
	assert_int_equal(asleep(), 100);
	assert_int_equal(page_figures().free_blocks[18], 100);
	f[0] = page_alloc(&pa, 0, PAGE_ANY);
	assert_int_equal(f[0].n / GIB, 8);
	assert_int_equal(asleep(), 99);
	f[1] = page_alloc(&pa, 17, PAGE_ANY);
	assert_int_equal(f[1].n / GIB, 8);
	assert_int_equal(asleep(), 99);
	for (unsigned i = 2; i < 8; i++) {
		f[i] = page_alloc(&pa, 18, PAGE_ANY);
		assert_int_equal(f[i].n, (7 + i) * (uint64_t)GIB);
	}
	assert_int_equal(asleep(), 93);
	page_verify();
	for (unsigned i = 2; i < 8; i++)
		page_free(&pa, f[i], 18);
	/* What is awake serves before another wakes. */
	f[2] = page_alloc(&pa, 18, PAGE_ANY);
	assert_true(f[2].n < 15 * (uint64_t)GIB);
	assert_int_equal(asleep(), 93);
	page_free(&pa, f[2], 18);
	page_free(&pa, f[1], 17);
	page_free(&pa, f[0], 0);
	page_drain();
	assert_int_equal(page_figures().free_blocks[18], 100);
	page_verify();
}

static void test_all_of_it_comes_out_once(void **state)
{
	const uint64_t gibs = 70; /* more than a word of bits */
	pfn_t f[70];

	(void)state;
	page_setup(5 * (uint64_t)GIB, gibs * GIB);
	for (unsigned i = 0; i < gibs; i++) {
		f[i] = page_alloc(&pa, 18, PAGE_ANY);
		assert_int_equal(f[i].n, (5 + i) * (uint64_t)GIB);
	}
	assert_true(pfn_is_none(page_alloc(&pa, 0, PAGE_ANY)));
	assert_int_equal(asleep(), 0);
	page_verify();
	for (unsigned i = 0; i < gibs; i++)
		page_free(&pa, f[i], 18);
	assert_int_equal(page_free_pages(&pa), gibs * GIB);
	page_verify();
}

static void test_looking_wakes(void **state)
{
	struct page_about about;

	(void)state;
	page_setup(4 * (uint64_t)GIB, 20 * (uint64_t)GIB);
	about = page_facts(17 * (uint64_t)GIB + 77);
	assert_true(about.described && about.free);
	assert_int_equal(about.block_free, 512);
	assert_int_equal(asleep(), 19);
	page_verify();
	page_free(&pa, pfn(11 * (uint64_t)GIB + 5), 0);
	assert_refused("free of a page that is not allocated");
	assert_int_equal(asleep(), 18);
	/* The one in the middle is skipped when its turn comes. */
	for (uint64_t gib = 4; gib < 24; gib++) {
		pfn_t f = page_alloc(&pa, 18, PAGE_ANY);

		assert_false(pfn_is_none(f));
	}
	assert_int_equal(page_free_pages(&pa), 0);
	page_verify();
}

/* Described, but handed over in parts and late. */
static void test_handed_over_in_parts(void **state)
{
	const struct region ram[] = {{pfn(6 * (uint64_t)GIB), 10 * (uint64_t)GIB, REGION_USABLE}};
	struct page_config config;

	(void)state;
	assert_int_equal(host_pages_config(&config, ram, 1), 0);
	assert_int_equal(page_init(&pa, &config), 0);
	page_verify();
	assert_true(pfn_is_none(page_alloc(&pa, 0, PAGE_ANY)));
	assert_int_equal(page_figures().pageblocks, 5120);
	assert_int_equal(page_figures().fullness[5], 5120);
	/* 8.5 to 12.25: three whole ones, two parts. */
	assert_int_equal(page_add(&pa, pfn(8 * (uint64_t)GIB + GIB / 2), 3 * GIB + 3 * GIB / 4),
			 3 * GIB + 3 * GIB / 4);
	assert_int_equal(asleep(), 3);
	page_verify();
	assert_int_equal(page_add(&pa, pfn(6 * (uint64_t)GIB), GIB), GIB);
	assert_int_equal(asleep(), 4);
	page_verify();
	/* The rest, around what is there. */
	assert_int_equal(page_add(&pa, pfn(7 * (uint64_t)GIB), GIB + GIB / 2), GIB + GIB / 2);
	assert_int_equal(page_add(&pa, pfn(12 * (uint64_t)GIB + GIB / 4), 4 * GIB),
			 4 * GIB - GIB / 4);
	assert_int_equal(page_free_pages(&pa), 10 * (uint64_t)GIB);
	assert_int_equal(page_figures().free_blocks[18], 10);
	page_verify();
	for (uint64_t gib = 0; gib < 10; gib++)
		assert_false(pfn_is_none(page_alloc(&pa, 18, PAGE_ANY)));
	page_verify();
}

static void test_twice_panics(void **state)
{
	(void)state;
	page_setup(4 * (uint64_t)GIB, 80 * (uint64_t)GIB);
	page_add_panics(4 * (uint64_t)GIB, GIB);
	page_add_panics(4 * (uint64_t)GIB, 80 * (uint64_t)GIB);
	page_add_panics(70 * (uint64_t)GIB, 2 * GIB);
	page_add_panics(60 * (uint64_t)GIB + 9, 1);
}

/* Nodes that meet inside a GiB, and at one; a gap; whatever sleeps is whose it would be awake. */
/* More GiBs than bits in a word, and the second stretch begins in the middle of one. */
static void test_two_stretches(void **state)
{
	const struct region ram[] = {
		{{5 * (uint64_t)GIB}, 3 * (uint64_t)GIB, REGION_USABLE},
		{{10 * (uint64_t)GIB}, 190 * (uint64_t)GIB, REGION_USABLE},
	};
	struct page_stats stats;

	(void)state;
	host_pages_init(&pa, ram, 2);
	stats = page_figures();
	assert_int_equal(asleep(), 193);
	assert_int_equal(stats.free_blocks[18], 193);
	assert_int_equal(stats.pageblocks, 193 * 512);
	assert_int_equal(stats.fullness[0], 193 * 512);
	assert_int_equal(stats.managed, 193 * (uint64_t)GIB);
	page_verify();
	/* One awake and counted asleep, in each word of the bitmap. */
	for (unsigned w = 0; w < 3; w++) {
		pa.asleep[w] &= ~1ull;
		assert_string_equal(page_check(&pa), "a superblock is awake and counted asleep");
		pa.asleep[w] |= 1;
	}
	for (unsigned i = 0; i < 193; i++)
		assert_int_equal(page_alloc(&pa, 18, PAGE_ANY).n,
				 (i < 3 ? 5 + i : 7 + i) * (uint64_t)GIB);
	assert_true(pfn_is_none(page_alloc(&pa, 0, PAGE_ANY)));
	stats = page_figures();
	assert_int_equal(stats.free, 0);
	assert_int_equal(stats.fullness[PAGE_FULLNESS_STEPS - 1], 193 * 512);
	page_verify();
}

static void test_nodes_of_sleepers(void **state)
{
	static const struct page_node_range ranges[] = {
		{{5 * (uint64_t)GIB}, 3 * (uint64_t)GIB + 100, 1}, /* the rest of 8 is nobody's */
		{{9 * (uint64_t)GIB}, 2 * (uint64_t)GIB, 2},
		{{11 * (uint64_t)GIB}, (uint64_t)GIB / 2 + 1, 1},
		{{11 * (uint64_t)GIB + GIB / 2 + 1}, 4 * (uint64_t)GIB, 2},
	};
	static const uint8_t expected[] = {0, 1, 1, 1, 1, 2, 2, 1, 2, 2, 2, 2, 0, 0};
	struct page_nodes nodes = {
		.count = 3,
		.ranges = ranges,
		.range_count = array_len(ranges),
		.distance = {{10, 20, 20}, {20, 10, 20}, {20, 20, 10}},
	};
	const struct region ram[] = {
		{pfn(2 * (uint64_t)GIB), 16 * (uint64_t)GIB, REGION_USABLE},
	};
	struct page_config config;
	struct page_stats stats;

	(void)state;
	assert_int_equal(host_pages_config(&config, ram, 1), 0);
	config.nodes = &nodes;
	assert_int_equal(page_init(&pa, &config), 0);
	assert_int_equal(page_add(&pa, ram[0].start, ram[0].pages), ram[0].pages);
	assert_int_equal(asleep(), 16);
	stats = page_figures();
	assert_int_equal(stats.node[0][PAGE_ZONE_DMA32].free, 2 * GIB);
	assert_int_equal(stats.node[0][PAGE_ZONE_NORMAL].free, 3 * GIB);
	assert_int_equal(stats.node[1][PAGE_ZONE_NORMAL].free, 5 * GIB);
	assert_int_equal(stats.node[2][PAGE_ZONE_NORMAL].free, 6 * GIB);
	for (uint64_t i = 0; i < array_len(expected); i++)
		assert_int_equal(page_facts((4 + i) * GIB).node, expected[i]);
	assert_int_equal(page_facts(3 * (uint64_t)GIB).zone, PAGE_ZONE_DMA32);
	page_verify();
	page_set_cpu_node(&pa, 0, 2);
	assert_int_equal(page_alloc(&pa, 0, PAGE_ANY).n / GIB, 9);
}

/* What a quarter of a million GiBs cost, and that the last of them can be had. */
static void test_a_quarter_of_an_exbibyte(void **state)
{
	const struct region ram[] = {{pfn(4 * (uint64_t)GIB), 200 * TIB, REGION_USABLE}};

	(void)state;
	host_pages_init(&pa, ram, 1);
	assert_int_equal(host_backing.calls, 0);
	assert_int_equal(asleep(), 200 * 1024);
	assert_int_equal(page_figures().free_blocks[18], 200 * 1024);
	assert_true(page_facts(4 * (uint64_t)GIB + 200 * TIB - 1).free);
	assert_int_equal(page_alloc(&pa, 18, PAGE_ANY).n, 4 * (uint64_t)GIB + 200 * TIB - GIB);
	assert_int_equal(page_alloc(&pa, 18, PAGE_ANY).n, 4 * (uint64_t)GIB);
}

#define BREAK(lvalue, value, what)                                                                 \
	do {                                                                                       \
		__typeof__(lvalue) saved_ = (lvalue);                                              \
                                                                                                   \
		(lvalue) = (value);                                                                \
		assert_string_equal(page_check(&pa), what);                                        \
		(lvalue) = saved_;                                                                 \
		page_verify();                                                                     \
	} while (0)

static void test_the_validator_counts_them(void **state)
{
	struct page_free_set *zone = &pa.zones[PAGE_ZONE_NORMAL];

	(void)state;
	page_setup(4 * (uint64_t)GIB, 8 * (uint64_t)GIB);
	(void)page_facts(4 * (uint64_t)GIB);
	BREAK(pa.given[0], 0x7f, "a superblock is awake and counted asleep");
	BREAK(pa.asleep[0], 0x7e, "a superblock is awake and counted asleep");
	BREAK(pa.superblock_of[6], 3, "a superblock is neither awake nor asleep");
	BREAK(zone->asleep, zone->asleep - 1, "a zone's count of sleeping superblocks is wrong");
	BREAK(zone->free, zone->free - GIB, "a zone's free count is wrong");
	BREAK(pa.superblocks[0].link[PARTIAL_LISTS].next, 5, "a zone's list does not end");
	(void)page_facts(11 * (uint64_t)GIB);
	BREAK(pa.index_entries, pa.index_entries - 1, "a superblock is neither awake nor asleep");
	zone->asleep = 8;
	for (unsigned i = 0; i < 8; i++)
		assert_false(pfn_is_none(page_alloc(&pa, 18, PAGE_ANY)));
	if (host_expect_panic()) {
		(void)!page_alloc(&pa, 18, PAGE_ANY).n;
		fail();
	}
	assert_non_null(strstr(host_panic_text, "none found"));
}

/* The first superblock whose bits are in a second word. */
static void test_the_65th_superblock(void **state)
{
	(void)state;
	page_setup(4 * (uint64_t)GIB, 65 * (uint64_t)GIB);
	pa.asleep[1] &= ~1ull;
	assert_string_equal(page_check(&pa), "a superblock is awake and counted asleep");
	pa.asleep[1] |= 1;
	page_verify();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_lowest_wakes_when_needed),
		cmocka_unit_test(test_all_of_it_comes_out_once),
		cmocka_unit_test(test_looking_wakes),
		cmocka_unit_test(test_handed_over_in_parts),
		cmocka_unit_test(test_twice_panics),
		cmocka_unit_test(test_nodes_of_sleepers),
		cmocka_unit_test(test_two_stretches),
		cmocka_unit_test(test_a_quarter_of_an_exbibyte),
		cmocka_unit_test(test_the_validator_counts_them),
		cmocka_unit_test(test_the_65th_superblock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
