/* SPDX-License-Identifier: MIT */
/* The page allocator: blocks of every order, zones, exhaustion, runs, bulk. */
#include "page_fixture.h"

static void test_every_order_pairs(void **state)
{
	(void)state;
	page_setup(1 * GIB, 3 * GIB);
	for (unsigned order = 0; order <= PAGE_ORDER_MAX; order++) {
		uint64_t before = page_free_pages(&pa);
		pfn_t f = page_alloc(&pa, order, PAGE_ANY);
		struct page_about about;

		assert_false(pfn_is_none(f));
		assert_int_equal(f.n % ((uint64_t)1 << order), 0);
		assert_int_equal(page_free_pages(&pa), before - ((uint64_t)1 << order));
		page_verify();
		about = page_facts(f.n + ((uint64_t)1 << order) - 1);
		assert_int_equal(about.head.n, f.n);
		assert_int_equal(about.state, PAGE_HEAD);
		assert_int_equal(about.order, order);
		assert_int_equal(about.references, 1);
		assert_int_equal(about.tail, order > 0);
		page_free(&pa, f, order);
		assert_int_equal(page_free_pages(&pa), before);
		page_verify();
	}
	assert_int_equal(host_misuses, 0);
}

static void test_orders_beyond_the_largest(void **state)
{
	(void)state;
	page_setup(GIB, 2 * GIB);
	assert_true(pfn_is_none(page_alloc(&pa, PAGE_ORDER_MAX + 1, PAGE_ANY)));
	assert_true(pfn_is_none(page_alloc(&pa, 64, PAGE_ANY)));
	assert_true(pfn_is_none(page_alloc(&pa, ~0u, PAGE_ANY)));
	assert_int_equal(page_figures().counters.failures, 3);
	page_verify();
}

/* Fill memory with blocks of one order; nothing overlaps, all of it comes back. */
static void exhaust(unsigned order, uint64_t ram_start, uint64_t ram)
{
	uint64_t size = (uint64_t)1 << order, count = 0;
	unsigned char *seen = calloc(1, ram);
	pfn_t *got = calloc(ram / size + 1, sizeof *got);
	struct page_stats first;

	page_setup(ram_start, ram);
	first = page_figures();
	for (;;) {
		pfn_t f = page_alloc(&pa, order, PAGE_ANY);

		if (pfn_is_none(f))
			break;
		assert_true(f.n >= ram_start && f.n + size <= ram_start + ram);
		assert_int_equal(f.n % size, 0);
		for (uint64_t i = 0; i < size; i++)
			assert_int_equal(seen[f.n - ram_start + i]++, 0);
		got[count++] = f;
	}
	page_verify();
	assert_int_equal(count, ram / size);
	for (uint64_t i = 0; i < count; i += 2)
		page_free(&pa, got[i], order);
	page_verify();
	for (uint64_t i = 1; i < count; i += 2)
		page_free(&pa, got[i], order);
	page_verify();
	assert_int_equal(page_free_pages(&pa), ram);
	page_drain();
	page_verify();
	assert_memory_equal(page_figures().free_blocks, first.free_blocks,
			    sizeof first.free_blocks);
	assert_int_equal(page_free_pages(&pa), ram);
	assert_int_equal(host_misuses, 0);
	free(seen);
	free(got);
}

static void test_exhaustion_and_recovery(void **state)
{
	(void)state;
	for (unsigned order = 0; order <= 13; order++)
		exhaust(order, 64 * MIB, 64 * MIB);
	exhaust(0, GIB - 16 * MIB, 32 * MIB);
	exhaust(18, GIB, 3 * GIB);
}

