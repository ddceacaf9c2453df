/* SPDX-License-Identifier: MIT */
/*
 * Several CPUs (host threads) in one page allocator at once: blocks of all cached orders, runs,
 * pages with several owners, blocks freed by others, and figures read meanwhile.
 */
#include "page_fixture.h"

#include <pthread.h>

enum {
	THREADS = 4,
	SLOTS = 64,
	STEPS = 40000,
	PAGES = 64 * 512
};

struct worker {
	pthread_t thread;
	uint64_t random;
	unsigned cpu;
	unsigned damaged;
};

/* A block, encoded: frame << 8 | order + 1; 0 for none. Atomic: whoever takes it out has it. */
static uint64_t shared[SLOTS];
static pthread_barrier_t start;

static uint64_t *contents(uint64_t frame)
{
	return port_phys_to_virt(pfn_to_paddr(pfn(frame)));
}

static void put(struct worker *w, uint64_t block)
{
	uint64_t frame = block >> 8;

	if (!block)
		return;
	w->damaged += *contents(frame) != frame;
	*contents(frame) = 0;
	if (block & 0x80)
		page_free_run(&pa, pfn(frame));
	else
		page_put(&pa, pfn(frame));
}

static uint64_t take(struct worker *w)
{
	uint64_t r = host_random(&w->random), pages = r % 30 + 1;
	unsigned order = (unsigned)(r >> 8) % PAGE_CACHE_ORDERS;
	bool run = (r >> 16) % 8 == 0;
	pfn_t frame = run ? page_alloc_run(&pa, pages, 0) : page_alloc(&pa, order, 0);

	if (pfn_is_none(frame))
		return 0;
	*contents(frame.n) = frame.n;
	if (!run && (r >> 20) % 4 == 0) { /* a second owner for a moment */
		page_get(&pa, frame);
		page_put(&pa, frame);
	}
	return frame.n << 8 | (run ? 0x80 : 0) | 1;
}

static void *work(void *argument)
{
	struct worker *w = argument;

	host_cpu = w->cpu;
	pthread_barrier_wait(&start);
	for (unsigned i = 0; i < STEPS; i++) {
		uint64_t *slot = &shared[host_random(&w->random) % SLOTS];
		uint64_t mine = i % 2 ? 0 : take(w);

		put(w, __atomic_exchange_n(slot, mine, __ATOMIC_ACQ_REL));
		if (i % 1000 == 0)
			(void)page_free_pages(&pa);
		if (i % 5000 == 0)
			page_cpu_drain(&pa, host_cpu);
	}
	for (unsigned i = 0; i < SLOTS; i++)
		put(w, __atomic_exchange_n(&shared[i], 0, __ATOMIC_ACQ_REL));
	page_cpu_drain(&pa, host_cpu);
	return NULL;
}

static void test_threads(void **state)
{
	static struct worker workers[THREADS];
	uint64_t free_before;

	(void)state;
	host_ram_init((512 + PAGES) * PAGE_BYTES);
	page_setup(512, PAGES);
	for (unsigned i = 1; i < THREADS; i++)
		assert_int_equal(page_cpu_online(&pa, i), 0);
	free_before = page_free_pages(&pa);
	assert_int_equal(pthread_barrier_init(&start, NULL, THREADS), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.random = i, .cpu = i};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
		assert_int_equal(workers[i].damaged, 0);
	}
	pthread_barrier_destroy(&start);
	/* The first to end may have left what the others put back. */
	for (unsigned i = 0; i < SLOTS; i++)
		put(&workers[0], shared[i]);
	page_drain();
	assert_int_equal(host_misuses, 0);
	assert_int_equal(page_free_pages(&pa), free_before);
	page_verify();
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
