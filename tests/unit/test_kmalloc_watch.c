/* SPDX-License-Identifier: MIT */
/* Watching kmalloc: closing and opening the magazines loses nothing, and nobody slips past. */
#include "kmalloc_fixture.h"

#include <pthread.h>
#include <sched.h>

enum {
	OBJECTS = 400,
	THREADS = 3,
	STEPS = 40000,
	SLOTS = 200,
	TURNS = 16
};

static struct kheap_stats figures(void)
{
	struct kheap_stats stats;

	kheap_stats(&kernel_heap, &stats);
	return stats;
}

/* What does not depend on whether objects are in magazines or in slabs. */
static void assert_same_figures(struct kheap_stats a, struct kheap_stats b)
{
	assert_int_equal(a.live_objects, b.live_objects);
	assert_int_equal(a.live_bytes, b.live_bytes);
	assert_int_equal(a.large_live, b.large_live);
	assert_int_equal(a.large_allocs, b.large_allocs);
	assert_int_equal(a.large_frees, b.large_frees);
	assert_int_equal(a.large_pages, b.large_pages);
	assert_int_equal(a.misuses, b.misuses);
}

static uint64_t allocs_of(size_t bytes)
{
	struct kmem_cache_stats stats;

	assert_true(kheap_cache_stats(&kernel_heap, kmalloc_class(bytes), &stats));
	return stats.allocs;
}

/* Every other object is free again, so that all magazines in use are partly full. */
static void fill(void **objects)
{
	for (unsigned i = 0; i < OBJECTS; i++)
		objects[i] = kmalloc(i % 20 == 7 ? 20000 : 16 + i % 500);
	for (unsigned i = 0; i < OBJECTS; i += 2) {
		kfree(objects[i]);
		objects[i] = NULL;
	}
	assert_true(figures().cached_objects > 20);
}

static void empty(void **objects)
{
	for (unsigned i = 0; i < OBJECTS; i++)
		kfree(objects[i]);
}

static void test_closing_loses_nothing(void **state)
{
	void *objects[OBJECTS];
	struct kheap_stats before;

	(void)state;
	fill(objects);
	before = figures();
	kheap_watch(&kernel_heap, WATCH_TRACE, 0);
	assert_int_equal(figures().cached_objects, 0);
	assert_same_figures(before, figures());
	heap_verify();
	kheap_watch(&kernel_heap, 0, WATCH_TRACE);
	assert_same_figures(before, figures());
	heap_verify();
	empty(objects);
}

/* While closed every call counts exactly, and nothing goes into a magazine. */
static void test_counts_are_exact_while_closed(void **state)
{
	uint64_t allocs = allocs_of(64);
	struct kheap_stats before = figures(), during;
	void *objects[OBJECTS];

	(void)state;
	kheap_watch(&kernel_heap, WATCH_FAIL, 0);
	for (unsigned i = 0; i < OBJECTS; i++) {
		objects[i] = i % 4 ? kmalloc(64) : kmalloc(4 * PAGE_BYTES);
		assert_non_null(objects[i]);
	}
	during = figures();
	assert_int_equal(allocs_of(64), allocs + OBJECTS * 3 / 4);
	assert_int_equal(during.live_objects, before.live_objects + OBJECTS * 3 / 4);
	assert_int_equal(during.large_allocs, before.large_allocs + OBJECTS / 4);
	assert_int_equal(during.large_pages, before.large_pages + OBJECTS);
	for (unsigned i = 0; i < OBJECTS; i++)
		kfree(objects[i]);
	during = figures();
	assert_int_equal(during.cached_objects, 0);
	assert_int_equal(during.live_objects, before.live_objects);
	assert_int_equal(during.large_live, 0);
	heap_verify();
	kheap_watch(&kernel_heap, 0, WATCH_FAIL);
	kfree(kmalloc(64));
	assert_true(figures().cached_objects > 0);
}

