/* SPDX-License-Identifier: MIT */
/*
 * Per-CPU caches: filling them, draining them, and what they cannot serve.
 *
 *   page_alloc ──► stack of this CPU ◄── page_free        no lock (alloc/page.c)
 *                    │ empty: fill    ▲ │ full: drain half
 *                    ▼                │ ▼
 *                  bitmaps and classes                     pa->lock
 *
 * A cached block is used in the bitmaps, NONE in its descriptor, and in one cache:
 *   free frames = ones in the bitmaps + cached frames
 *   frees of an order = allocs + blocks in the stack - moved in
 * Only unrestricted requests are served from a cache, and only memory that is
 * not scarce goes in: never the LOW zone, and memory below 4 GiB only while
 * there is none above; and only of the node that the CPU is served from first,
 * so that pages freed far from home go home. All caches together keep at most 1/64 of the memory in
 * single pages and as much again in each other order, and a request that fails
 * empties its own CPU's cache and tries again.
 *
 * A drained batch is in no order, and to update summary and class for each page
 * would be most of the work. So draining sets bits and counts, and notes the
 * pageblock as dirty: its summary may lack runs, never promise any that are not
 * there. Whoever searches next settles them, each pageblock once.
 *
 * Two CPUs that free one page in the same few instructions both see it
 * allocated, and it is then cached twice. The second to take it finds that its
 * descriptor has an owner, reports a double free and drops it; so does the
 * drain when the bit is already set.
 *
 * Lock: pa->lock for everything here; a cache also needs interrupts off on its CPU.
 */
#include "page_internal.h"
#include <quire/errno.h>

#define DMA32_END   ((uint64_t)1 << (32 - PAGE_SHIFT))
#define CACHE_SHARE 64u  /* of all memory, for the caches of one order together */
#define CPU_SHARE   256u /* of all memory, for that of one CPU */

struct page_cpu page_cpu_closed;

/* Which frames stay when freed: memory below 4 GiB is for those who need it, while there is other. */
static void cache_settle_range(const struct page_allocator *pa, struct page_cpu *pc)
{
	const struct page_near *near = &pa->near[pa->cpu_node[pc->cpu]];
	bool other = near->any[0] % PAGE_ZONES == PAGE_ZONE_NORMAL && pa->zones[near->any[0]].free;
	uint64_t from = other ? DMA32_END : PAGEBLOCK_PAGES;

	if (from < near->first)
		from = near->first;
	pc->from = from;
	pc->span = near->end > from ? near->end - from : 0;
}

void page_cpu_moved(const struct page_allocator *pa, unsigned cpu)
{
	if (pa->caches[cpu])
		cache_settle_range(pa, pa->caches[cpu]);
}

static bool stays(const struct page_cpu *pc, uint64_t frame)
{
	return frame - pc->from < pc->span;
}

void page_cpu_limits(struct page_allocator *pa)
{
	uint64_t managed = 0, share, small;

	for (unsigned z = 0; z < pa->nodes * PAGE_ZONES; z++)
		managed += pa->zones[z].managed;
	share = managed / CPU_SHARE;
	small = managed / CACHE_SHARE / (pa->cpus ? pa->cpus : 1);
	if (small < share)
		share = small;
	for (unsigned k = 0; k < PAGE_CACHE_ORDERS; k++) {
		uint64_t most = page_cache_first(k + 1) - page_cache_first(k);
		uint64_t limit = share >> k < most ? share >> k : most;

		/* One large block is worth more than its share. */
		if (!limit && small >> k)
			limit = 1;
		/* Read by all CPUs without the lock: any of its values will do. */
		__atomic_store_n(&pa->cache_limit[k], limit, __ATOMIC_RELAXED);
	}
}

void page_cpu_start(struct page_allocator *pa, unsigned cpu, struct page_cpu *pc)
{
	pc->cpu = cpu;
	cache_settle_range(pa, pc);
	if (pa->cpus <= cpu)
		pa->cpus = cpu + 1;
	pa->caches[cpu] = pc;
	page_cpu_publish(pa, cpu);
	page_cpu_limits(pa);
}

