/* SPDX-License-Identifier: MIT */
/*
 * Quire's allocators on one and on two CPUs (threads) of a host.
 *
 *   bench_cpus          a line an operation: name, ns on one CPU, ns on each of two
 *
 * For the `remote` ones the two figures are: allocated and freed by one CPU, and allocated
 * by one and freed by the other, both by batches of 1,000 that change hands.
 */
#define _GNU_SOURCE
#include "host.h"
#include <pthread.h>
#include <quire/kmalloc.h>
#include <quire/region.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RAM_PAGES (512 * 512u)
#define MANY      10000u
#define BATCH     1000u
#define ROUNDS    5
#define COUNT     1000000ull
#define BYTES     64u
#define CPUS      2u

struct kheap kernel_heap;
static struct page_allocator pages;

/* What one CPU works with; far from the other's. */
struct worker {
	unsigned cpu;
	uint64_t random;
	void (*run)(struct worker *, uint64_t count);
	uint64_t count;
	double taken; /* seconds */
	pfn_t frames[MANY];
	void *objects[MANY];
} __attribute__((aligned(4096)));

static struct worker workers[CPUS];
static pthread_barrier_t together;

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* ---- operations ---- */

static void page_pair(struct worker *w, uint64_t count)
{
	(void)w;
	while (count--)
		page_free(&pages, page_alloc(&pages, 0, PAGE_ANY), 0);
}

static void page_pair_4(struct worker *w, uint64_t count)
{
	(void)w;
	while (count--)
		page_free(&pages, page_alloc(&pages, 4, PAGE_ANY), 4);
}

static void page_shuffled(struct worker *w, uint64_t count)
{
	for (; count >= MANY; count -= MANY) {
		for (size_t i = 0; i < MANY; i++)
			w->frames[i] = page_alloc(&pages, 0, PAGE_ANY);
		for (size_t i = MANY - 1; i > 0; i--) {
			size_t j = host_random(&w->random) % (i + 1);
			pfn_t other = w->frames[j];

			w->frames[j] = w->frames[i];
			w->frames[i] = other;
		}
		for (size_t i = 0; i < MANY; i++)
			page_free(&pages, w->frames[i], 0);
	}
}

static void object_pair(struct worker *w, uint64_t count)
{
	(void)w;
	while (count--)
		kfree(kmalloc(BYTES));
}

static void object_shuffled(struct worker *w, uint64_t count)
{
	for (; count >= MANY; count -= MANY) {
		for (size_t i = 0; i < MANY; i++)
			w->objects[i] = kmalloc(BYTES);
		for (size_t i = MANY - 1; i > 0; i--) {
			size_t j = host_random(&w->random) % (i + 1);
			void *other = w->objects[j];

			w->objects[j] = w->objects[i];
			w->objects[i] = other;
		}
		for (size_t i = 0; i < MANY; i++)
			kfree(w->objects[i]);
	}
}

/* ---- one or two CPUs ---- */

static void become(unsigned cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	(void)sched_setaffinity(0, sizeof one, &one); /* fewer CPUs: then they share */
	host_cpu = cpu;
}

static void *work(void *argument)
{
	struct worker *w = argument;
	double from;

	become(w->cpu);
	pthread_barrier_wait(&together);
	from = seconds();
	w->run(w, w->count);
	w->taken = seconds() - from;
	return NULL;
}

/* ns an operation, as each CPU sees it. */
static double measure(void (*run)(struct worker *, uint64_t), unsigned cpus)
{
	pthread_t threads[CPUS];
	double best = 1e9;

	for (unsigned round = 0; round < ROUNDS; round++) {
		double taken = 0;

		pthread_barrier_init(&together, NULL, cpus);
		for (unsigned i = 0; i < cpus; i++) {
			workers[i].run = run;
			workers[i].count = COUNT;
			if (pthread_create(&threads[i], NULL, work, &workers[i]))
				abort();
		}
		for (unsigned i = 0; i < cpus; i++) {
			pthread_join(threads[i], NULL);
			taken = workers[i].taken > taken ? workers[i].taken : taken;
		}
		best = taken < best ? taken : best;
	}
	return best * 1e9 / (double)COUNT;
}

/* ---- remote frees ---- */

static _Atomic unsigned turn; /* whose batch it is */
static double freeing;        /* seconds, CPU 1's */

static void *free_remotely(void *argument)
{
	struct worker *w = argument;

	become(1);
	for (uint64_t done = 0; done < w->count; done += BATCH) {
		double from;

		while (turn != 1)
			port_relax();
		from = seconds();
		for (size_t i = 0; i < BATCH; i++)
			kfree(w->objects[i]);
		freeing += seconds() - from;
		turn = 0;
	}
	return NULL;
}

/* ns an object, allocating and freeing. */
static double batches(bool remote)
{
	struct worker *w = &workers[0];
	pthread_t other;
	double allocating = 0;

	become(0);
	freeing = 0;
	turn = 0;
	w->count = COUNT / 10 * 2;
	if (remote && pthread_create(&other, NULL, free_remotely, w))
		abort();
	for (uint64_t done = 0; done < w->count; done += BATCH) {
		double from = seconds();

		for (size_t i = 0; i < BATCH; i++)
			w->objects[i] = kmalloc(BYTES);
		allocating += seconds() - from;
		if (remote) {
			turn = 1;
			while (turn != 0)
				port_relax();
			continue;
		}
		from = seconds();
		for (size_t i = 0; i < BATCH; i++)
			kfree(w->objects[i]);
		freeing += seconds() - from;
	}
	if (remote)
		pthread_join(other, NULL);
	return (allocating + freeing) * 1e9 / (double)w->count;
}

static double best_batches(bool remote)
{
	double best = 1e9;

	for (unsigned round = 0; round < ROUNDS; round++) {
		double ns = batches(remote);

		best = ns < best ? ns : best;
	}
	return best;
}

static const struct {
	const char *name;
	void (*run)(struct worker *, uint64_t);
} operations[] = {
	{"page-pair", page_pair},
	{"page-pair-order-4", page_pair_4},
	{"page-shuffled", page_shuffled},
	{"object-pair", object_pair},
	{"object-shuffled", object_shuffled},
};

static void bring_online(void)
{
	const struct region ram[] = {{pfn(RAM_PAGES), RAM_PAGES, REGION_USABLE}};

	host_ram_init(2 * RAM_PAGES * PAGE_BYTES);
	host_pages_init(&pages, ram, 1);
	kheap_init(&kernel_heap, &pages);
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		workers[cpu].cpu = cpu;
		workers[cpu].random = cpu + 1;
		if (cpu && (page_cpu_online(&pages, cpu) || kheap_cpu_online(&kernel_heap, cpu)))
			abort();
	}
}

int main(void)
{
	bring_online();
	for (size_t i = 0; i < array_len(operations); i++) {
		double one = measure(operations[i].run, 1), two = measure(operations[i].run, CPUS);

		printf("%s %.2f %.2f\n", operations[i].name, one, two);
		fflush(stdout);
	}
	printf("remote %.2f %.2f\n", best_batches(false), best_batches(true));
	return 0;
}
