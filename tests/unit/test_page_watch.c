/* SPDX-License-Identifier: MIT */
/* Watching the page allocator: closing and opening the caches loses no page, and nobody slips past. */
#include "page_fixture.h"

#include <pthread.h>
#include <sched.h>

enum {
	CPUS = 4,
	STEPS = 20000,
	SLOTS = 300,
	TURNS = 12
};

static int setup(void **state)
{
	(void)state;
	host_cpu = 0;
	host_ram_init((uint64_t)2 * GIB * PAGE_BYTES);
	page_setup(GIB, GIB);
	for (unsigned cpu = 1; cpu < CPUS; cpu++)
		assert_int_equal(page_cpu_online(&pa, cpu), 0);
	page_drain();
	return 0;
}

/* Something in the caches of all CPUs, in every order. */
static void fill(void)
{
	for (host_cpu = 0; host_cpu < CPUS; host_cpu++)
		for (unsigned order = 0; order < PAGE_CACHE_ORDERS; order++)
			page_free(&pa, page_alloc(&pa, order, PAGE_ANY), order);
	host_cpu = 0;
	assert_true(page_figures().cached > CPUS);
}

static void assert_same_figures(const struct page_stats *a, const struct page_stats *b)
{
	assert_int_equal(a->free, b->free);
	assert_int_equal(a->used, b->used);
	assert_memory_equal(a->counters.allocs, b->counters.allocs, sizeof a->counters.allocs);
	assert_memory_equal(a->counters.frees, b->counters.frees, sizeof a->counters.frees);
	assert_int_equal(a->counters.failures, b->counters.failures);
}

static void test_closing_loses_nothing(void **state)
{
	struct page_stats before, after;

	(void)state;
	fill();
	before = page_figures();
	page_watch(&pa, WATCH_TRACE, 0);
	after = page_figures();
	assert_int_equal(after.cached, 0);
	assert_same_figures(&before, &after);
	page_verify();
	page_watch(&pa, 0, WATCH_TRACE);
	after = page_figures();
	assert_same_figures(&before, &after);
	page_verify();
}

static void test_counts_are_exact_while_closed(void **state)
{
	struct page_stats before = page_figures(), after;

	(void)state;
	page_watch(&pa, WATCH_FAIL, 0);
	for (unsigned order = 0; order < PAGE_CACHE_ORDERS; order++) {
		pfn_t f = page_alloc(&pa, order, PAGE_ANY);

		assert_int_equal(page_figures().counters.allocs[order],
				 before.counters.allocs[order] + 1);
		assert_int_equal(page_figures().free, before.free - ((uint64_t)1 << order));
		page_free(&pa, f, order);
		assert_int_equal(page_figures().counters.frees[order],
				 before.counters.frees[order] + 1);
	}
	after = page_figures();
	assert_int_equal(after.cached, 0);
	assert_int_equal(after.free, before.free);
	page_watch(&pa, 0, WATCH_FAIL);
	page_free(&pa, page_alloc(&pa, 0, PAGE_ANY), 0);
	assert_true(page_figures().cached > 0);
	page_verify();
}

/* On twice is on, off twice is off, and one flag does not open what another keeps closed. */
static void test_flags(void **state)
{
	(void)state;
	page_watch(&pa, WATCH_TRACE, 0);
	page_watch(&pa, WATCH_TRACE | WATCH_FAIL, 0);
	assert_int_equal(pa.watch, WATCH_TRACE | WATCH_FAIL);
	page_watch(&pa, 0, WATCH_TRACE);
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		assert_ptr_equal(pa.cpu[cpu], &page_cpu_closed);
	page_watch(&pa, WATCH_FAIL, WATCH_FAIL); /* off wins */
	page_watch(&pa, 0, WATCH_FAIL);
	assert_int_equal(pa.watch, 0);
	assert_int_equal(pa.closers, 0);
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		assert_ptr_equal(pa.cpu[cpu], pa.caches[cpu]);
	assert_ptr_equal(pa.cpu[CPUS], &page_cpu_closed);
}

/* The validator closes for itself, and leaves open or closed as it was. */
static void test_check_leaves_it_as_it_was(void **state)
{
	(void)state;
	fill();
	page_verify();
	assert_true(page_figures().cached > 0);
	assert_ptr_equal(pa.cpu[0], pa.caches[0]);
	page_watch(&pa, WATCH_TRACE, 0);
	page_verify();
	assert_ptr_equal(pa.cpu[0], &page_cpu_closed);
}

static void test_a_cpu_comes_while_closed(void **state)
{
	(void)state;
	page_watch(&pa, WATCH_TRACE, 0);
	assert_int_equal(page_cpu_online(&pa, CPUS), 0);
	assert_ptr_equal(pa.cpu[CPUS], &page_cpu_closed);
	page_watch(&pa, 0, WATCH_TRACE);
	assert_ptr_equal(pa.cpu[CPUS], pa.caches[CPUS]);
}