static void test_zones(void **state)
{
	const struct region ram[] = {
		{pfn(1), 159, REGION_USABLE},
		{pfn(256), 256 + 2 * 512, REGION_USABLE},
		{pfn(4 * (uint64_t)GIB), 512, REGION_USABLE},
	};
	pfn_t f;

	(void)state;
	host_pages_init(&pa, ram, array_len(ram));
	page_verify();
	assert_int_equal(page_figures().zone[PAGE_ZONE_LOW].managed, 159 + 256);
	assert_int_equal(page_figures().zone[PAGE_ZONE_DMA32].managed, 2 * 512);
	assert_int_equal(page_figures().zone[PAGE_ZONE_NORMAL].managed, 512);

	f = page_alloc(&pa, 3, PAGE_ANY);
	assert_true(f.n >= 4 * (uint64_t)GIB);
	f = page_alloc(&pa, 3, PAGE_BELOW_4G);
	assert_true(f.n >= 512 && f.n < 4 * (uint64_t)GIB);
	f = page_alloc(&pa, 3, PAGE_BELOW_1M);
	assert_true(f.n < 160);
	assert_int_equal(page_facts(f.n).zone, PAGE_ZONE_LOW);
	/* No fallback upwards, and nothing that large below 1 MiB. */
	assert_true(pfn_is_none(page_alloc(&pa, 8, PAGE_BELOW_1M)));
	assert_true(pfn_is_none(page_alloc(&pa, 9, PAGE_BELOW_1M)));
	page_verify();

	/* Everyone else: the rest first, pageblock 0 last, its upper half before its lower. */
	for (uint64_t n = page_free_pages(&pa), low = 0; n; n--) {
		const struct page_stats s = page_figures();

		f = page_alloc(&pa, 0, PAGE_ANY);
		assert_false(pfn_is_none(f));
		if (s.zone[PAGE_ZONE_NORMAL].free)
			assert_true(f.n >= 4 * (uint64_t)GIB);
		else if (s.zone[PAGE_ZONE_DMA32].free)
			assert_true(f.n >= 512);
		else
			assert_true(low++ < 256 ? f.n >= 256 : f.n < 160);
	}
	assert_true(pfn_is_none(page_alloc(&pa, 0, PAGE_ANY)));
	assert_true(pfn_is_none(page_alloc(&pa, 0, PAGE_BELOW_4G)));
	assert_true(pfn_is_none(page_alloc(&pa, 0, PAGE_BELOW_1M)));
	assert_int_equal(page_free_pages(&pa), 0);
	page_verify();
}

static void test_zeroed(void **state)
{
	const struct region ram[] = {{pfn(512), 1024, REGION_USABLE}};
	char *p;
	pfn_t f, many[5];

	(void)state;
	host_ram_init(1536 * PAGE_BYTES);
	host_pages_init(&pa, ram, 1);
	memset(port_phys_to_virt(paddr(512 * PAGE_BYTES)), 0xee, 1024 * PAGE_BYTES);
	f = page_alloc(&pa, 2, PAGE_ZEROED);
	p = port_phys_to_virt(pfn_to_paddr(f));
	for (size_t i = 0; i < 4 * PAGE_BYTES; i++)
		assert_int_equal(p[i], 0);
	assert_int_equal((unsigned char)p[4 * PAGE_BYTES], 0xee);
	f = page_alloc_run(&pa, 3, PAGE_ZEROED);
	p = port_phys_to_virt(pfn_to_paddr(f));
	for (size_t i = 0; i < 3 * PAGE_BYTES; i++)
		assert_int_equal(p[i], 0);
	assert_int_equal((unsigned char)p[3 * PAGE_BYTES], 0xee);
	assert_int_equal(page_alloc_bulk(&pa, many, 5, PAGE_ZEROED), 5);
	for (size_t i = 0; i < 5; i++) {
		p = port_phys_to_virt(pfn_to_paddr(many[i]));
		assert_int_equal(p[0], 0);
		assert_int_equal(p[PAGE_BYTES - 1], 0);
	}
	/* Free frames are never written to. */
	page_free(&pa, many[0], 0);
	p = port_phys_to_virt(pfn_to_paddr(many[0]));
	memset(p, 0x77, PAGE_BYTES);
	f = page_alloc(&pa, 0, PAGE_ANY);
	assert_int_equal(f.n, many[0].n);
	for (size_t i = 0; i < PAGE_BYTES; i++)
		assert_int_equal(p[i], 0x77);
}

