/* SPDX-License-Identifier: MIT */
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
 * Lock: pa->lock for the whole snapshot; other CPUs' caches are read as they are.
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

/* Those asleep: wholly free, or not handed over. */
static void add_stretch(const struct page_allocator *pa, const struct stretch *s,
			struct page_stats *out, uint64_t *n)
{
	struct sleepers sleepers = stretch_sleepers(pa, s);

	for (unsigned k = 0; k <= PAGE_ORDER_MAX; k++)
		n[k] += sleepers.given * (SUPERBLOCK_PAGES >> k);
	out->pageblocks += sleepers.all * SUPERBLOCK_BLOCKS;
	out->fullness[0] += sleepers.given * SUPERBLOCK_BLOCKS;
	out->fullness[PAGE_FULLNESS_STEPS - 1] +=
		(sleepers.all - sleepers.given) * SUPERBLOCK_BLOCKS;
}

/* Another CPU's figures, as they are at this moment: its owner changes them without a lock. */
racy_read_fn void page_cpu_stats(const struct page_allocator *pa, unsigned cpu,
				 struct page_cpu_stats *out)
{
	const struct page_cpu *pc = cpu < PORT_CPUS_MAX ? pa->caches[cpu] : NULL;

	*out = (struct page_cpu_stats){0};
	if (!pc)
		return;
	out->refills = pc->refills;
	out->drains = pc->drains;
	for (unsigned k = 0; k < PAGE_CACHE_ORDERS; k++) {
		const volatile struct page_stack *s = &pc->stack[k];

		out->cached[k] = s->count;
		out->limit[k] = pa->cache_limit[k];
		out->allocs[k] = s->allocs;
		out->frees[k] = out->allocs[k] + out->cached[k] - s->moved_in;
		out->pages += out->cached[k] << k;
	}
}

static void add_free(struct page_stats *out, unsigned zone, uint64_t pages)
{
	out->node[zone / PAGE_ZONES][zone % PAGE_ZONES].free += pages;
	out->zone[zone % PAGE_ZONES].free += pages;
	out->free += pages;
}

/* What a CPU has cached is free memory, and what it has served was served. */
static void add_cpu(const struct page_allocator *pa, unsigned cpu, struct page_stats *out)
{
	const struct page_cpu *pc = pa->caches[cpu];
	struct page_cpu_stats of;

	page_cpu_stats(pa, cpu, &of);
	for (unsigned k = 0; k < PAGE_CACHE_ORDERS; k++) {
		const pfn_t *frames = pc ? &pc->frames[page_cache_first(k)] : NULL;

		for (uint64_t i = 0; i < of.cached[k]; i++)
			add_free(out, superblock_at(pa, frames[i].n)->zone, (uint64_t)1 << k);
		out->counters.allocs[k] += of.allocs[k];
		out->counters.frees[k] += of.frees[k];
		out->free_blocks[k] += of.cached[k];
	}
	out->cached += of.pages;
}

void page_stats(struct page_allocator *pa, struct page_stats *out)
{
	uint64_t n[PAGE_ORDER_MAX + 2] = {0};
	port_irq_t irq;

	*out = (struct page_stats){0};
	irq = spin_lock(&pa->lock);
	page_settle(pa);
	out->nodes = pa->nodes;
	for (unsigned i = 0; i < pa->nodes * PAGE_ZONES; i++) {
		const struct page_free_set *zone = &pa->zones[i];

		out->node[i / PAGE_ZONES][i % PAGE_ZONES].managed = zone->managed;
		out->zone[i % PAGE_ZONES].managed += zone->managed;
		out->managed += zone->managed;
		add_free(out, i, zone->free);
	}
	for (uint32_t i = 0; i < pa->superblock_count; i++)
		if (!superblock_sleeps(pa, i))
			add_superblock(&pa->superblocks[i], out, n);
	for (uint32_t i = 0; i < pa->stretch_count; i++)
		add_stretch(pa, &pa->stretches[i], out, n);
	out->superblocks = pa->superblock_count;
	out->metadata_bytes = pa->metadata_bytes;
	out->counters = pa->counters;
	for (uint32_t i = 0; i < pa->sample_count; i++) {
		pfn_t frame = pa->samples[(pa->sample_first + i) % PAGE_SAMPLES];

		add_free(out, superblock_at(pa, frame.n)->zone, 1);
		out->free_blocks[0]++;
	}
	out->cached = pa->sample_count;
	for (unsigned cpu = 0; cpu < pa->cpus; cpu++)
		add_cpu(pa, cpu, out);
	spin_unlock(&pa->lock, irq);

	out->used = out->managed - out->free;
	for (unsigned k = 0; k <= PAGE_ORDER_MAX; k++)
		out->free_blocks[k] += n[k] - 2 * n[k + 1];
}

racy_read_fn uint64_t page_free_pages(const struct page_allocator *pa)
{
	struct page_cpu_stats of;
	uint64_t pages = 0;

	for (unsigned z = 0; z < pa->nodes * PAGE_ZONES; z++)
		pages += *(const volatile uint64_t *)&pa->zones[z].free;
	for (unsigned cpu = 0; cpu < pa->cpus; cpu++) {
		page_cpu_stats(pa, cpu, &of);
		pages += of.pages;
	}
	return pages + __atomic_load_n(&pa->sample_count, __ATOMIC_RELAXED);
}