int page_cpu_online(struct page_allocator *pa, unsigned cpu)
{
	pfn_t frame;
	port_irq_t irq;

	if (cpu >= PORT_CPUS_MAX)
		return -EINVAL;
	if (pa->caches[cpu])
		return 0;
	frame = page_alloc_run(pa, bytes_to_pages(sizeof(struct page_cpu)), PAGE_ZEROED);
	if (pfn_is_none(frame))
		return -ENOMEM;
	irq = spin_lock(&pa->lock);
	page_cpu_start(pa, cpu, port_phys_to_virt(pfn_to_paddr(frame)));
	spin_unlock(&pa->lock, irq);
	return 0;
}

/* The summary of a dirty pageblock, and its class, from its bitmap. */
static void settle_block(struct page_allocator *pa, uint64_t frame)
{
	struct superblock *sb = superblock_at(pa, frame);
	unsigned block = frame_block(frame);
	struct pageblock *info = block_info(sb, block);
	const uint64_t *bits = block_bits(sb, block);
	uint64_t runs = 0;

	for (unsigned w = 0; w < BITS_WORDS; w++)
		runs |= word_runs(bits[w]) << w * 8;
	info->runs = runs;
	info->dirty = false;
	block_reclass(pa, sb, block);
}

void page_settle_dirty(struct page_allocator *pa)
{
	for (uint32_t i = 0; i < pa->dirty_count; i++)
		settle_block(pa, (uint64_t)pa->dirty[i] * PAGEBLOCK_PAGES);
	pa->dirty_count = 0;
}

static void note_dirty(struct page_allocator *pa, struct pageblock *info, uint64_t frame)
{
	if (pa->dirty_count == PAGE_DIRTY_MAX)
		page_settle_dirty(pa);
	info->dirty = true;
	pa->dirty[pa->dirty_count++] = (uint32_t)(frame / PAGEBLOCK_PAGES);
}

/* A frame is free already, or has an owner, although a cache had it: see above. */
cold_fn static void cached_twice(struct page_allocator *pa, uint64_t frame)
{
	pa->counters.misuses++;
	pa->cached_twice = frame;
}

/*
 * Set the bits of single pages of one GiB, up to the first that is not plain:
 * of another GiB, in a pageblock that is not dirty yet, or free already. The
 * one loop of a drain, kept free of everything else: 20 instructions a page.
 */
static const pfn_t *set_bits(const struct superblock *sb, const pfn_t *at, const pfn_t *end)
{
	uint64_t *bits = block_bits(sb, 0), first = sb->first_frame;
	struct pageblock *blocks = block_info(sb, 0);

	for (; at != end; at++) {
		uint64_t n = at->n - first, bit = (uint64_t)1 << n % 64, word;
		struct pageblock *info;

		if (unlikely(n >= SUPERBLOCK_PAGES))
			break;
		info = &blocks[n / PAGEBLOCK_PAGES];
		if (unlikely(!info->dirty))
			break;
		word = bits[n / 64];
		if (unlikely(word & bit))
			break;
		bits[n / 64] = word | bit;
		info->free++;
	}
	return at;
}

static void give_singles(struct page_allocator *pa, const pfn_t *at, const pfn_t *end)
{
	while (at != end) {
		uint64_t frame = at->n;
		struct superblock *sb = superblock_at(pa, frame);
		struct pageblock *info = block_info(sb, frame_block(frame));
		const pfn_t *done;

		if (frame_is_free(sb, frame)) {
			cached_twice(pa, frame);
			at++;
			continue;
		}
		if (!info->dirty)
			note_dirty(pa, info, frame);
		done = set_bits(sb, at, end);
		pa->zones[sb->zone].free += (uint64_t)(done - at);
		at = done;
	}
}

/* The `n` blocks on top of a stack go back. */
static void cache_drain(struct page_allocator *pa, struct page_cpu *pc, unsigned order, size_t n)
{
	struct page_stack *s = &pc->stack[order];
	const pfn_t *frames = &pc->frames[page_cache_first(order) + s->count - n];

	if (!n)
		return;
	s->count -= n;
	s->moved_in -= n;
	pc->drains++;
	cache_settle_range(pa, pc);
	if (order == 0) {
		give_singles(pa, frames, frames + n);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (unlikely(frame_is_free(superblock_at(pa, frames[i].n), frames[i].n)))
			cached_twice(pa, frames[i].n);
		else
			page_give(pa, frames[i].n, (uint64_t)1 << order);
	}
}

