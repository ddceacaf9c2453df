/* SPDX-License-Identifier: MIT */
/* NUMA nodes: whose memory a superblock is, in which order nodes are tried, and when one is full. */
#include "page_fixture.h"

static struct page_nodes nodes;
static struct page_node_range ranges[16];

static void node_range(uint64_t start, uint64_t pages, unsigned node)
{
	ranges[nodes.range_count++] = (struct page_node_range){pfn(start), pages, node};
}

/* `count` nodes: the distance to a neighbour is 20, to the next 30, ... */
static void nodes_start(unsigned count)
{
	nodes = (struct page_nodes){.count = count, .ranges = ranges};
	for (unsigned a = 0; a < count; a++)
		for (unsigned b = 0; b < count; b++)
			nodes.distance[a][b] = (uint8_t)(10 + 10 * (a > b ? a - b : b - a));
}

static void build(const struct region *ram, size_t count)
{
	struct page_config config;

	assert_int_equal(host_pages_config(&config, ram, count), 0);
	config.nodes = &nodes;
	assert_int_equal(page_init(&pa, &config), 0);
	for (size_t i = 0; i < count; i++)
		(void)!page_add(&pa, ram[i].start, ram[i].pages);
	host_misuse_reset();
	page_verify();
}

/* Node 0: LOW, 64 MiB below 4 GiB, 2 MiB above. Nodes 1 and 2: 2 MiB each above. */
static void three_nodes(void)
{
	const struct region ram[] = {
		{pfn(1), 64 * 256 - 1, REGION_USABLE},
		{pfn(4 * (uint64_t)GIB), 512, REGION_USABLE},
		{pfn(5 * (uint64_t)GIB), 512, REGION_USABLE},
		{pfn(6 * (uint64_t)GIB), 512, REGION_USABLE},
	};

	nodes_start(3);
	node_range(0, 5 * (uint64_t)GIB, 0);
	node_range(5 * (uint64_t)GIB, GIB, 1);
	node_range(6 * (uint64_t)GIB, GIB, 2);
	build(ram, array_len(ram));
}

static struct page_about take(unsigned order, unsigned flags)
{
	pfn_t f = page_alloc(&pa, order, flags);

	assert_false(pfn_is_none(f));
	return page_facts(f.n);
}

static void assert_place(struct page_about about, unsigned node, enum page_zone zone)
{
	assert_int_equal(about.node, node);
	assert_int_equal(about.zone, zone);
}

/* Every node's memory goes before the next one's, its NORMAL before its DMA32, LOW last of all. */
static void test_exhaustion_goes_outwards(void **state)
{
	static const struct {
		unsigned node;
		enum page_zone zone;
	} orders[3][5] = {
		{{0, 2}, {0, 1}, {1, 2}, {2, 2}, {0, 0}},
		{{1, 2}, {2, 2}, {0, 2}, {0, 1}, {0, 0}},
		{{2, 2}, {1, 2}, {0, 2}, {0, 1}, {0, 0}},
	};

	(void)state;
	for (unsigned node = 0; node < 3; node++) {
		uint64_t seen[5] = {0};
		unsigned step = 0;
		pfn_t f;

		three_nodes();
		page_set_cpu_node(&pa, port_cpu(), node);
		while (!pfn_is_none(f = page_alloc(&pa, 0, PAGE_ANY))) {
			struct page_about about = page_facts(f.n);

			while (step < 5 && (about.node != orders[node][step].node ||
					    about.zone != orders[node][step].zone))
				step++;
			if (step == 5)
				fail_msg("from node %u: frame %#llx of node %u zone %d too late",
					 node, (unsigned long long)f.n, about.node, about.zone);
			seen[step]++;
		}
		for (step = 0; step < 5; step++)
			assert_int_equal(
				seen[step],
				page_figures()
					.node[orders[node][step].node][orders[node][step].zone]
					.managed);
		page_verify();
	}
}

static void test_bulk_goes_the_same_way(void **state)
{
	static pfn_t got[512 * 3];
	size_t i;

	(void)state;
	three_nodes();
	page_set_cpu_node(&pa, port_cpu(), 2);
	assert_int_equal(page_alloc_bulk(&pa, got, array_len(got), PAGE_ANY), array_len(got));
	for (i = 0; i < 512; i++)
		assert_int_equal(page_facts(got[i].n).node, 2);
	for (; i < 1024; i++)
		assert_int_equal(page_facts(got[i].n).node, 1);
	for (; i < array_len(got); i++)
		assert_place(page_facts(got[i].n), 0, PAGE_ZONE_NORMAL);
	page_free_bulk(&pa, got, array_len(got));
	assert_int_equal(page_figures().used, 0);
	page_verify();
}

