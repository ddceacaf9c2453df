/* SPDX-License-Identifier: MIT */
/*
 * Objects of mixed sizes that come and go: what a change costs, and how many
 * bytes kmalloc holds for those asked for.
 */
#include "bench.h"
#include <quire/kmalloc.h>
#include <quire/memory.h>

#define SLOTS       10000u
#define LEAST_BYTES 16u
#define SIZES       1009u /* up to 1,024 */
#define TURNS       20000u
#define WARM_TURNS  100000u
#define NEEDS_PAGES 4096u
#define SEED        0x5107ull

struct slot {
	void *object;
	uint32_t bytes;
};

static struct slot *slots; /* SLOTS */
static uint64_t random;
static uint64_t held_before;

static void churn(unsigned turns)
{
	for (; turns; turns--) {
		struct slot *s = &slots[bench_random_below(&random, SLOTS)];
		uint32_t bytes = LEAST_BYTES + bench_random_below(&random, SIZES);

		kfree(s->object);
		s->object = kmalloc(bytes);
		s->bytes = bytes;
	}
}

static uint64_t held_bytes(void)
{
	struct kheap_stats s;

	kheap_stats(&kernel_heap, &s);
	return (s.slab_pages + s.header_pages + s.large_pages) * PAGE_BYTES;
}

static const char *prepare(const struct bench *b)
{
	(void)b;
	random = SEED;
	slots = kcalloc(SLOTS, sizeof *slots);
	if (!slots)
		return "no memory for the slots";
	memory_settle(); /* what others freed and caches still hold is not ours */
	held_before = held_bytes();
	for (unsigned i = 0; i < SLOTS; i++) {
		slots[i].bytes = LEAST_BYTES + bench_random_below(&random, SIZES);
		slots[i].object = kmalloc(slots[i].bytes);
	}
	churn(WARM_TURNS);
	return NULL;
}

static void finish(void)
{
	for (unsigned i = 0; slots && i < SLOTS; i++)
		kfree(slots[i].object);
	kfree(slots);
	slots = NULL;
}

static void round_churn(const struct bench *b, struct bench_round *r)
{
	uint64_t start = port_cycles();

	(void)b;
	churn(TURNS);
	bench_record(r, 0, port_cycles() - start, TURNS);
}

/* What the churn's loop costs without the allocator. */
static void round_random(const struct bench *b, struct bench_round *r)
{
	uint64_t start = port_cycles();

	(void)b;
	for (unsigned i = TURNS; i; i--) {
		struct slot *s = &slots[bench_random_below(&random, SLOTS)];

		s->bytes = LEAST_BYTES + bench_random_below(&random, SIZES);
	}
	bench_record(r, 0, port_cycles() - start, TURNS);
}

static void round_waste(const struct bench *b, struct bench_round *r)
{
	uint64_t live = 0;

	(void)b;
	churn(TURNS);
	for (unsigned i = 0; i < SLOTS; i++)
		live += slots[i].object ? slots[i].bytes : 0;
	bench_record(r, 0, held_bytes() - held_before, live);
}

const struct bench bench_kmalloc_many[] = {
	{
		.name = "kmalloc-churn",
		.what = "10,000 slots, one changed, 16..1024 bytes",
		.needs_pages = NEEDS_PAGES,
		.prepare = prepare,
		.round = round_churn,
		.finish = finish,
	},
	{
		.name = "churn-loop",
		.what = "of that, random numbers and loop",
		.needs_pages = NEEDS_PAGES,
		.prepare = prepare,
		.round = round_random,
		.finish = finish,
	},
	{
		.name = "kmalloc-waste",
		.what = "bytes held a byte live, after the churn",
		.unit = "ratio",
		.needs_pages = NEEDS_PAGES,
		.prepare = prepare,
		.round = round_waste,
		.finish = finish,
	},
	{.name = NULL},
};
