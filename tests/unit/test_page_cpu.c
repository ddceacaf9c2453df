/* SPDX-License-Identifier: MIT */
/* The per-CPU caches: what goes in, what comes back, what is caught while frames sit in one. */
#include "page_fixture.h"

#include <pthread.h>

enum {
	THREADS = 4,
	HELD = 2000,
	ROUNDS = 60
};

static int setup(void **state)
{
	(void)state;
	host_cpu = 0;
	host_ram_init((uint64_t)2 * GIB * PAGE_BYTES);
	page_setup(GIB, GIB);
	for (unsigned cpu = 1; cpu < THREADS; cpu++)
		assert_int_equal(page_cpu_online(&pa, cpu), 0);
	assert_int_equal(page_cpu_online(&pa, 1), 0); /* has one already */
	assert_int_equal(page_cpu_online(&pa, PORT_CPUS_MAX), -EINVAL);
	return 0;
}

static struct page_cpu_stats cpu_figures(unsigned cpu)
{
	struct page_cpu_stats stats;

	page_cpu_stats(&pa, cpu, &stats);
	return stats;
}

static void test_cached_pages_are_free(void **state)
{
	uint64_t free = page_free_pages(&pa);
	pfn_t f = page_alloc(&pa, 0, PAGE_ANY);

	(void)state;
	assert_int_equal(page_free_pages(&pa), free - 1);
	assert_true(cpu_figures(0).pages > 0);
	page_free(&pa, f, 0);
	assert_int_equal(page_free_pages(&pa), free);
	assert_true(page_facts(f.n).free);
	assert_int_equal(page_figures().cached, cpu_figures(0).pages);
	page_verify();
	page_drain();
	assert_int_equal(cpu_figures(0).pages, 0);
	assert_int_equal(page_free_pages(&pa), free);
	page_verify();
}

/*
 * A CPU may keep a 256th of memory in blocks of each order, or its share of a 64th if that is less,
 * no more than there is room for; of large blocks one, if its share of a 64th has room for it.
 */
static void assert_limits(uint64_t pages, unsigned cpus)
{
	uint64_t small = pages / 64 / cpus, share = pages / 256 < small ? pages / 256 : small;

	for (unsigned k = 0; k < PAGE_CACHE_ORDERS; k++) {
		uint64_t room = page_cache_first(k + 1) - page_cache_first(k);
		uint64_t limit = share >> k < room ? share >> k : room;

		if (!limit && small >> k)
			limit = 1;
		assert_int_equal(cpu_figures(0).limit[k], limit);
	}
}

static void test_limits(void **state)
{
	static const uint64_t sizes[] = {512, 1024, 2 * MIB, 16 * MIB, 64 * MIB, 700 * MIB, GIB};

	(void)state;
	for (size_t i = 0; i < array_len(sizes); i++) {
		page_setup(GIB, sizes[i]);
		assert_limits(sizes[i], 1);
	}
	for (unsigned cpu = 1; cpu < 16; cpu++) {
		assert_int_equal(page_cpu_online(&pa, cpu), 0);
		assert_limits(GIB, cpu + 1);
	}
	page_verify();
}

/* Last in, first out; a second allocation of what was freed needs no lock. */
static void test_the_last_freed_comes_first(void **state)
{
	(void)state;
	for (unsigned order = 0; order < PAGE_CACHE_ORDERS; order++) {
		pfn_t f = page_alloc(&pa, order, PAGE_ANY);

		page_free(&pa, f, order);
		assert_int_equal(page_alloc(&pa, order, PAGE_ANY).n, f.n);
		page_free(&pa, f, order);
		assert_int_equal(cpu_figures(0).allocs[order], 2);
		assert_int_equal(cpu_figures(0).frees[order], 2);
	}
	page_verify();
}

