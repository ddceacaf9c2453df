/* SPDX-License-Identifier: MIT */
/* Pages by the thousand: freed in any order, in bulk, and one in, one out. */
#include "bench.h"
#include <quire/kmalloc.h>
#include <quire/memory.h>

#define MANY        10000u
#define BULK        1000u
#define BULK_TURNS  10u
#define CHURN_TURNS 20000u
#define SPARE_PAGES 1024u /* left to everyone else */
#define SEED        0x9a9e5ull

static const char *const alloc_free[] = {"alloc", "free", NULL};
static pfn_t *frames; /* MANY */
static uint64_t random;

static void give_back(size_t count)
{
	for (size_t i = 0; i < count; i++)
		page_free(&kernel_pages, frames[i], 0);
}

static const char *prepare(const struct bench *b)
{
	(void)b;
	random = SEED;
	frames = kmalloc_array(MANY, sizeof *frames);
	return frames ? NULL : "no memory for the list of pages";
}

static void finish(void)
{
	kfree(frames);
	frames = NULL;
}

static void shuffle(void)
{
	for (uint32_t i = MANY - 1; i > 0; i--) {
		uint32_t j = bench_random_below(&random, i + 1);
		pfn_t other = frames[j];

		frames[j] = frames[i];
		frames[i] = other;
	}
}

static void round_shuffled(const struct bench *b, struct bench_round *r)
{
	uint64_t start = port_cycles();

	(void)b;
	for (size_t i = 0; i < MANY; i++)
		frames[i] = page_alloc(&kernel_pages, 0, PAGE_ANY);
	bench_record(r, 0, port_cycles() - start, MANY);
	shuffle();
	start = port_cycles();
	for (size_t i = 0; i < MANY; i++)
		page_free(&kernel_pages, frames[i], 0);
	bench_record(r, 1, port_cycles() - start, MANY);
}

static void round_bulk(const struct bench *b, struct bench_round *r)
{
	uint64_t allocating = 0, freeing = 0;

	(void)b;
	for (unsigned turn = 0; turn < BULK_TURNS; turn++) {
		uint64_t start = port_cycles(), between;
		size_t got = page_alloc_bulk(&kernel_pages, frames, BULK, PAGE_ANY);

		between = port_cycles();
		page_free_bulk(&kernel_pages, frames, got);
		allocating += between - start;
		freeing += port_cycles() - between;
		if (got < BULK)
			return;
	}
	bench_record(r, 0, allocating, BULK * BULK_TURNS);
	bench_record(r, 1, freeing, BULK * BULK_TURNS);
}

static const char *prepare_churn(const struct bench *b)
{
	const char *problem = prepare(b);
	size_t got;

	if (problem)
		return problem;
	got = page_alloc_bulk(&kernel_pages, frames, MANY, PAGE_ANY);
	if (got == MANY)
		return NULL;
	give_back(got);
	finish();
	return "not enough free pages";
}

static void finish_churn(void)
{
	if (frames)
		give_back(MANY);
	finish();
}

static void round_churn(const struct bench *b, struct bench_round *r)
{
	uint64_t start = port_cycles();

	(void)b;
	for (unsigned i = CHURN_TURNS; i; i--) {
		pfn_t *slot = &frames[bench_random_below(&random, MANY)];

		page_free(&kernel_pages, *slot, 0);
		*slot = page_alloc(&kernel_pages, 0, PAGE_ANY);
	}
	bench_record(r, 0, port_cycles() - start, CHURN_TURNS);
}

const struct bench bench_page_many[] = {
	{
		.name = "page-shuffled",
		.what = "10,000 pages, freed shuffled",
		.parts = alloc_free,
		.needs_pages = MANY + SPARE_PAGES,
		.prepare = prepare,
		.round = round_shuffled,
		.finish = finish,
	},
	{
		.name = "page-bulk",
		.what = "1,000 pages a call, per page",
		.parts = alloc_free,
		.needs_pages = BULK + SPARE_PAGES,
		.prepare = prepare,
		.round = round_bulk,
		.finish = finish,
	},
	{
		.name = "page-churn",
		.what = "one of 10,000 freed, one allocated",
		.needs_pages = MANY + SPARE_PAGES,
		.prepare = prepare_churn,
		.round = round_churn,
		.finish = finish_churn,
	},
	{.name = NULL},
};