/* A freed page is its node's again, whoever frees it. */
static void test_frees_go_home(void **state)
{
	struct page_about a;

	(void)state;
	three_nodes();
	page_set_cpu_node(&pa, port_cpu(), 1);
	a = take(9, PAGE_ANY);
	assert_place(a, 1, PAGE_ZONE_NORMAL);
	assert_int_equal(page_figures().node[1][PAGE_ZONE_NORMAL].free, 0);
	page_set_cpu_node(&pa, port_cpu(), 0);
	page_free(&pa, a.head, 9);
	assert_int_equal(page_figures().node[1][PAGE_ZONE_NORMAL].free, 512);
	page_verify();
}

/* Flags that exclude a zone exclude it on every node. */
static void test_flags_come_before_nearness(void **state)
{
	(void)state;
	three_nodes();
	page_set_cpu_node(&pa, port_cpu(), 2);
	assert_place(take(0, PAGE_BELOW_4G), 0, PAGE_ZONE_DMA32);
	assert_place(take(0, PAGE_BELOW_1M), 0, PAGE_ZONE_LOW);
	assert_place(take(9, PAGE_ANY), 2, PAGE_ZONE_NORMAL);
	assert_place(take(9, PAGE_ANY), 1, PAGE_ZONE_NORMAL);
	assert_place(take(0, PAGE_BELOW_4G), 0, PAGE_ZONE_DMA32);
}

/*
 *            GiB 4              GiB 5               GiB 6
 *   node   |  0 0 0 0 0 0 0 1 | 1 1 1 2 2 2 2 2 | nobody's |
 *   goes to         0                  2              0
 */
static void test_the_largest_share_wins(void **state)
{
	const struct region ram[] = {{pfn(4 * (uint64_t)GIB), 3 * (uint64_t)GIB, REGION_USABLE}};
	const uint64_t base = 4 * (uint64_t)GIB, eighth = GIB / 8;

	(void)state;
	nodes_start(3);
	node_range(base, 7 * eighth, 0);
	node_range(base + 7 * eighth, 4 * eighth, 1);
	node_range(base + 11 * eighth, 2 * eighth, 2);
	node_range(base + 13 * eighth, 3 * eighth, 2);
	build(ram, 1);
	assert_int_equal(page_facts(base + GIB - 1).node, 0);
	assert_int_equal(page_facts(base + GIB).node, 2);
	assert_int_equal(page_facts(base + 2 * (uint64_t)GIB).node, 0);
	assert_int_equal(page_figures().node[1][PAGE_ZONE_NORMAL].managed, 0);
	assert_int_equal(page_figures().node[2][PAGE_ZONE_NORMAL].managed, GIB);
	/* A node without memory, like one of CPUs only, falls back at once. */
	page_set_cpu_node(&pa, port_cpu(), 1);
	assert_place(take(18, PAGE_ANY), 2, PAGE_ZONE_NORMAL);
}

/* LOW can be any node's, and DMA32 several nodes'. */
static void test_low_memory_of_a_later_node(void **state)
{
	const struct region ram[] = {{pfn(1), 3 * (uint64_t)GIB - 1, REGION_USABLE}};

	(void)state;
	nodes_start(2);
	node_range(0, GIB, 1);
	node_range(GIB, 2 * (uint64_t)GIB, 0);
	build(ram, 1);
	assert_place(page_facts(300), 1, PAGE_ZONE_LOW);
	assert_place(page_facts(512), 1, PAGE_ZONE_DMA32);
	assert_place(page_facts(GIB), 0, PAGE_ZONE_DMA32);
	assert_int_equal(page_figures().zone[PAGE_ZONE_LOW].managed, 511);
	assert_int_equal(page_figures().zone[PAGE_ZONE_DMA32].managed, 3 * (uint64_t)GIB - 512);
	page_set_cpu_node(&pa, port_cpu(), 1);
	assert_place(take(0, PAGE_BELOW_1M), 1, PAGE_ZONE_LOW);
	assert_place(take(0, PAGE_BELOW_4G), 1, PAGE_ZONE_DMA32);
	assert_place(take(18, PAGE_BELOW_4G), 0, PAGE_ZONE_DMA32);
	page_verify();
}