/* No more than the limit stays, whatever is freed; what other CPUs freed goes on to the bitmaps. */
static void test_remote_frees_do_not_pile_up(void **state)
{
	static pfn_t got[20 * HELD];

	(void)state;
	for (size_t i = 0; i < array_len(got); i++)
		got[i] = page_alloc(&pa, 0, PAGE_ANY);
	host_cpu = 1;
	for (size_t i = 0; i < array_len(got); i++) {
		page_free(&pa, got[i], 0);
		assert_true(cpu_figures(1).cached[0] <= cpu_figures(1).limit[0]);
	}
	assert_true(page_figures().cached <= 2 * cpu_figures(1).limit[0]);
	assert_int_equal(page_figures().counters.allocs[0], array_len(got));
	assert_int_equal(page_figures().counters.frees[0], array_len(got));
	assert_int_equal(host_misuses, 0);
	page_verify();
}

static void test_double_free_of_a_cached_page(void **state)
{
	pfn_t f = page_alloc(&pa, 0, PAGE_ANY), g = page_alloc(&pa, 3, PAGE_ANY);

	(void)state;
	page_free(&pa, f, 0);
	host_cpu = 1;
	page_free(&pa, f, 0); /* from another CPU, while it sits in the first one's cache */
	assert_true(host_last_misuse.freed_by != 0);
	assert_refused("double free");
	page_free(&pa, g, 3);
	host_cpu = 0;
	page_free(&pa, g, 3);
	assert_refused("double free");
}

/* As two CPUs that free a page in the same instant leave it: in both caches. */
static pfn_t cached_twice(void)
{
	pfn_t f = page_alloc(&pa, 0, PAGE_ANY);
	uint64_t word = pa.descs[f.n].word;

	page_free(&pa, f, 0);
	host_cpu = 1;
	pa.descs[f.n].word = word;
	page_free(&pa, f, 0);
	return f;
}

static void test_a_page_in_two_caches(void **state)
{
	pfn_t f = cached_twice();

	(void)state;
	assert_string_equal(page_check(&pa), "a cached page has an owner, or is cached twice");
	assert_int_equal(page_alloc(&pa, 0, PAGE_ANY).n, f.n);
	host_cpu = 0;
	assert_int_not_equal(page_alloc(&pa, 0, PAGE_ANY).n, f.n);
	assert_refused("page freed by two CPUs at once");
}

static void test_the_drain_finds_it_too(void **state)
{
	(void)state;
	(void)cached_twice();
	page_cpu_drain(&pa, 1);
	page_cpu_drain(&pa, 0);
	assert_refused("page freed by two CPUs at once");
}

/* So it does for blocks, where each one is given back by itself. */
static void test_the_drain_finds_blocks_too(void **state)
{
	pfn_t f = page_alloc(&pa, 3, PAGE_ANY);
	uint64_t word = pa.descs[f.n].word;

	(void)state;
	page_free(&pa, f, 3);
	host_cpu = 1;
	pa.descs[f.n].word = word;
	page_free(&pa, f, 3);
	page_cpu_drain(&pa, 1);
	page_cpu_drain(&pa, 0);
	assert_refused("page freed by two CPUs at once");
}

/* Whoever finds no memory gets what its own CPU has cached, in any order. */
static void test_the_cache_is_emptied_before_failing(void **state)
{
	static pfn_t got[512];

	(void)state;
	page_setup(GIB, 512);
	for (size_t i = 0; i < 512; i++)
		got[i] = page_alloc(&pa, 0, PAGE_ANY);
	assert_true(pfn_is_none(page_alloc(&pa, 0, PAGE_ANY)));
	for (size_t i = 0; i < 512; i++)
		page_free(&pa, got[i], 0);
	got[0] = page_alloc(&pa, 9, PAGE_ANY);
	assert_false(pfn_is_none(got[0]));
	page_free(&pa, got[0], 9);
	assert_false(pfn_is_none(page_alloc_run(&pa, 512, PAGE_ANY)));
	page_verify();
}

static void test_a_cpu_without_a_cache_works(void **state)
{
	pfn_t f;

	(void)state;
	host_cpu = THREADS;
	f = page_alloc(&pa, 0, PAGE_ANY);
	page_free(&pa, f, 0);
	page_cpu_drain(&pa, host_cpu);
	assert_int_equal(cpu_figures(host_cpu).allocs[0], 0);
	assert_int_equal(page_figures().counters.frees[0], 1);
	page_verify();
	page_setup(GIB, 1);
	f = page_alloc(&pa, 0, PAGE_ANY);
	assert_int_equal(page_cpu_online(&pa, 1), -ENOMEM);
}