/* On twice is on, off twice is off, and one flag does not open what another keeps closed. */
static void test_flags(void **state)
{
	struct kheap_cpu *own = kernel_heap.cpu[0];

	(void)state;
	assert_ptr_equal(own, &kernel_heap.first_cpu);
	kheap_watch(&kernel_heap, WATCH_TRACE, 0);
	kheap_watch(&kernel_heap, WATCH_TRACE | WATCH_FAIL, 0);
	assert_int_equal(kernel_heap.watch, WATCH_TRACE | WATCH_FAIL);
	assert_ptr_equal(kernel_heap.cpu[0], &kernel_heap.nobody);
	kheap_watch(&kernel_heap, 0, WATCH_TRACE);
	assert_ptr_equal(kernel_heap.cpu[0], &kernel_heap.nobody);
	kheap_watch(&kernel_heap, WATCH_FAIL, WATCH_FAIL); /* off wins */
	kheap_watch(&kernel_heap, 0, WATCH_FAIL);
	assert_int_equal(kernel_heap.watch, 0);
	assert_ptr_equal(kernel_heap.cpu[0], own);
	assert_int_equal(kernel_heap.closers, 0);
}

/* The validator closes for itself, and leaves open or closed as it was. */
static void test_check_leaves_it_as_it_was(void **state)
{
	void *object = kmalloc(64);

	(void)state;
	kfree(object);
	assert_true(figures().cached_objects > 0);
	assert_null(kheap_check(&kernel_heap));
	assert_true(figures().cached_objects > 0);
	assert_ptr_equal(kernel_heap.cpu[0], &kernel_heap.first_cpu);
	kheap_watch(&kernel_heap, WATCH_TRACE, 0);
	assert_null(kheap_check(&kernel_heap));
	assert_ptr_equal(kernel_heap.cpu[0], &kernel_heap.nobody);
	kheap_watch(&kernel_heap, 0, WATCH_TRACE);
}

/* While anyone needs them closed they are, whatever others switch. */
static void test_closers_add_up(void **state)
{
	port_irq_t irq = kheap_close(&kernel_heap);

	(void)state;
	assert_ptr_equal(kernel_heap.cpu[0], &kernel_heap.nobody);
	spin_unlock(&kernel_heap.lock, irq);
	kheap_watch(&kernel_heap, WATCH_TRACE, 0);
	kheap_watch(&kernel_heap, 0, WATCH_TRACE);
	assert_null(kheap_check(&kernel_heap));
	assert_ptr_equal(kernel_heap.cpu[0], &kernel_heap.nobody);
	irq = spin_lock(&kernel_heap.lock);
	kheap_open_locked(&kernel_heap);
	spin_unlock(&kernel_heap.lock, irq);
	assert_ptr_equal(kernel_heap.cpu[0], &kernel_heap.first_cpu);
}

/* A CPU that comes while closed is closed as well, and opens with the others. */
static void test_a_cpu_comes_while_closed(void **state)
{
	(void)state;
	kheap_watch(&kernel_heap, WATCH_TRACE, 0);
	assert_int_equal(kheap_cpu_online(&kernel_heap, 5), 0);
	assert_ptr_equal(kernel_heap.cpu[5], &kernel_heap.nobody);
	host_cpu = 5;
	kfree(kmalloc(64));
	assert_int_equal(figures().cached_objects, 0);
	kheap_watch(&kernel_heap, 0, WATCH_TRACE);
	kfree(kmalloc(64));
	assert_true(figures().cached_objects > 0);
	kheap_cpu_drain(&kernel_heap, 5);
	host_cpu = 0;
}

/* Slabs made from then on know; with it off again the magazines serve, and old slabs go on. */
static void test_tracking_at_run_time(void **state)
{
	struct kheap_about about;
	void *object;

	(void)state;
	kheap_free(&kernel_heap, kheap_alloc(&kernel_heap, 64, 0, 0x1111), 0x1112);
	kheap_watch(&kernel_heap, WATCH_TRACK, 0);
	object = kheap_alloc(&kernel_heap, 64, 0, 0x2222);
	kheap_about(&kernel_heap, object, &about);
	assert_int_equal((uint32_t)about.allocated_by,
			 0x2222); /* of a new slab: the old one went */
	kheap_watch(&kernel_heap, 0, WATCH_TRACK);
	kheap_about(&kernel_heap, object, &about);
	assert_int_equal((uint32_t)about.allocated_by, 0x2222);
	heap_verify();
	kheap_free(&kernel_heap, object, 0x3333);
	kfree(kmalloc(200));
	assert_true(figures().cached_objects > 0);
}

