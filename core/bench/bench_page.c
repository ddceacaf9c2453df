/* SPDX-License-Identifier: MIT */
/* Pages: one block of an order allocated and freed again, over and over. */
#include "bench.h"
#include <quire/memory.h>

#define PAIRS 10000u

static const char *prepare_pair(const struct bench *b)
{
	pfn_t block = page_alloc(&kernel_pages, b->parameter, PAGE_ANY);

	if (pfn_is_none(block))
		return "no free block of this order";
	page_free(&kernel_pages, block, b->parameter);
	return NULL;
}

static void round_pair(const struct bench *b, struct bench_round *r)
{
	unsigned order = b->parameter;
	uint64_t start = port_cycles();

	for (unsigned i = PAIRS; i; i--) {
		pfn_t block = page_alloc(&kernel_pages, order, PAGE_ANY);

		page_free(&kernel_pages, block, order);
	}
	bench_record(r, 0, port_cycles() - start, PAIRS);
}

/* The most frequent request of all: its order is a constant for the compiler, as it mostly is. */
static void round_one(const struct bench *b, struct bench_round *r)
{
	uint64_t start = port_cycles();

	(void)b;
	for (unsigned i = PAIRS; i; i--)
		page_free(&kernel_pages, page_alloc(&kernel_pages, 0, PAGE_ANY), 0);
	bench_record(r, 0, port_cycles() - start, PAIRS);
}

#define PAIR(n)                                                                                    \
	{                                                                                          \
		.name = "page-" #n, .what = "page alloc + free, order " #n, .parameter = n,        \
		.prepare = prepare_pair, .round = round_pair,                                      \
	}

const struct bench bench_page[] = {
	{
		.name = "page-0",
		.what = "page alloc + free, order 0",
		.prepare = prepare_pair,
		.round = round_one,
	},
	PAIR(1),
	PAIR(2),
	PAIR(3),
	PAIR(4),
	PAIR(5),
	PAIR(9),
	PAIR(10),
	{.name = NULL},
};