/* With every pageblock in use: descriptors, bitmaps, records, superblocks and caches. */
static void test_metadata_a_page(void **state)
{
	(void)state;
	assert_true(page_figures().metadata_bytes + GIB * sizeof(struct page) <= GIB * 33 / 4);
}

struct worker {
	pthread_t thread;
	unsigned cpu;
	uint64_t random;
};

static pthread_barrier_t turn;
static pfn_t exchange[THREADS][HELD]; /* allocated by one thread, freed by the next */

static void *work(void *argument)
{
	struct worker *w = argument;

	host_cpu = w->cpu;
	for (unsigned round = 0; round < ROUNDS; round++) {
		pfn_t *mine = exchange[w->cpu], *theirs = exchange[(w->cpu + 1) % THREADS];

		for (unsigned i = 0; i < HELD; i++) {
			mine[i] = page_alloc(&pa, 0, PAGE_ANY);
			page_free(&pa, page_alloc(&pa, i % 5, PAGE_ANY), i % 5);
		}
		for (unsigned i = HELD - 1; i > 0; i--) {
			unsigned j = (unsigned)(host_random(&w->random) % (i + 1));
			pfn_t t = mine[i];

			mine[i] = mine[j];
			mine[j] = t;
		}
		pthread_barrier_wait(&turn);
		for (unsigned i = 0; i < HELD; i++)
			page_free(&pa, theirs[i], 0);
		pthread_barrier_wait(&turn);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct worker workers[THREADS];
	uint64_t free = page_free_pages(&pa);

	(void)state;
	assert_int_equal(pthread_barrier_init(&turn, NULL, THREADS), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.cpu = i, .random = i + 1};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
	pthread_barrier_destroy(&turn);
	page_verify();
	assert_int_equal(host_misuses, 0);
	assert_int_equal(page_free_pages(&pa), free);
	page_drain();
	page_verify();
	assert_int_equal(page_free_pages(&pa), free);
}

/* Memory below 4 GiB is for those who need it, while there is other: no CPU keeps it. */
static void test_scarce_memory_is_not_kept(void **state)
{
	const struct region ram[] = {
		{{3 * (uint64_t)GIB}, 64 * MIB, REGION_USABLE},
		{{4 * (uint64_t)GIB}, 64 * MIB, REGION_USABLE},
	};
	uint64_t cached;
	pfn_t f;

	(void)state;
	host_pages_init(&pa, ram, array_len(ram));
	f = page_alloc(&pa, 0, PAGE_BELOW_4G);
	page_free(&pa, page_alloc(&pa, 0, PAGE_ANY), 0);
	cached = page_figures().cached;
	assert_true(cached > 0);
	page_free(&pa, f, 0);
	assert_int_equal(page_figures().cached, cached);
	page_verify();
}

/* What a CPU frees it keeps, also where memory is less than a GiB. */
static void test_little_memory_is_kept(void **state)
{
	uint64_t cached;
	pfn_t f;

	(void)state;
	page_setup(GIB, 64 * MIB);
	f = page_alloc(&pa, 0, PAGE_ANY);
	cached = page_figures().cached;
	page_free(&pa, f, 0);
	assert_int_equal(page_figures().cached, cached + 1);
	page_verify();
}

#define CASE(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_cached_pages_are_free),
		CASE(test_limits),
		CASE(test_the_last_freed_comes_first),
		CASE(test_remote_frees_do_not_pile_up),
		CASE(test_double_free_of_a_cached_page),
		CASE(test_a_page_in_two_caches),
		CASE(test_the_drain_finds_it_too),
		CASE(test_the_drain_finds_blocks_too),
		CASE(test_the_cache_is_emptied_before_failing),
		CASE(test_a_cpu_without_a_cache_works),
		CASE(test_metadata_a_page),
		CASE(test_threads),
		CASE(test_scarce_memory_is_not_kept),
		CASE(test_little_memory_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
