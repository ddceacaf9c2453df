/* SPDX-License-Identifier: MIT */
/*
 * Instruction counts of kmalloc on the host, for callgrind; and pages held for what is live.
 *
 *   valgrind --tool=callgrind --callgrind-out-file=/dev/null bench_kmalloc pair 64 100000
 *
 * Run one case with two counts: the difference in instructions, divided by the
 * difference in counts, is what one operation costs, loop included. The case
 * `loop` is the loop alone. tests/bench/kmalloc.sh does all of it.
 */
#include "host.h"
#include <quire/kmalloc.h>
#include <quire/region.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RAM_PAGES  (512 * 512)
#define BATCH      1000
#define CHURN      10000
#define SEED       42
#define USE(value) __asm__ volatile("" : "+r"(value) : : "memory")

struct kheap kernel_heap;
static struct page_allocator pages;
static void *objects[CHURN];
static size_t asked[CHURN];

static void bench_loop(size_t bytes, uint64_t count)
{
	for (; count; count--)
		USE(bytes);
}

static void bench_pair(size_t bytes, uint64_t count)
{
	for (; count; count--) {
		void *object;

		USE(bytes);
		object = kmalloc(bytes);
		USE(object);
		kfree(object);
	}
}

static void bench_cache_pair(size_t bytes, uint64_t count)
{
	struct kmem_cache *cache = kmem_cache_create(&kernel_heap, "bench", bytes, 0);

	for (; cache && count; count--) {
		void *object = kmem_cache_alloc(cache, 0);

		USE(object);
		kmem_cache_free(cache, object);
	}
}

/* A thousand allocated, then freed from the last: one operation = one pair. */
static void bench_lifo(size_t bytes, uint64_t count)
{
	for (; count >= BATCH; count -= BATCH) {
		for (unsigned i = 0; i < BATCH; i++)
			objects[i] = kmalloc(bytes);
		for (unsigned i = BATCH; i > 0; i--)
			kfree(objects[i - 1]);
	}
}

/* Random slots change hands, 16..1024 bytes. */
static void churn(uint64_t *random, uint64_t count, bool work)
{
	for (; count; count--) {
		uint64_t r = host_random(random);
		size_t slot = (r >> 32) % CHURN, bytes = 16 + (uint32_t)r % 1009;

		USE(slot);
		USE(bytes);
		if (work) {
			kfree(objects[slot]);
			objects[slot] = kmalloc(bytes);
		}
		asked[slot] = bytes;
	}
}

static void bench_churn(size_t bytes, uint64_t count)
{
	uint64_t random = SEED;

	churn(&random, CHURN * 10, true);
	churn(&random, count, bytes != 0);
}

/* At ten points of a long churn; the mean, since one point is as good or bad luck as another. */
static void bench_held(size_t bytes, uint64_t count)
{
	uint64_t live = 0, held = 0, cached = 0, books = 0, as_objects = 0, random = SEED;
	struct kheap_stats stats;

	(void)bytes;
	for (unsigned point = 0; point < 10; point++) {
		churn(&random, count / 10, true);
		kheap_stats(&kernel_heap, &stats);
		for (unsigned i = 0; i < CHURN; i++)
			live += objects[i] ? asked[i] : 0;
		held += (stats.slab_pages + stats.header_pages + stats.large_pages) * PAGE_BYTES;
		cached += stats.cached_bytes;
		books += stats.header_pages * PAGE_BYTES;
		as_objects += stats.live_bytes;
	}
	printf("held for each byte live: %.4f; rounded up %.4f, in magazines %.4f, books %.4f\n",
	       (double)held / (double)live, (double)as_objects / (double)live - 1,
	       (double)cached / (double)live, (double)books / (double)live);
}

/* The table of docs/adr/0004-kmalloc.md. */
static void bench_classes(size_t bytes, uint64_t count)
{
	struct kmem_cache_stats c;
	double sum = 0;
	size_t i = 0;

	(void)bytes;
	(void)count;
	printf("| object | slab KiB | objects | behind the last | of the slab "
	       "|\n|--:|--:|--:|--:|--:|\n");
	for (; kheap_cache_stats(&kernel_heap, i, &c) && c.size_class; i++) {
		double share = 100.0 * c.waste_bytes / (double)(c.slab_pages * PAGE_BYTES);

		sum += share;
		printf("| %u | %u | %u | %u | %.1f %% |\n", c.object_bytes, c.slab_pages * 4,
		       c.objects_per_slab, c.waste_bytes, share);
	}
	printf("mean %.1f %%\n", sum / (double)i);
}

static const struct {
	const char *name;
	void (*run)(size_t bytes, uint64_t count);
} cases[] = {
	{"loop", bench_loop},       {"pair", bench_pair},   {"cache-pair", bench_cache_pair},
	{"lifo", bench_lifo},       {"churn", bench_churn}, {"held", bench_held},
	{"classes", bench_classes},
};

int main(int argc, char **argv)
{
	const struct region ram[] = {{pfn(512), RAM_PAGES, REGION_USABLE}};

	host_ram_init((512 + RAM_PAGES) * PAGE_BYTES);
	host_pages_init(&pages, ram, 1);
	kheap_init(&kernel_heap, &pages);
	for (size_t i = 0; argc == 4 && i < array_len(cases); i++) {
		if (strcmp(cases[i].name, argv[1]) == 0) {
			cases[i].run(strtoul(argv[2], NULL, 0), strtoul(argv[3], NULL, 0));
			return 0;
		}
	}
	fprintf(stderr,
		"usage: bench_kmalloc loop|pair|cache-pair|lifo|churn|held|classes BYTES COUNT\n");
	return 2;
}
