/* SPDX-License-Identifier: MIT */
/*
 * Writes to free pages, found: a free page filled with a pattern must still hold it.
 *
 *   release        a sample: now and then, the next page that a CPU frees. It waits in
 *                  pa->samples, in no bitmap and no cache, until others push it out or the CPU
 *                  drains its cache; then it is verified and becomes free like others.
 *   WATCH_DEBUG    every page freed in blocks and runs of up to 2 MiB, verified when
 *                  it is allocated, whatever way it goes out, and when WATCH_DEBUG ends.
 *
 * DESC_POISON in a free page's descriptor says that it holds the pattern:
 *
 *   samples(pa)   = pages with the mark that are in pa->samples; used in the bitmaps, free to all else
 *   patterned(pa) = the other pages with the mark; 0 without WATCH_DEBUG, so only the slow ways look
 *
 * How a sample is taken: the timer tick closes this CPU's cache (page_cpu_closed), so
 * the next calls come to the slow functions; the first free of a single page is the sample, and
 * opens the cache again, or the last of a few other calls does. The fast paths know nothing of it.
 *
 * A page that was written to is handed out all the same: it is the writer that is
 * broken, not the memory, and to keep the page would be a leak that hides it.
 *
 * Nothing here in builds that check every access (PORT_REDZONE): they see the write itself.
 * Lock: pa->lock; page_sample_tick() runs on its CPU with interrupts off.
 */
#include "page_internal.h"

#define PATTERN        0xfdfdfdfdfdfdfdfdull /* as an address, non-canonical */
#define PATTERN_WORDS  (PAGE_BYTES / sizeof(uint64_t))
#define SAMPLE_CALLS   16 /* through the slow functions, in wait of a free to sample */
#define PATTERNED_MOST PAGEBLOCK_PAGES

static uint64_t *page_words(uint64_t frame)
{
	return port_phys_to_virt(pfn_to_paddr(pfn(frame)));
}

static void fill(struct page_allocator *pa, uint64_t frame, uintptr_t caller)
{
	__builtin_memset(page_words(frame), (uint8_t)PATTERN, PAGE_BYTES);
	pa->descs[frame].word = PAGE_NONE | DESC_POISON | DESC_CALLER(caller);
	pa->counters.patterned++;
}

/* Take the mark off; a page that does not hold the pattern is noted for the report. */
static void verify(struct page_allocator *pa, uint64_t frame)
{
	const uint64_t *words = page_words(frame);
	uint64_t i = 0;

	while (i < PATTERN_WORDS && words[i] == PATTERN)
		i++;
	pa->counters.verified++;
	if (unlikely(i < PATTERN_WORDS)) {
		pa->counters.written_free++;
		pa->written = (struct page_written){
			.address = (frame << PAGE_SHIFT) + i * sizeof(uint64_t) +
				   bits_lowest(words[i] ^ PATTERN) / 8,
			.found = words[i],
			.freed_by = caller_expand(pa->descs[frame].word),
		};
	}
	pa->descs[frame].word &= ~(uint64_t)DESC_POISON;
}

void page_report_written(const struct page_written *w, uintptr_t caller)
{
	const struct misuse misuse = {
		.when = MISUSE_FOUND,
		.what = "write to a free page",
		.allocator = "page",
		.address = w->address,
		.object = align_down(w->address, PAGE_BYTES),
		.bytes = PAGE_BYTES,
		.cache = "free page",
		.found = w->found,
		.expected = PATTERN,
		.caller = caller,
		.freed_by = w->freed_by,
	};

	port_misuse(&misuse);
}

/* ---- every page ---- */

void pattern_give(struct page_allocator *pa, uint64_t frame, uint64_t pages, uintptr_t caller)
{
	struct superblock *sb = superblock_at(pa, frame);

	if (!(pa->watch & WATCH_DEBUG) || PORT_REDZONE > 0 || pages > PATTERNED_MOST)
		return;
	for (uint64_t end = frame + pages; frame < end; frame++) {
		if (bits_test(sb->fresh, frame_block(frame))) /* no descriptor to mark */
			continue;
		fill(pa, frame, caller);
		pa->patterned++;
	}
}