/* Every CPU there can be is online: closing and opening them touches nothing beside. */
static void test_the_last_cpu(void **state)
{
	struct page_cpu *first = pa.caches[0];

	(void)state;
	assert_int_equal(page_cpu_online(&pa, PORT_CPUS_MAX - 1), 0);
	page_watch(&pa, WATCH_TRACE, 0);
	page_watch(&pa, 0, WATCH_TRACE);
	assert_ptr_equal(pa.caches[0], first);
	assert_ptr_equal(pa.cpu[PORT_CPUS_MAX - 1], pa.caches[PORT_CPUS_MAX - 1]);
	page_verify();
}

/* ---- several CPUs ---- */

struct worker {
	pthread_t thread;
	uint64_t random, allocs[4];
	unsigned cpu;
};

struct slot {
	pfn_t frame;
	unsigned order;
	bool taken;
};

static pthread_barrier_t start;
static unsigned watching;

static void step(struct worker *w, struct slot *s)
{
	host_stretch_begin();
	if (s->taken) {
		page_free(&pa, s->frame, s->order);
		s->taken = false;
	} else {
		s->order = (unsigned)host_random(&w->random) % 4;
		s->frame = page_alloc(&pa, s->order, PAGE_ANY);
		s->taken = !pfn_is_none(s->frame);
		w->allocs[s->order] += s->taken;
	}
	host_stretch_end();
}

static void *work(void *argument)
{
	struct worker *w = argument;
	struct slot slots[SLOTS] = {0};
	unsigned long steps = host_amount(STEPS);

	host_cpu = w->cpu;
	pthread_barrier_wait(&start);
	for (unsigned i = 0; i < steps || __atomic_load_n(&watching, __ATOMIC_ACQUIRE); i++)
		step(w, &slots[host_random(&w->random) % SLOTS]);
	for (unsigned i = 0; i < SLOTS; i++)
		if (slots[i].taken)
			step(w, &slots[i]);
	return NULL;
}

static void *watcher(void *argument)
{
	uint32_t flag = (uint32_t)(uintptr_t)argument;

	host_cpu = 100 + flag;
	pthread_barrier_wait(&start);
	for (unsigned i = 0; i < host_amount(TURNS); i++) {
		const char *wrong;

		page_watch(&pa, flag, 0);
		wrong = i % 4 ? NULL : page_check(&pa);
		if (wrong) {
			fprintf(stderr, "%s\n", wrong);
			abort();
		}
		page_watch(&pa, 0, flag);
		sched_yield();
	}
	__atomic_fetch_sub(&watching, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* Two who watch and cease to at any time, over CPUs that never stop. */
static void test_from_several_threads(void **state)
{
	static struct worker workers[CPUS];
	struct page_stats before = page_figures(), after;
	pthread_t watchers[2];

	(void)state;
	assert_int_equal(pthread_barrier_init(&start, NULL, CPUS + 2), 0);
	watching = 2;
	for (unsigned i = 0; i < CPUS; i++) {
		workers[i] = (struct worker){.random = i, .cpu = i};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&watchers[i], NULL, watcher,
						(void *)(uintptr_t)(i ? WATCH_TRACE : WATCH_FAIL)),
				 0);
	for (unsigned i = 0; i < CPUS; i++) {
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
		for (unsigned k = 0; k < array_len(workers[i].allocs); k++)
			before.counters.allocs[k] += workers[i].allocs[k];
	}
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_join(watchers[i], NULL), 0);
	pthread_barrier_destroy(&start);
	after = page_figures();
	assert_memory_equal(after.counters.allocs, before.counters.allocs,
			    sizeof before.counters.allocs);
	assert_memory_equal(after.counters.frees, before.counters.allocs,
			    sizeof before.counters.allocs);
	assert_int_equal(after.free, before.free);
	assert_int_equal(host_misuses, 0);
	assert_int_equal(pa.watch, 0);
	assert_int_equal(pa.closers, 0);
	page_verify();
}

/* To begin one way of watching ends no other, and a plan that is over fails nothing. */
static void test_each_for_itself(void **state)
{
	const struct alloc_fail_plan all = {.mode = ALLOC_FAIL_EVERY, .n = 1};
	static uint64_t memory[128];
	pfn_t f;

	(void)state;
	page_watch(&pa, WATCH_TRACK, 0);
	page_trace(&pa, alloc_trace_init(memory, sizeof memory));
	assert_int_equal(pa.watch, WATCH_TRACK | WATCH_TRACE);
	page_fail(&pa, &all);
	assert_int_equal(page_alloc_bulk(&pa, &f, 1, PAGE_ANY), 0);
	page_fail(&pa, NULL);
	assert_int_equal(page_alloc_bulk(&pa, &f, 1, PAGE_ANY), 1);
	/* There is no such CPU. */
	page_cpu_drain(&pa, PORT_CPUS_MAX);
	page_trace(&pa, NULL);
	page_watch(&pa, 0, WATCH_TRACK);
	page_verify();
}

#define CASE(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_closing_loses_nothing),
		CASE(test_counts_are_exact_while_closed),
		CASE(test_flags),
		CASE(test_check_leaves_it_as_it_was),
		CASE(test_a_cpu_comes_while_closed),
		CASE(test_the_last_cpu),
		CASE(test_from_several_threads),
		CASE(test_each_for_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
