/* SPDX-License-Identifier: MIT */
/* Several CPUs in one heap at once (host threads), which also free each other's objects. */
#include "kmalloc_fixture.h"

#include <pthread.h>

enum {
	THREADS = 4,
	SLOTS = 300,
	STEPS = 150000
};

struct worker {
	pthread_t thread;
	struct kmem_cache *cache;
	uint64_t random;
	unsigned cpu;
	unsigned char mark;
	unsigned damaged;
};

struct slot {
	unsigned char *object;
	size_t bytes;
	bool typed;
	unsigned char mark;
};

static pthread_barrier_t start;
static struct slot *passed[SLOTS]; /* from hand to hand */

static void put(struct worker *w, struct slot *s)
{
	for (size_t i = 0; i < s->bytes; i++)
		w->damaged += s->object[i] != s->mark;
	if (s->typed)
		kmem_cache_free(w->cache, s->object);
	else
		kfree(s->object);
	s->object = NULL;
}

static void get(struct worker *w, struct slot *s)
{
	uint64_t r = host_random(&w->random);

	s->typed = r % 4 == 0;
	s->bytes = s->typed ? 200 : (r >> 8) % (r % 64 == 1 ? 30000 : 600);
	s->object = s->typed ? kmem_cache_alloc(w->cache, 0) : kmalloc(s->bytes);
	s->mark = w->mark;
	if (s->object)
		memset(s->object, w->mark, s->bytes);
}

static void *work(void *argument)
{
	struct worker *w = argument;
	struct slot *slots[SLOTS];

	for (unsigned i = 0; i < SLOTS; i++)
		slots[i] = calloc(1, sizeof *slots[i]);
	host_cpu = w->cpu;
	pthread_barrier_wait(&start);
	for (unsigned i = 0; i < STEPS; i++) {
		unsigned at = (unsigned)(host_random(&w->random) % SLOTS);
		struct slot *s = slots[at];

		if (i % 5000 == 0)
			kheap_trim(&kernel_heap);
		if (i % 4 == 0) { /* to be freed by whoever comes by */
			s = __atomic_exchange_n(&passed[at], s, __ATOMIC_ACQ_REL);
			slots[at] = s = s ? s : calloc(1, sizeof *s);
		}
		if (s->object)
			put(w, s);
		else
			get(w, s);
	}
	for (unsigned i = 0; i < SLOTS; i++) {
		if (slots[i]->object)
			put(w, slots[i]);
		free(slots[i]);
	}
	kheap_cpu_drain(&kernel_heap, host_cpu);
	return NULL;
}

static void test_threads(void **state)
{
	static struct worker workers[THREADS];
	struct kmem_cache *cache = kmem_cache_create(&kernel_heap, "shared", 200, 0);

	(void)state;
	assert_non_null(cache);
	for (unsigned i = 1; i < THREADS; i++)
		assert_int_equal(kheap_cpu_online(&kernel_heap, i), 0);
	assert_int_equal(pthread_barrier_init(&start, NULL, THREADS), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){
			.cache = cache,
			.random = i,
			.cpu = i,
			.mark = (unsigned char)(i + 1),
		};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
		assert_int_equal(workers[i].damaged, 0);
	}
	pthread_barrier_destroy(&start);
	for (unsigned i = 0; i < SLOTS; i++) {
		if (passed[i] && passed[i]->object)
			put(&workers[0], passed[i]);
		free(passed[i]);
	}
	assert_int_equal(host_misuses, 0);
	assert_int_equal(kmem_cache_destroy(cache), 0);
}

enum {
	SENT = 200000,
	WINDOW = 64
};
static void *window[WINDOW];

/* Frees what the other CPU allocates. */
static void *consume(void *argument)
{
	(void)argument;
	host_cpu = 1;
	for (unsigned i = 0; i < SENT; i++) {
		void *object;

		while (!(object = __atomic_exchange_n(&window[i % WINDOW], NULL, __ATOMIC_ACQUIRE)))
			port_relax();
		kfree(object);
	}
	kheap_cpu_drain(&kernel_heap, 1);
	return NULL;
}

/* What is freed elsewhere comes back: the heap stays as small as what is under way. */
static void test_remote_frees_do_not_pile_up(void **state)
{
	struct kheap_stats stats;
	uint64_t most = 0;
	pthread_t consumer;

	(void)state;
	assert_int_equal(kheap_cpu_online(&kernel_heap, 1), 0);
	assert_int_equal(pthread_create(&consumer, NULL, consume, NULL), 0);
	for (unsigned i = 0; i < SENT; i++) {
		void *object = kmalloc(64);

		assert_non_null(object);
		while (__atomic_load_n(&window[i % WINDOW], __ATOMIC_RELAXED))
			port_relax();
		__atomic_store_n(&window[i % WINDOW], object, __ATOMIC_RELEASE);
		if (i % 1000 == 0) {
			kheap_stats(&kernel_heap, &stats);
			most = stats.slab_pages > most ? stats.slab_pages : most;
		}
	}
	assert_int_equal(pthread_join(consumer, NULL), 0);
	assert_true(most <= 8);
	assert_int_equal(host_misuses, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {heap_test(test_threads),
					   heap_test(test_remote_frees_do_not_pile_up)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