static void test_runs(void **state)
{
	static const uint64_t lengths[] = {1,    2,      3,      63,     64,    65,   127,
					   300,  511,    512,    513,    1000,  1024, 1025,
					   4097, 100000, 131073, 262143, 262144};

	(void)state;
	page_setup(GIB, 2 * GIB);
	for (size_t i = 0; i < array_len(lengths); i++) {
		uint64_t before = page_free_pages(&pa), align = 1;
		pfn_t f = page_alloc_run(&pa, lengths[i], PAGE_ANY);
		struct page_about about;

		assert_false(pfn_is_none(f));
		while (align < lengths[i])
			align *= 2;
		assert_int_equal(f.n % align, 0);
		assert_int_equal(page_free_pages(&pa), before - lengths[i]);
		assert_int_equal(page_run_pages(&pa, f), lengths[i]);
		page_verify();
		about = page_facts(f.n + lengths[i] - 1);
		assert_int_equal(about.state, PAGE_RUN);
		assert_int_equal(about.head.n, f.n);
		assert_int_equal(about.pages, lengths[i]);
		assert_true(lengths[i] == align || page_facts(f.n + lengths[i]).free);
		page_free_run(&pa, f);
		assert_int_equal(page_run_pages(&pa, f), 0);
		assert_int_equal(page_free_pages(&pa), before);
		page_verify();
	}
	assert_true(pfn_is_none(page_alloc_run(&pa, 0, PAGE_ANY)));
	assert_true(pfn_is_none(page_alloc_run(&pa, SUPERBLOCK_PAGES + 1, PAGE_ANY)));
	assert_true(pfn_is_none(page_alloc_run(&pa, ~(uint64_t)0, PAGE_ANY)));
	assert_int_equal(page_run_pages(&pa, pfn(~(uint64_t)0 - 1)), 0);
	assert_int_equal(page_figures().counters.run_allocs, array_len(lengths));
	assert_int_equal(page_figures().counters.run_frees, array_len(lengths));
	assert_int_equal(page_figures().counters.failures, 3);
	assert_int_equal(host_misuses, 0);
}

static void test_run_marked_as_object(void **state)
{
	pfn_t run, object;

	(void)state;
	page_setup(GIB, GIB);
	run = page_alloc_run(&pa, 5, PAGE_ANY);
	object = page_alloc_run(&pa, 5, PAGE_OBJECT);
	assert_false(page_is_object(page_desc(&pa, run)));
	assert_true(page_is_object(page_desc(&pa, object)));
	assert_int_equal(page_run_pages(&pa, object), 5);
	page_free_object_run(&pa, object, 0);
	assert_false(page_is_object(page_desc(&pa, object)));
	page_free_run(&pa, run);
	page_verify();
}

static void test_bulk(void **state)
{
	static pfn_t got[4096];
	uint64_t seed = 7;
	size_t n;

	(void)state;
	page_setup(GIB, 3072);
	n = page_alloc_bulk(&pa, got, 1000, PAGE_ANY);
	assert_int_equal(n, 1000);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(got[i].n, GIB + i);
	page_verify();
	n += page_alloc_bulk(&pa, got + n, array_len(got) - n, PAGE_ANY);
	assert_int_equal(n, 3072);
	assert_int_equal(page_alloc_bulk(&pa, got + n, 1, PAGE_ANY), 0);
	assert_int_equal(page_free_pages(&pa), 0);
	page_verify();
	for (size_t i = n - 1; i > 0; i--) {
		size_t j = host_random(&seed) % (i + 1);
		pfn_t t = got[i];

		got[i] = got[j];
		got[j] = t;
	}
	page_free_bulk(&pa, got, 1572);
	page_verify();
	assert_int_equal(page_free_pages(&pa), 1572);
	for (size_t i = 1572; i < n; i++)
		page_free(&pa, got[i], 0);
	page_verify();
	assert_int_equal(page_free_pages(&pa), 3072);
	assert_int_equal(page_figures().counters.allocs[0], 3072);
	assert_int_equal(page_figures().counters.frees[0], 3072);
	assert_int_equal(page_figures().counters.bulk_pages, 3072);
	assert_int_equal(page_alloc_bulk(&pa, got, 0, PAGE_ANY), 0);
	page_free_bulk(&pa, got, 0);
	assert_int_equal(host_misuses, 0);
}

