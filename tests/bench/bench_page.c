/* SPDX-License-Identifier: MIT */
/*
 * Instructions and time of the page allocator's operations on a host.
 *
 *   bench_page                     ns an operation, best of several
 *   bench_page OPERATION COUNT     that one, COUNT times, and nothing else: run
 *                                  under valgrind --tool=callgrind with two
 *                                  counts, the difference is its instructions
 *
 * The lock is taken, misuse is checked, descriptors are written: as shipped.
 */
#include "../host/pages.h"
#include <quire/errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RAM_PAGES 262144u
#define HELD      100000u
#define WORD      64u

static struct page_allocator pa;
static pfn_t held[HELD];

static void pairs(unsigned order, uint64_t count)
{
	while (count--) {
		pfn_t f = page_alloc(&pa, order, PAGE_ANY);

		__asm__ volatile("" : : "r"(f.n) : "memory");
		page_free(&pa, f, order);
	}
}

static void order0(uint64_t count)
{
	pairs(0, count);
}

static void order3(uint64_t count)
{
	pairs(3, count);
}

/* As on a machine that has been running: some pageblocks are partly used. */
static void make_warm(void)
{
	pfn_t small = page_alloc(&pa, 0, PAGE_ANY), large = page_alloc(&pa, 9, PAGE_ANY);

	if (pfn_is_none(small) || pfn_is_none(large))
		abort();
}

static void order0_warm(uint64_t count)
{
	make_warm();
	pairs(0, count);
}

static void order3_warm(uint64_t count)
{
	make_warm();
	pairs(3, count);
}

static void order9_warm(uint64_t count)
{
	make_warm();
	pairs(9, count);
}

static void order9(uint64_t count)
{
	pairs(9, count);
}

static void order10(uint64_t count)
{
	pairs(10, count);
}

static void bulk_word(uint64_t count)
{
	for (uint64_t i = 0; i < count; i += WORD) {
		if (page_alloc_bulk(&pa, held, WORD, PAGE_ANY) != WORD)
			abort();
		page_free_bulk(&pa, held, WORD);
	}
}

static void bulk_alloc(uint64_t count)
{
	if (page_alloc_bulk(&pa, held, count, PAGE_ANY) != count)
		abort();
}

static void bulk_alloc_and_free(uint64_t count)
{
	bulk_alloc(count);
	page_free_bulk(&pa, held, count);
}

static void fill(uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		held[i] = page_alloc(&pa, 0, PAGE_ANY);
	for (uint64_t i = 0; i < count; i++)
		page_free(&pa, held[i], 0);
}

/* Free and allocate at random among 10,000 pages. */
static void churn(uint64_t count)
{
	uint64_t random = 1;

	if (page_alloc_bulk(&pa, held, 10000, PAGE_ANY) != 10000)
		abort();
	while (count--) {
		pfn_t *slot = &held[host_random(&random) % 10000];

		page_free(&pa, *slot, 0);
		*slot = page_alloc(&pa, 0, PAGE_ANY);
	}
	page_free_bulk(&pa, held, 10000);
}

static const struct {
	const char *name;
	void (*run)(uint64_t count);
	uint64_t count;
} operations[] = {
	{"order-0-pair", order0, 1000000},      {"order-3-pair", order3, 1000000},
	{"order-9-pair", order9, 1000000},      {"order-0-warm", order0_warm, 1000000},
	{"order-3-warm", order3_warm, 1000000}, {"order-9-warm", order9_warm, 1000000},
	{"order-10-pair", order10, 1000000},    {"bulk-64", bulk_word, 64 * 20000},
	{"bulk-alloc", bulk_alloc, HELD},       {"bulk-alloc-free", bulk_alloc_and_free, HELD},
	{"fill-and-free", fill, HELD},          {"churn", churn, 1000000},
};

static void prepare(void)
{
	const struct region ram[] = {{pfn(RAM_PAGES), RAM_PAGES, REGION_USABLE}};

	host_pages_init(&pa, ram, 1);
	/* Every descriptor's memory is there: page faults of the host are not what is measured. */
	for (uint64_t n = 0; n < RAM_PAGES; n += PAGEBLOCK_PAGES)
		pa.descs[RAM_PAGES + n].word = 0;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void measure_all(void)
{
	for (size_t i = 0; i < array_len(operations); i++) {
		double best = 1e9;

		for (unsigned round = 0; round < 5; round++) {
			double start, taken;

			prepare();
			start = seconds();
			operations[i].run(operations[i].count);
			taken = seconds() - start;
			best = taken < best ? taken : best;
		}
		printf("%-16s %7.2f ns\n", operations[i].name,
		       best * 1e9 / (double)operations[i].count);
	}
}

int main(int argc, char **argv)
{
	if (argc == 1) {
		measure_all();
		return 0;
	}
	for (size_t i = 0; argc == 3 && i < array_len(operations); i++)
		if (!strcmp(argv[1], operations[i].name)) {
			prepare();
			operations[i].run(strtoull(argv[2], NULL, 0));
			return 0;
		}
	fprintf(stderr, "usage: %s [OPERATION COUNT]\n", argv[0]);
	return 2;
}
