/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: bytes are calls. Whatever order they come in, right or wrong, the
 * allocator's books must balance after every one of the last and at the end,
 * and giving everything back must leave memory as it was.
 *
 *   byte 0     map: which regions, how ragged
 *   then       operation and two operands, a byte each
 */
#include "../host/pages.h"
#include <quire/region.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIVE_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct page_allocator pa;

struct held {
	pfn_t frame;
	unsigned order, references;
	bool run;
};
static struct held live[LIVE_MAX];
static size_t live_count;

static void must(bool condition, const char *what)
{
	if (!condition) {
		fprintf(stderr, "fuzz_page: %s\n", what);
		abort();
	}
}

static void check(void)
{
	const char *wrong = page_check(&pa);

	must(!wrong, wrong);
}

static void start(uint8_t shape)
{
	struct region ram[4];
	size_t count = 0;

	if (shape & 1)
		ram[count++] = (struct region){pfn(1), 100 + shape / 2u, REGION_USABLE};
	if (shape & 2)
		ram[count++] = (struct region){pfn(600 + shape), 2000, REGION_USABLE};
	ram[count++] = (struct region){pfn(SUPERBLOCK_PAGES - 512u * (shape >> 5)), 3000u + shape,
				       REGION_USABLE};
	if (shape & 4)
		ram[count++] = (struct region){pfn(9 * SUPERBLOCK_PAGES), 5000, REGION_USABLE};
	host_pages_init(&pa, ram, count);
	host_misuse_reset();
	live_count = 0;
}

static void take(uint8_t a, uint8_t b, bool run)
{
	unsigned flags = b & (PAGE_BELOW_4G | PAGE_BELOW_1M), order = a % (PAGE_ORDER_MAX + 2);
	pfn_t f = run ? page_alloc_run(&pa, a * 9u, flags) : page_alloc(&pa, order, flags);

	if (!pfn_is_none(f))
		live[live_count++] =
			(struct held){.frame = f, .order = order, .references = 1, .run = run};
}

static void give(size_t i)
{
	struct held *h = &live[i];

	if (h->run)
		page_free_run(&pa, h->frame);
	else if (h->references > 1)
		page_put(&pa, h->frame);
	else
		page_free(&pa, h->frame, h->order);
	if (--h->references == 0)
		*h = live[--live_count];
}

/* Any frame, any order: only what is held exactly so may go. */
static void give_anything(uint8_t a, uint8_t b)
{
	pfn_t frame = live_count ? pfn_add(live[a % live_count].frame, b % 5u) : pfn(a * 40u);
	unsigned order = b / 8u;
	uint64_t before = page_free_pages(&pa);

	for (size_t i = 0; i < live_count; i++)
		if (live[i].frame.n == frame.n && !live[i].run && live[i].order == order &&
		    live[i].references == 1)
			return;
	page_free(&pa, frame, order);
	must(host_misuses == 1 && page_free_pages(&pa) == before, "a wrong free went through");
	host_misuse_reset();
}

static void bulk(uint8_t a)
{
	pfn_t frames[256];
	size_t n = page_alloc_bulk(&pa, frames, a, PAGE_ANY);

	page_free_bulk(&pa, frames, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > 1 + 3 * 200)
		return 0;
	start(data[0]);
	for (size_t i = 1; i + 3 <= size; i += 3) {
		uint8_t what = data[i], a = data[i + 1], b = data[i + 2];

		if (what < 96 && live_count < LIVE_MAX)
			take(a, b, false);
		else if (what < 128 && live_count < LIVE_MAX)
			take(a, b, true);
		else if (what < 208 && live_count)
			give(a % live_count);
		else if (what < 224)
			bulk(a);
		else if (what < 236 && live_count && !live[a % live_count].run) {
			page_get(&pa, live[a % live_count].frame);
			live[a % live_count].references++;
		} else
			give_anything(a, b);
		if (i % 48 == 1)
			check();
		must(host_misuses == 0, "a right call was refused");
	}
	check();
	while (live_count)
		give(live_count - 1);
	check();
	{
		struct page_stats stats;

		page_stats(&pa, &stats);
		must(stats.free == stats.managed, "pages are missing at the end");
	}
	return 0;
}