/* Firmware that says nothing sensible: itself first, then whoever comes next, round the circle. */
static void test_useless_distances(void **state)
{
	struct region ram[PAGE_NODES_MAX];

	(void)state;
	nodes_start(PAGE_NODES_MAX);
	for (unsigned i = 0; i < PAGE_NODES_MAX; i++) {
		ram[i] = (struct region){pfn((i + 4) * (uint64_t)GIB), GIB, REGION_USABLE};
		node_range(ram[i].start.n, GIB, i);
		for (unsigned k = 0; k < PAGE_NODES_MAX; k++)
			nodes.distance[i][k] = 7;
	}
	nodes.distance[5][5] = 255;
	build(ram, array_len(ram));
	page_set_cpu_node(&pa, port_cpu(), 5);
	for (unsigned i = 0; i < PAGE_NODES_MAX; i++)
		assert_int_equal(take(18, PAGE_ANY).node, (5 + i) % PAGE_NODES_MAX);
	assert_true(pfn_is_none(page_alloc(&pa, 18, PAGE_ANY)));
	page_verify();
}

/* What no node is said of is one node, and tries what there is. */
static void test_one_node(void **state)
{
	(void)state;
	page_setup(GIB, GIB);
	assert_int_equal(page_figures().nodes, 1);
	assert_int_equal(pa.near[0].any[0], PAGE_ZONE_DMA32);
	assert_int_equal(pa.near[0].any[1], 0);
	assert_int_equal(pa.near[0].below_4g[0], PAGE_ZONE_DMA32);
	assert_int_equal(pa.near[0].below_4g[1], 0);
}

static void test_no_such_node(void **state)
{
	(void)state;
	three_nodes();
	if (host_expect_panic()) {
		page_set_cpu_node(&pa, 0, 3);
		fail();
	}
	if (host_expect_panic()) {
		page_set_cpu_node(&pa, PORT_CPUS_MAX, 0);
		fail();
	}
}

/* A node's CPUs may cache from its first superblock to its last, and nothing of others. */
static void test_what_cpus_may_cache(void **state)
{
	const struct region ram[] = {
		{pfn(4 * (uint64_t)GIB), 512, REGION_USABLE},
		{pfn(5 * (uint64_t)GIB), 512, REGION_USABLE},
		{pfn(6 * (uint64_t)GIB), 512, REGION_USABLE},
		{pfn(7 * (uint64_t)GIB), 512, REGION_USABLE},
	};

	(void)state;
	nodes_start(2);
	node_range(4 * (uint64_t)GIB, 2 * GIB, 0);
	node_range(6 * (uint64_t)GIB, 2 * GIB, 1);
	build(ram, array_len(ram));
	assert_int_equal(pa.near[0].first, 4 * (uint64_t)GIB);
	assert_int_equal(pa.near[0].end, 6 * (uint64_t)GIB);
	assert_int_equal(pa.near[1].first, 6 * (uint64_t)GIB);
	assert_int_equal(pa.near[1].end, 7 * (uint64_t)GIB + 512);
}

/* GiBs alike in their node are one stretch, and what lies behind the table is not read. */
static void test_gibs_alike_are_one_stretch(void **state)
{
	const struct region ram[] = {{pfn(5 * (uint64_t)GIB), 8 * (uint64_t)GIB, REGION_USABLE}};

	(void)state;
	nodes_start(2);
	node_range(5 * (uint64_t)GIB, 8 * (uint64_t)GIB, 1);
	build(ram, 1);
	assert_int_equal(pa.stretch_count, 1);
	nodes_start(2);
	node_range(GIB, GIB, 1);
	memset(&ranges[1], 0, sizeof ranges - sizeof ranges[0]);
	build(ram, 1);
	assert_int_equal(pa.stretch_count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exhaustion_goes_outwards),
		cmocka_unit_test(test_bulk_goes_the_same_way),
		cmocka_unit_test(test_frees_go_home),
		cmocka_unit_test(test_flags_come_before_nearness),
		cmocka_unit_test(test_the_largest_share_wins),
		cmocka_unit_test(test_low_memory_of_a_later_node),
		cmocka_unit_test(test_useless_distances),
		cmocka_unit_test(test_one_node),
		cmocka_unit_test(test_no_such_node),
		cmocka_unit_test(test_what_cpus_may_cache),
		cmocka_unit_test(test_gibs_alike_are_one_stretch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