/* Blocks of one zone into an empty stack, the lowest on top; returns how many. */
static size_t fill_from(struct page_allocator *pa, unsigned zone, unsigned order, pfn_t *out,
			size_t batch)
{
	size_t n = 0;

	if (order == 0)
		return page_take_singles(pa, zone, out, batch);
	while (n < batch) {
		uint64_t frame = page_take_zone(pa, zone, order, (uint64_t)1 << order);

		if (frame == PFN_NONE.n)
			break;
		n++;
		out[batch - n].n = frame;
	}
	return n;
}

static void cache_fill(struct page_allocator *pa, struct page_cpu *pc, unsigned order)
{
	struct page_stack *s = &pc->stack[order];
	pfn_t *frames = &pc->frames[page_cache_first(order)];
	size_t batch = (pa->cache_limit[order] + 1) / 2, n = 0;

	if (!batch)
		return;
	page_settle(pa);
	for (const uint8_t *near = zones_near(pa, PAGE_ANY); *near && !n; near++)
		n = fill_from(pa, *near, order, frames, batch);
	/* They were put in from the end of the batch down. */
	if (n < batch)
		__builtin_memmove(frames, frames + batch - n, n * sizeof *frames);
	s->count = n;
	s->moved_in += n;
	pc->refills++;
	cache_settle_range(pa, pc);
}

/* The top of a stack that is fit to be handed out, or PFN_NONE's n. */
static uint64_t cache_pop(struct page_allocator *pa, struct page_cpu *pc, unsigned order)
{
	struct page_stack *s = &pc->stack[order];

	while (s->count) {
		uint64_t frame = pc->frames[page_cache_first(order) + --s->count].n;

		if (likely((uint32_t)pa->descs[frame].word == PAGE_NONE)) {
			s->allocs++;
			return frame;
		}
		s->moved_in--;
		cached_twice(pa, frame);
	}
	return PFN_NONE.n;
}

/* Report outside the lock what cached_twice() noted under it. */
static void report_twice(struct page_allocator *pa, uint64_t frame, uintptr_t caller)
{
	const struct misuse misuse = {
		.what = "page freed by two CPUs at once",
		.allocator = "page",
		.address = frame << PAGE_SHIFT,
		.caller = caller,
		.freed_by = caller_expand(pa->descs[frame].word),
	};

	port_misuse(&misuse);
}

void page_unlock_and_report(struct page_allocator *pa, port_irq_t irq, uintptr_t caller)
{
	struct page_written written = pa->written;
	uint64_t twice = pa->cached_twice;

	pa->cached_twice = 0;
	pa->written.address = 0;
	spin_unlock(&pa->lock, irq);
	if (unlikely(twice))
		report_twice(pa, twice, caller);
	if (unlikely(written.address))
		page_report_written(&written, caller);
}

static inline __attribute__((always_inline)) uint64_t
take_slow(struct page_allocator *pa, struct page_cpu *pc, unsigned order, unsigned flags)
{
	uint64_t frame = PFN_NONE.n;

	if (pc && page_is_cached(order, flags)) {
		frame = cache_pop(pa, pc, order);
		if (frame != PFN_NONE.n)
			return frame;
		cache_fill(pa, pc, order);
		frame = cache_pop(pa, pc, order);
		if (frame != PFN_NONE.n)
			return frame;
	}
	if (likely(order <= PAGE_ORDER_MAX)) {
		frame = page_take(pa, order, (uint64_t)1 << order, flags);
		if (frame == PFN_NONE.n && page_cpu_drain_own(pa))
			frame = page_take(pa, order, (uint64_t)1 << order, flags);
	}
	if (likely(frame != PFN_NONE.n))
		pa->counters.allocs[order]++;
	else
		pa->counters.failures++;
	return frame;
}

/* The same while anything watches: never through the caches. */
static cold_fn uint64_t take_watched(struct page_allocator *pa, unsigned order, unsigned flags,
				     uintptr_t caller)
{
	uint64_t pages = order <= PAGE_ORDER_MAX ? (uint64_t)1 << order : 0;
	bool injected = page_must_fail(pa, caller);
	uint64_t frame = injected ? PFN_NONE.n : take_slow(pa, NULL, order, flags);

	if (frame != PFN_NONE.n)
		pattern_take(pa, frame, pages);
	page_record(pa, TRACE_PAGE_ALLOC, frame, pages, caller, injected);
	return frame;
}

static inline uint64_t take_unwatched(struct page_allocator *pa, unsigned order, unsigned flags)
{
	struct page_cpu *pc = pa->caches[port_cpu()];

	if (unlikely(pc && pc->sample_calls))
		sample_missed(pa, pc);
	return take_slow(pa, pc, order, flags);
}