/* Exactly as many as asked for, around the size of a bitmap word. */
static void test_bulk_counts(void **state)
{
	static pfn_t got[200];

	(void)state;
	page_setup(GIB, GIB);
	for (size_t count = 1; count < 140; count++) {
		got[count] = pfn(77);
		assert_int_equal(page_alloc_bulk(&pa, got, count, PAGE_ANY), count);
		assert_int_equal(got[count].n, 77);
		assert_int_equal(page_free_pages(&pa), GIB - count);
		for (size_t i = 0; i < count; i++)
			assert_int_equal(got[i].n, GIB + i);
		page_free_bulk(&pa, got, count);
		page_verify();
	}
	assert_int_equal(host_misuses, 0);
}

static void test_bulk_from_every_zone(void **state)
{
	const struct region ram[] = {
		{pfn(1), 159, REGION_USABLE},
		{pfn(512), 512, REGION_USABLE},
		{pfn(4 * (uint64_t)GIB), 4096, REGION_USABLE},
	};
	static pfn_t got[5000];

	(void)state;
	host_pages_init(&pa, ram, array_len(ram));
	assert_int_equal(page_alloc_bulk(&pa, got, 5000, PAGE_BELOW_1M), 159);
	page_free_bulk(&pa, got, 159);
	assert_int_equal(page_alloc_bulk(&pa, got, 5000, PAGE_BELOW_4G), 671);
	page_free_bulk(&pa, got, 671);
	assert_int_equal(page_alloc_bulk(&pa, got, 5000, PAGE_ANY), 4767);
	page_verify();
	page_free_bulk(&pa, got, 4767);
	page_verify();
	assert_int_equal(page_free_pages(&pa), 4767);
}

static void test_references(void **state)
{
	pfn_t f;

	(void)state;
	page_setup(GIB, 1024);
	f = page_alloc(&pa, 2, PAGE_ANY);
	page_get(&pa, f);
	page_get(&pa, f);
	assert_int_equal(page_facts(f.n).references, 3);
	page_put(&pa, f);
	page_put(&pa, f);
	assert_int_equal(page_free_pages(&pa), 1020);
	page_put(&pa, f);
	assert_int_equal(page_free_pages(&pa), 1024);
	assert_int_equal(page_figures().counters.frees[2], 1);
	page_verify();
	assert_int_equal(host_misuses, 0);
}

/* A count that is full stays full: never freed beats freed too early. */
static void test_references_saturate(void **state)
{
	pfn_t f;

	(void)state;
	page_setup(GIB, 1024);
	f = page_alloc(&pa, 0, PAGE_ANY);
	pa.descs[f.n].word |= (uint64_t)DESC_REF_MAX << DESC_REF_SHIFT;
	pa.descs[f.n].word -= DESC_REF_ONE;
	page_get(&pa, f);
	assert_int_equal(page_facts(f.n).references, DESC_REF_MAX);
	page_get(&pa, f);
	assert_int_equal(page_facts(f.n).references, DESC_REF_MAX);
	page_put(&pa, f);
	assert_int_equal(page_facts(f.n).references, DESC_REF_MAX);
	assert_int_equal(page_facts(f.n).order, 0);
	assert_int_equal(page_free_pages(&pa), 1023);
	page_verify();
}

