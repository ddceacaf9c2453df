/* SPDX-License-Identifier: MIT */
/* Several CPUs in one heap at once (host threads): nothing happens outside the lock that must not. */
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
	unsigned char mark;
	unsigned damaged;
};

struct slot {
	unsigned char *object;
	size_t bytes;
	bool typed;
};

static pthread_barrier_t start;

static void put(struct worker *w, struct slot *s)
{
	for (size_t i = 0; i < s->bytes; i++)
		w->damaged += s->object[i] != w->mark;
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
	if (s->object)
		memset(s->object, w->mark, s->bytes);
}

static void *work(void *argument)
{
	struct worker *w = argument;
	struct slot slots[SLOTS] = {0};

	pthread_barrier_wait(&start);
	for (unsigned i = 0; i < STEPS; i++) {
		struct slot *s = &slots[host_random(&w->random) % SLOTS];

		if (i % 5000 == 0)
			kheap_trim(&kernel_heap);
		if (s->object)
			put(w, s);
		else
			get(w, s);
	}
	for (unsigned i = 0; i < SLOTS; i++)
		if (slots[i].object)
			put(w, &slots[i]);
	return NULL;
}

static void test_threads(void **state)
{
	static struct worker workers[THREADS];
	struct kmem_cache *cache = kmem_cache_create(&kernel_heap, "shared", 200, 0);

	(void)state;
	assert_non_null(cache);
	assert_int_equal(pthread_barrier_init(&start, NULL, THREADS), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){
			.cache = cache,
			.random = i,
			.mark = (unsigned char)(i + 1),
		};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
		assert_int_equal(workers[i].damaged, 0);
	}
	pthread_barrier_destroy(&start);
	assert_int_equal(host_misuses, 0);
	assert_int_equal(kmem_cache_destroy(cache), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {heap_test(test_threads)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