pfn_t page_alloc_slow(struct page_allocator *pa, unsigned order, unsigned flags, uintptr_t caller)
{
	port_irq_t irq = spin_lock(&pa->lock);
	uint64_t frame;

	if (unlikely(pa->watch))
		frame = take_watched(pa, order, flags, caller);
	else
		frame = take_unwatched(pa, order, flags);
	if (likely(frame != PFN_NONE.n))
		pa->descs[frame].word = DESC_HEAD_1(order) | DESC_CALLER(caller);
	page_unlock_and_report(pa, irq, caller);

	if (frame != PFN_NONE.n)
		page_unpoison(pfn(frame), (uint64_t)1 << order);
	if (flags & PAGE_ZEROED && frame != PFN_NONE.n)
		page_clear(pfn(frame), (uint64_t)1 << order);
	return pfn(frame);
}

static inline __attribute__((always_inline)) void
give_slow(struct page_allocator *pa, struct page_cpu *pc, uint64_t head, unsigned order)
{
	uint64_t limit = order < PAGE_CACHE_ORDERS ? pa->cache_limit[order] : 0;

	if (pc && limit) {
		struct page_stack *s = &pc->stack[order];

		cache_settle_range(pa, pc);
		if (stays(pc, head)) {
			if (s->count >= limit)
				cache_drain(pa, pc, order, s->count - limit / 2);
			pc->frames[page_cache_first(order) + s->count++].n = head;
			return;
		}
	}
	pa->counters.frees[order]++;
	page_give(pa, head, (uint64_t)1 << order);
}

static cold_fn void give_watched(struct page_allocator *pa, uint64_t head, unsigned order,
				 uintptr_t caller)
{
	page_record(pa, TRACE_PAGE_FREE, head, (uint64_t)1 << order, caller, false);
	pattern_give(pa, head, (uint64_t)1 << order, caller);
	give_slow(pa, NULL, head, order);
}

static inline void give_unwatched(struct page_allocator *pa, uint64_t head, unsigned order,
				  uintptr_t caller)
{
	struct page_cpu *pc = pa->caches[port_cpu()];

	if (unlikely(pc && pc->sample_calls)) {
		if (order == 0 && stays(pc, head)) {
			sample_take(pa, pc, head, caller);
			return;
		}
		sample_missed(pa, pc);
	}
	give_slow(pa, pc, head, order);
}

void page_free_slow(struct page_allocator *pa, pfn_t head, unsigned order, uintptr_t caller)
{
	struct misuse misuse;
	port_irq_t irq = spin_lock(&pa->lock);

	if (likely(head.n < pa->pfn_limit && order <= PAGE_ORDER_MAX)) {
		uint64_t *word = &pa->descs[head.n].word;

		if (likely((uint32_t)*word == DESC_HEAD_1(order))) {
			*word = PAGE_NONE | DESC_CALLER(caller);
			page_poison(head, (uint64_t)1 << order);
			if (unlikely(pa->watch))
				give_watched(pa, head.n, order, caller);
			else
				give_unwatched(pa, head.n, order, caller);
			page_unlock_and_report(pa, irq, caller);
			return;
		}
	}
	/* An order that does not exist must not be taken for the one its low bits spell. */
	page_diagnose(pa, head.n, order <= PAGE_ORDER_MAX ? DESC_HEAD_1(order) : PAGE_NONE, caller,
		      &misuse);
	spin_unlock(&pa->lock, irq);
	port_misuse(&misuse);
}

static bool drain_all(struct page_allocator *pa, struct page_cpu *pc)
{
	bool any = samples_release(pa);

	for (unsigned k = 0; k < PAGE_CACHE_ORDERS; k++) {
		any |= pc->stack[k].count != 0;
		cache_drain(pa, pc, k, pc->stack[k].count);
	}
	page_settle(pa);
	return any;
}

bool page_cpu_drain_own(struct page_allocator *pa)
{
	struct page_cpu *pc = pa->caches[port_cpu()];

	return pc && drain_all(pa, pc);
}

void page_cpu_drain(struct page_allocator *pa, unsigned cpu)
{
	port_irq_t irq = spin_lock(&pa->lock);

	if (cpu < PORT_CPUS_MAX && pa->caches[cpu])
		(void)drain_all(pa, pa->caches[cpu]);
	page_unlock_and_report(pa, irq, caller_address());
}