static void test_slab_pages(void **state)
{
	static uint64_t slab;

	(void)state;
	page_setup(GIB, 2 * GIB);
	for (unsigned order = 0; order <= 11; order++) {
		pfn_t f = page_alloc(&pa, order, PAGE_ANY);

		page_set_slab(&pa, f, order, &slab);
		for (uint64_t i = 0; i < (uint64_t)1 << order; i++) {
			const struct page *p = page_desc(&pa, pfn(f.n + i));

			assert_int_equal(page_state(p), PAGE_SLAB);
			assert_ptr_equal(page_slab(p), &slab);
		}
		page_verify();
		page_clear_slab(&pa, f, order);
		page_verify();
		page_free(&pa, f, order);
	}
	page_verify();
	assert_int_equal(page_free_pages(&pa), 2 * GIB);
	assert_int_equal(host_misuses, 0);
}

/* The array page of a pageblock is its rank among the described ones. */
static void test_descriptors_are_backed_at_first_use(void **state)
{
	const struct region ram[] = {
		{pfn(512), 512 * 3, REGION_USABLE},
		{pfn(GIB + 512 * 70), 512 * 2, REGION_USABLE},
	};
	struct page_config config;

	(void)state;
	assert_int_equal(host_pages_config(&config, ram, 2), 0);
	assert_int_equal(page_init(&pa, &config), 0);
	assert_int_equal(page_add(&pa, ram[0].start, ram[0].pages), ram[0].pages);
	assert_int_equal(page_add(&pa, ram[1].start, ram[1].pages), ram[1].pages);
	assert_int_equal(host_backing.calls, 0);
	for (unsigned i = 0; i < 5; i++) {
		uint64_t expected = i < 3 ? 512 * (i + 1) : GIB + 512 * (70 + i - 3);
		pfn_t f = page_alloc(&pa, 9, PAGE_ANY);

		assert_int_equal(f.n, expected);
		assert_int_equal(host_backing.calls, i + 1);
		assert_ptr_equal(host_backing.descs, &pa.descs[f.n]);
		assert_int_equal(host_backing.frame.n, config.plan.start.n + i);
	}
	assert_int_equal(page_figures().counters.blocks_opened, 5);
	page_verify();
}

/* Of several GiBs that can serve, the lowest does, in whatever order they became able to. */
static void test_lower_addresses_first(void **state)
{
	static pfn_t all[6];
	static const unsigned order_of_freeing[] = {2, 1, 4, 0, 5, 3};

	(void)state;
	for (unsigned order = 0; order <= PAGE_ORDER_MAX; order += 9) {
		page_setup(4 * (uint64_t)GIB, 6 * GIB);
		for (unsigned i = 0; i < 6; i++)
			all[i] = page_alloc(&pa, PAGE_ORDER_MAX, PAGE_ANY);
		assert_int_equal(page_free_pages(&pa), 0);
		for (unsigned i = 0; i < 4; i++) {
			page_free(&pa, all[order_of_freeing[i]], PAGE_ORDER_MAX);
			page_verify();
		}
		assert_int_equal(page_alloc(&pa, order, PAGE_ANY).n, all[0].n);
		page_verify();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_order_pairs),
		cmocka_unit_test(test_orders_beyond_the_largest),
		cmocka_unit_test(test_exhaustion_and_recovery),
		cmocka_unit_test(test_zones),
		cmocka_unit_test(test_lower_addresses_first),
		cmocka_unit_test(test_zeroed),
		cmocka_unit_test(test_runs),
		cmocka_unit_test(test_run_marked_as_object),
		cmocka_unit_test(test_bulk),
		cmocka_unit_test(test_bulk_counts),
		cmocka_unit_test(test_bulk_from_every_zone),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_references_saturate),
		cmocka_unit_test(test_slab_pages),
		cmocka_unit_test(test_descriptors_are_backed_at_first_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
