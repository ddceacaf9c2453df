/* SPDX-License-Identifier: MIT */
/* Objects: one allocated and freed again; a thousand, the last one freed first; typed caches. */
#include "bench.h"
#include <quire/kmalloc.h>

#define PAIRS       10000u
#define BATCH       1000u
#define BATCH_TURNS 5u
#define CACHE_BYTES 64u
#define SPARE_PAGES 512u

static const char *const both_alloc_free[] = {"both", "alloc", "free", NULL};
static void **objects; /* BATCH */
static struct kmem_cache *cache;

/* The size comes from a struct the compiler cannot see through: known at run time only. */
static void round_pair(const struct bench *b, struct bench_round *r)
{
	size_t bytes = b->parameter;
	uint64_t start = port_cycles();

	for (unsigned i = PAIRS; i; i--)
		kfree(kmalloc(bytes));
	bench_record(r, 0, port_cycles() - start, PAIRS);
}

static const char *prepare_lifo(const struct bench *b)
{
	(void)b;
	objects = kmalloc_array(BATCH, sizeof *objects);
	return objects ? NULL : "no memory for the list of objects";
}

static void finish_lifo(void)
{
	kfree(objects);
	objects = NULL;
}

static void round_lifo(const struct bench *b, struct bench_round *r)
{
	size_t bytes = b->parameter;
	uint64_t allocating = 0, freeing = 0;

	for (unsigned turn = 0; turn < BATCH_TURNS; turn++) {
		uint64_t start = port_cycles(), between;

		for (size_t i = 0; i < BATCH; i++)
			objects[i] = kmalloc(bytes);
		between = port_cycles();
		for (size_t i = BATCH; i > 0; i--)
			kfree(objects[i - 1]);
		allocating += between - start;
		freeing += port_cycles() - between;
	}
	bench_record(r, 0, allocating + freeing, BATCH * BATCH_TURNS);
	bench_record(r, 1, allocating, BATCH * BATCH_TURNS);
	bench_record(r, 2, freeing, BATCH * BATCH_TURNS);
}

static const char *prepare_cache(const struct bench *b)
{
	cache = kmem_cache_create(&kernel_heap, "bench", b->parameter, 0);
	return cache ? NULL : "no memory for a cache";
}

static void finish_cache(void)
{
	if (cache && kmem_cache_destroy(cache))
		port_panic("the bench's cache is in use");
	cache = NULL;
}

static void round_cache(const struct bench *b, struct bench_round *r)
{
	uint64_t start = port_cycles();

	(void)b;
	for (unsigned i = PAIRS; i; i--)
		kmem_cache_free(cache, kmem_cache_alloc(cache, 0));
	bench_record(r, 0, port_cycles() - start, PAIRS);
}

#define PAIR(n)                                                                                    \
	{                                                                                          \
		.name = "kmalloc-" #n, .what = "kmalloc + kfree, " #n " bytes", .parameter = n,    \
		.needs_pages = SPARE_PAGES, .round = round_pair,                                   \
	}
#define LIFO(n)                                                                                    \
	{                                                                                          \
		.name = "kmalloc-lifo-" #n, .what = "1,000 of " #n " bytes, last in, first out",   \
		.parts = both_alloc_free, .parameter = n,                                          \
		.needs_pages = BATCH * (n) / PAGE_BYTES * 5 / 4 + SPARE_PAGES,                     \
		.prepare = prepare_lifo, .round = round_lifo, .finish = finish_lifo,               \
	}

const struct bench bench_kmalloc[] = {
	PAIR(16),
	PAIR(64),
	PAIR(256),
	PAIR(1024),
	PAIR(2048),
	PAIR(8192),
	PAIR(16384),
	PAIR(65536),
	LIFO(16),
	LIFO(64),
	LIFO(256),
	LIFO(1024),
	LIFO(8192),
	{
		.name = "kmem-cache",
		.what = "kmem_cache alloc + free, 64 bytes",
		.parameter = CACHE_BYTES,
		.prepare = prepare_cache,
		.round = round_cache,
		.finish = finish_cache,
	},
	{.name = NULL},
};
