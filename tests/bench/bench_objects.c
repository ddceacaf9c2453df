/* SPDX-License-Identifier: MIT */
/*
 * Small objects on a host: Quire's kmalloc against whatever malloc() is (LD_PRELOAD changes it).
 *
 *   bench_objects ALLOCATOR OPERATION BYTES COUNT     ns an operation
 *
 * ALLOCATOR is quire, malloc, or none: the harness alone, to subtract. All are called through the
 * same two pointers. Under valgrind --tool=callgrind two counts give the instructions of one operation.
 */
#include "host.h"
#include <pthread.h>
#include <quire/kmalloc.h>
#include <quire/region.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RAM_PAGES (256 * 512u)
#define BATCH     1000
#define SLOTS     10000
#define RING      1024u /* objects on their way; a power of two */
#define USE(v)    __asm__ volatile("" : "+r"(v) : : "memory")

struct kheap kernel_heap;

static void *(*take)(size_t bytes);
static void (*give)(void *object);
static void *objects[SLOTS];

static void *none_take(size_t bytes)
{
	return (void *)bytes;
}

static void none_give(void *object)
{
	USE(object);
}

static void pair(size_t bytes, uint64_t count)
{
	while (count--) {
		void *object = take(bytes);

		USE(object);
		give(object);
	}
}

static void lifo(size_t bytes, uint64_t count)
{
	for (; count >= BATCH; count -= BATCH) {
		for (size_t i = 0; i < BATCH; i++)
			objects[i] = take(bytes);
		for (size_t i = BATCH; i > 0; i--)
			give(objects[i - 1]);
	}
}

/* One of 10,000 slots changes, 16..1024 bytes; `bytes` is not used. */
static void churn(size_t bytes, uint64_t count)
{
	static uint64_t random = 42;

	(void)bytes;
	for (size_t i = 0; i < SLOTS && !objects[i]; i++)
		objects[i] = take(64);
	while (count--) {
		uint64_t r = host_random(&random);
		void **slot = &objects[(r >> 32) * SLOTS >> 32];

		give(*slot);
		*slot = take(16 + ((uint32_t)r * (uint64_t)1009 >> 32));
	}
}

/* ---- two threads ---- */

static void *_Atomic ring[RING];
static uint64_t to_come;

static void *consume(void *argument)
{
	(void)argument;
	host_cpu = 1;
	for (uint64_t i = 0; i < to_come; i++) {
		void *object;

		while (!(object = atomic_load_explicit(&ring[i % RING], memory_order_acquire)))
			port_relax();
		atomic_store_explicit(&ring[i % RING], NULL, memory_order_release);
		give(object);
	}
	return NULL;
}

static void start(pthread_t *thread, void *(*run)(void *), void *argument)
{
	if (pthread_create(thread, NULL, run, argument))
		abort();
}

/* Allocated here, freed over there. */
static void handover(size_t bytes, uint64_t count)
{
	pthread_t consumer;

	to_come = count;
	start(&consumer, consume, NULL);
	for (uint64_t i = 0; i < count; i++) {
		void *object = take(bytes);

		while (atomic_load_explicit(&ring[i % RING], memory_order_acquire))
			port_relax();
		atomic_store_explicit(&ring[i % RING], object, memory_order_release);
	}
	pthread_join(consumer, NULL);
}

static size_t pair_bytes;

static void *pairs_beside(void *argument)
{
	host_cpu = 1;
	pair(pair_bytes, *(uint64_t *)argument);
	return NULL;
}

/* The same on two CPUs; ns as each of them sees it. */
static void pair_2(size_t bytes, uint64_t count)
{
	pthread_t other;

	pair_bytes = bytes;
	start(&other, pairs_beside, &count);
	pair(bytes, count);
	pthread_join(other, NULL);
}

static const struct {
	const char *name;
	void (*run)(size_t bytes, uint64_t count);
} operations[] = {
	{"pair", pair},         {"lifo", lifo},     {"churn", churn},
	{"handover", handover}, {"pair-2", pair_2},
};

static void use_quire(void)
{
	static struct page_allocator pages;
	const struct region ram[] = {{pfn(RAM_PAGES), RAM_PAGES, REGION_USABLE}};

	host_ram_init(2 * RAM_PAGES * PAGE_BYTES);
	host_pages_init(&pages, ram, 1);
	kheap_init(&kernel_heap, &pages);
	if (page_cpu_online(&pages, 1) || kheap_cpu_online(&kernel_heap, 1))
		abort();
	take = kmalloc;
	give = kfree;
}

static int choose(const char *allocator)
{
	if (!strcmp(allocator, "quire")) {
		use_quire();
	} else if (!strcmp(allocator, "malloc")) {
		take = malloc;
		give = free;
	} else if (!strcmp(allocator, "none")) {
		take = none_take;
		give = none_give;
	} else {
		return -1;
	}
	return 0;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 5 && i < array_len(operations); i++) {
		size_t bytes = strtoul(argv[3], NULL, 0);
		uint64_t count = strtoull(argv[4], NULL, 0);
		double from;

		if (strcmp(argv[2], operations[i].name) || choose(argv[1]))
			continue;
		operations[i].run(bytes, 10 * SLOTS); /* warm */
		from = seconds();
		operations[i].run(bytes, count);
		printf("%.3f\n", (seconds() - from) * 1e9 / (double)count);
		return 0;
	}
	fprintf(stderr, "usage: %s quire|malloc|none pair|lifo|churn|handover|pair-2 BYTES COUNT\n",
		argv[0]);
	return 2;
}
