// SPDX-License-Identifier: MIT
/*
 * Figures for people: zones, free blocks by order, pageblocks by fullness.
 *
 * Free memory "as a buddy allocator would list it" needs no lists. Let N(k) be
 * the number of aligned free runs of 2^k frames, wherever they are, part of
 * larger ones or not. A free run of order k + 1 is exactly two of order k, so
 *   maximal blocks of order k = N(k) - 2 N(k + 1)
 * and N is counted by folding bitmaps: no search, no state of its own.
 *
 * Wholly free, whole taken and untouched pageblocks are counted from the
 * superblock's sets; only partly used ones have their bitmaps read.
 *
 * Lock: pa->lock for the whole snapshot.
 */
#include "page_internal.h"

/* N(k) for the runs that lie within words, and those of whole words. */
static void count_runs(const uint64_t *bits, uint64_t runs, uint64_t *n)
{
	for (unsigned w = 0; w < BITS_WORDS; w++)
		for (unsigned k = 0; k <= 6 && runs >> (w * 8 + k) & 1; k++)
			n[k] += (uint64_t)__builtin_popcountll(word_run_starts(bits[w], k));
	for (unsigned k = 7; k <= 9; k++)
		n[k] += (uint64_t)__builtin_popcountll(runs_words(runs, k));
}

static unsigned fullness_step(unsigned free)
{
	unsigned used = BITS_FULL - free;

	if (!used)
		return 0;
	return free ? 1 + used * 4 / BITS_FULL : PAGE_FULLNESS_STEPS - 1;
}

static void add_partial(const struct superblock *sb, unsigned block, struct page_stats *out,
			uint64_t *n)
{
	const struct pageblock *info = block_info(sb, block);

	count_runs(block_bits(sb, block), info->runs, n);
	out->fullness[fullness_step(info->free)]++;
}

static void add_superblock(const struct superblock *sb, struct page_stats *out, uint64_t *n)
{
	uint64_t described = 0, spare = 0, partial = 0;
	uint64_t pageblock_runs[10] = {0};

	for (unsigned w = 0; w < BITS_WORDS; w++) {
		uint64_t open = sb->described[w] & ~sb->fresh[w] & ~sb->taken[w] & ~sb->spare[w];

		described += (uint64_t)__builtin_popcountll(sb->described[w]);
		spare += (uint64_t)__builtin_popcountll(sb->spare[w]);
		partial += (uint64_t)__builtin_popcountll(open);
		for (; open; open &= open - 1)
			add_partial(sb, w * 64 + bits_lowest(open), out, n);
	}
	count_runs(sb->spare, sb->spare_runs, pageblock_runs);
	for (unsigned k = 0; k < CLASS_WHOLE; k++)
		n[k] += spare * (PAGEBLOCK_PAGES >> k);
	for (unsigned k = 0; k < array_len(pageblock_runs); k++)
		n[CLASS_WHOLE + k] += pageblock_runs[k];
	out->pageblocks += described;
	out->fullness[0] += spare;
	out->fullness[PAGE_FULLNESS_STEPS - 1] += described - spare - partial;
}

void page_stats(struct page_allocator *pa, struct page_stats *out)
{
	uint64_t n[PAGE_ORDER_MAX + 2] = {0};
	port_irq_t irq;

	*out = (struct page_stats){0};
	irq = spin_lock(&pa->lock);
	for (unsigned z = 0; z < PAGE_ZONES; z++) {
		out->zone[z].managed = pa->zones[z].managed;
		out->zone[z].free = pa->zones[z].free;
		out->managed += pa->zones[z].managed;
		out->free += pa->zones[z].free;
	}
	for (uint32_t i = 0; i < pa->superblock_count; i++)
		add_superblock(&pa->superblocks[i], out, n);
	out->superblocks = pa->superblock_count;
	out->metadata_bytes = pa->metadata_bytes;
	out->counters = pa->counters;
	spin_unlock(&pa->lock, irq);

	out->used = out->managed - out->free;
	for (unsigned k = 0; k <= PAGE_ORDER_MAX; k++)
		out->free_blocks[k] = n[k] - 2 * n[k + 1];
}
