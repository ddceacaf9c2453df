/* SPDX-License-Identifier: MIT */
/*
 * Do large blocks come back? Fill memory with single pages, free at random down
 * to a share of them, then churn: free 1,024 at random, allocate as many
 * again, over and over. Of the 2 MiB blocks that the freed pages could form,
 * how many are free in the end?
 *
 * At most 1 GiB takes part; the rest is held in large blocks meanwhile.
 */
#include "bench.h"
#include <quire/kmalloc.h>
#include <quire/memory.h>

#define POOL_PAGES  SUPERBLOCK_PAGES
#define SPARE_PAGES 512u /* left to everyone else */
#define LEAST_PAGES 8192u
#define HELD_MAX    8192u /* large blocks */
#define BATCH       1024u
#define SEED        12345u

struct block {
	pfn_t head;
	unsigned order;
};

static pfn_t *frames;
static size_t count; /* of frames, as filled */
static struct block *held;
static size_t held_count;

/* Is the memory of that kind given out? */
static bool is_given_out(enum region_kind kind)
{
	return kind == REGION_USABLE || kind == REGION_RECLAIMABLE;
}

/* Free pages in the pageblock of `frame`, unless they are counted: `last` is the one counted last. */
static uint64_t free_in_block(uint64_t frame, uint64_t *last)
{
	struct page_about about;

	if (frame / PAGEBLOCK_PAGES == 0 || frame / PAGEBLOCK_PAGES == *last)
		return 0;
	*last = frame / PAGEBLOCK_PAGES;
	page_about(&kernel_pages, pfn(frame), &about);
	return about.block_free;
}

/*
 * Free pages of pageblocks that are never whole, because firmware, the kernel or nothing at all
 * has the rest: those at either end of each stretch of memory. Not pageblock 0's.
 */
static uint64_t free_beside_reserved(void)
{
	uint64_t sum = 0, last = UINT64_MAX;
	size_t count_regions;
	const struct region *r = memory_regions(&count_regions), *end = r + count_regions;

	while (r < end) {
		uint64_t first = r->start.n, next = first;

		for (; r < end && r->start.n == next && is_given_out(r->kind); r++)
			next += r->pages;
		if (next == first) {
			r++;
			continue;
		}
		if (first % PAGEBLOCK_PAGES)
			sum += free_in_block(first, &last);
		if (next % PAGEBLOCK_PAGES)
			sum += free_in_block(next - 1, &last);
	}
	return sum;
}

/*
 * Whole blocks there are, and could be: of the free pages but those whose pageblock is never
 * whole. Pageblock 0 is kept for who needs low memory.
 */
static void count_blocks(uint64_t *whole, uint64_t *possible)
{
	static struct page_stats stats;
	port_irq_t irq = port_irq_save();

	/* Pages in this CPU's cache are free, but in no block. */
	page_cpu_drain(&kernel_pages, port_cpu());
	port_irq_restore(irq);
	page_stats(&kernel_pages, &stats);
	*possible = (stats.free - stats.zone[PAGE_ZONE_LOW].free - free_beside_reserved()) /
		    PAGEBLOCK_PAGES;
	*whole = 0;
	for (unsigned k = PAGEBLOCK_SHIFT; k <= PAGE_ORDER_MAX; k++)
		*whole += stats.free_blocks[k] << (k - PAGEBLOCK_SHIFT);
}

/* Take what is more than the pool. */
static void hold_rest(void)
{
	for (unsigned order = PAGE_ORDER_MAX; order >= PAGEBLOCK_SHIFT; order--) {
		while (held_count < HELD_MAX &&
		       page_free_pages(&kernel_pages) >= POOL_PAGES + ((uint64_t)1 << order)) {
			pfn_t head = page_alloc(&kernel_pages, order, PAGE_ANY);

			if (pfn_is_none(head))
				break;
			held[held_count++] = (struct block){head, order};
		}
	}
}

static const char *prepare(const struct bench *b)
{
	uint64_t pages;

	(void)b;
	count = held_count = 0;
	held = kmalloc_array(HELD_MAX, sizeof *held);
	if (!held)
		return "no memory for the list of blocks";
	hold_rest();
	pages = page_free_pages(&kernel_pages);
	if (pages > POOL_PAGES + PAGEBLOCK_PAGES)
		return "more memory than can be held meanwhile";
	frames = kmalloc_array(pages, sizeof *frames);
	return frames ? NULL : "no memory for the list of pages";
}

static void finish(void)
{
	if (frames)
		page_free_bulk(&kernel_pages, frames, count);
	while (held_count) {
		held_count--;
		page_free(&kernel_pages, held[held_count].head, held[held_count].order);
	}
	kfree(frames);
	kfree(held);
	frames = NULL;
	held = NULL;
	count = 0;
}

/* `chosen` frames at random to the front of the `among` first. */
static void choose(uint64_t *random, size_t chosen, size_t among)
{
	for (size_t i = 0; i < chosen; i++) {
		size_t j = i + bench_random_below(random, (uint32_t)(among - i));
		pfn_t other = frames[j];

		frames[j] = frames[i];
		frames[i] = other;
	}
}

/* `turns` batches among the `count` live frames. False when given up. */
static bool churn(uint64_t *random, size_t turns)
{
	for (size_t t = 0; t < turns; t++) {
		size_t got;

		if (bench_progress(t, turns))
			return false;
		choose(random, BATCH, count);
		for (size_t i = 0; i < BATCH; i++)
			page_free(&kernel_pages, frames[i], 0);
		for (got = 0; got < BATCH; got++) {
			frames[got] = page_alloc(&kernel_pages, 0, PAGE_ANY);
			if (pfn_is_none(frames[got]))
				break;
		}
		if (got < BATCH) { /* somebody else took what was free: close the gap */
			for (size_t i = BATCH; i < count; i++)
				frames[got + i - BATCH] = frames[i];
			count -= BATCH - got;
			return false;
		}
	}
	return true;
}

static void round_recovery(const struct bench *b, struct bench_round *r)
{
	uint64_t random = SEED + b->parameter, whole, possible;
	size_t filled = page_free_pages(&kernel_pages) - SPARE_PAGES, live, freed;

	filled = count = page_alloc_bulk(&kernel_pages, frames, filled, PAGE_ANY);
	live = filled * b->parameter / 100;
	freed = filled - live;
	choose(&random, freed, filled);
	page_free_bulk(&kernel_pages, frames, freed);
	for (size_t i = 0; i < live; i++)
		frames[i] = frames[freed + i];
	count = live;
	if (!churn(&random, filled / 64))
		return;
	count_blocks(&whole, &possible);
	bench_record(r, 0, 100 * whole, possible);
}

#define RECOVERY(percent)                                                                          \
	{                                                                                          \
		.name = "recovery-" #percent,                                                      \
		.what = "% of possible 2 MiB blocks free, " #percent " % live", .unit = "%",       \
		.parameter = percent, .rounds = 1, .slow = true, .needs_pages = LEAST_PAGES,       \
		.prepare = prepare, .round = round_recovery, .finish = finish,                     \
	}

const struct bench bench_recovery[] = {
	RECOVERY(50),
	RECOVERY(70),
	RECOVERY(90),
	{.name = NULL},
};