/* ---- several CPUs ---- */

struct worker {
	pthread_t thread;
	uint64_t random, small, large;
	unsigned cpu;
};

static pthread_barrier_t start;
static unsigned watching;

static void step(struct worker *w, void **slot)
{
	size_t bytes = host_random(&w->random) % 4 ? 64 : 4 * PAGE_BYTES;

	host_stretch_begin();
	if (*slot) {
		kfree(*slot);
		*slot = NULL;
	} else {
		*slot = kmalloc(bytes);
		w->small += *slot && bytes == 64;
		w->large += *slot && bytes != 64;
	}
	host_stretch_end();
}

static void *work(void *argument)
{
	struct worker *w = argument;
	void *slots[SLOTS] = {0};
	unsigned long steps = host_amount(STEPS);

	host_cpu = w->cpu;
	pthread_barrier_wait(&start);
	for (unsigned i = 0; i < steps || __atomic_load_n(&watching, __ATOMIC_ACQUIRE); i++)
		step(w, &slots[host_random(&w->random) % SLOTS]);
	for (unsigned i = 0; i < SLOTS; i++)
		if (slots[i])
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

		kheap_watch(&kernel_heap, flag, 0);
		wrong = i % 4 ? NULL : kheap_check(&kernel_heap);
		if (wrong) {
			fprintf(stderr, "%s\n", wrong);
			abort();
		}
		kheap_watch(&kernel_heap, 0, flag);
		sched_yield();
	}
	__atomic_fetch_sub(&watching, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* Two who watch and cease to at any time, over CPUs that never stop. */
static void test_from_several_threads(void **state)
{
	static struct worker workers[THREADS];
	uint64_t small = allocs_of(64), large = figures().large_allocs;
	pthread_t watchers[2];

	(void)state;
	assert_int_equal(pthread_barrier_init(&start, NULL, THREADS + 2), 0);
	watching = 2;
	for (unsigned i = 0; i < THREADS; i++) {
		if (i)
			assert_int_equal(kheap_cpu_online(&kernel_heap, i), 0);
		workers[i] = (struct worker){.random = i, .cpu = i};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&watchers[i], NULL, watcher,
						(void *)(uintptr_t)(i ? WATCH_TRACE : WATCH_FAIL)),
				 0);
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
		small += workers[i].small;
		large += workers[i].large;
	}
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_join(watchers[i], NULL), 0);
	pthread_barrier_destroy(&start);
	assert_int_equal(allocs_of(64), small);
	assert_int_equal(figures().large_allocs, large);
	assert_int_equal(figures().live_objects, 0);
	assert_int_equal(figures().large_live, 0);
	assert_int_equal(kernel_heap.watch, 0);
	assert_int_equal(kernel_heap.closers, 0);
	for (unsigned cpu = 0; cpu < THREADS; cpu++)
		assert_ptr_equal(kernel_heap.cpu[cpu], kernel_heap.online[cpu]);
	assert_int_equal(host_misuses, 0);
	kheap_watch(&kernel_heap, WATCH_TRACE, 0);
	kheap_watch(&kernel_heap, 0, WATCH_TRACE);
	assert_int_equal(figures().cached_objects, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		heap_test(test_closing_loses_nothing),
		heap_test(test_counts_are_exact_while_closed),
		heap_test(test_flags),
		heap_test(test_check_leaves_it_as_it_was),
		heap_test(test_closers_add_up),
		heap_test(test_a_cpu_comes_while_closed),
		heap_test(test_tracking_at_run_time),
		heap_test(test_from_several_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