void pattern_take_marked(struct page_allocator *pa, uint64_t frame, uint64_t pages)
{
	for (uint64_t end = frame + pages; frame < end && pa->patterned; frame++) {
		if ((uint32_t)pa->descs[frame].word != (PAGE_NONE | DESC_POISON))
			continue;
		verify(pa, frame);
		pa->patterned--;
	}
}

void pattern_end(struct page_allocator *pa)
{
	for (uint32_t i = 0; i < pa->superblock_count && pa->patterned; i++) {
		const struct superblock *sb = &pa->superblocks[i];

		if (superblock_sleeps(pa, i))
			continue;
		for (unsigned block = 0; block < SUPERBLOCK_BLOCKS; block++)
			if (bits_test(sb->described, block) && !bits_test(sb->fresh, block))
				pattern_take_marked(pa, block_frame(sb, block), PAGEBLOCK_PAGES);
	}
}

/* ---- samples ---- */

void page_sample_rate(struct page_allocator *pa, uint32_t ticks)
{
	__atomic_store_n(&pa->sample_ticks, ticks, __ATOMIC_RELAXED);
}

void page_sample_next(struct page_allocator *pa)
{
	port_irq_t irq = port_irq_save();
	unsigned cpu = port_cpu();
	struct page_cpu *pc = pa->caches[cpu];

	if (pc && !PORT_REDZONE) {
		pc->sample_calls = SAMPLE_CALLS;
		__atomic_store_n(&pa->cpu[cpu], &page_cpu_closed, __ATOMIC_RELEASE);
	}
	port_irq_restore(irq);
}

void page_sample_tick(struct page_allocator *pa)
{
	uint32_t ticks = __atomic_load_n(&pa->sample_ticks, __ATOMIC_RELAXED);
	struct page_cpu *pc = pa->caches[port_cpu()];

	if (!ticks || !pc || ++pc->ticks < ticks)
		return;
	pc->ticks = 0;
	page_sample_next(pa);
}

void sample_missed(struct page_allocator *pa, struct page_cpu *pc)
{
	if (--pc->sample_calls == 0)
		page_cpu_publish(pa, pc->cpu);
}

/* The oldest sample becomes a free page like others. */
static void release_oldest(struct page_allocator *pa)
{
	uint64_t frame = pa->samples[pa->sample_first].n;

	pa->sample_first = (pa->sample_first + 1) % PAGE_SAMPLES;
	pa->sample_count--;
	verify(pa, frame);
	page_give(pa, frame, 1);
}

void sample_take(struct page_allocator *pa, struct page_cpu *pc, uint64_t frame, uintptr_t caller)
{
	if (pa->sample_count == PAGE_SAMPLES)
		release_oldest(pa);
	fill(pa, frame, caller);
	pa->samples[(pa->sample_first + pa->sample_count++) % PAGE_SAMPLES] = pfn(frame);
	pa->counters.frees[0]++;
	pc->sample_calls = 0;
	page_cpu_publish(pa, pc->cpu);
}

bool samples_release(struct page_allocator *pa)
{
	bool any = pa->sample_count != 0;

	while (pa->sample_count)
		release_oldest(pa);
	return any;
}

const char *samples_mark(struct page_allocator *pa, bool on)
{
	const uint32_t free = PAGE_NONE | DESC_POISON, marked = (uint32_t)DESC_HEAD(0);

	for (uint32_t i = 0; i < pa->sample_count; i++) {
		uint64_t frame = pa->samples[(pa->sample_first + i) % PAGE_SAMPLES].n;
		const struct superblock *sb = superblock_find(pa, frame);
		uint64_t *word;

		if (!sb || frame_is_free(sb, frame))
			return "a sampled page is free, or no RAM";
		word = &pa->descs[frame].word;
		if ((uint32_t)*word != (on ? free : marked))
			return "a sampled page has an owner, or is sampled twice";
		*word ^= free ^ marked;
	}
	return NULL;
}
