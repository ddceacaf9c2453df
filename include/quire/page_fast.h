/* SPDX-License-Identifier: MIT */
/*
 * A single page from this CPU's cache, and back into it. Included by
 * quire/page.h, for page_alloc() and page_free() alone.
 *
 * One CPU's cache is a stack of free blocks for each order:
 *
 *   frames  | order 0: 256 slots           | order 1: 32 | order 2: 16 | ... | order 9: 2 |
 *            ^ page_cache_first(0)          ^ (1)         ^ (2)
 *
 * The bitmaps say of a cached block that it is used, its descriptor says NONE.
 * Only the owner touches any of it, with interrupts off; filling, draining and
 * everything else that goes between cache and bitmaps holds pa->lock as well.
 *
 * The way in and the way out are inline, some 20 instructions each: interrupts off,
 * no lock, nothing atomic. Whatever is not plain starts over in alloc/page_cpu.c:
 * an empty or a full stack, and every descriptor that is not what it should be.
 */
#include <quire/page.h> /* which includes this one: hence before the guard */

#ifndef QUIRE_PAGE_FAST_H
#define QUIRE_PAGE_FAST_H

struct page_stack {
	uint64_t count;    /* blocks */
	uint64_t allocs;   /* served; frees = allocs + count - moved_in */
	uint64_t moved_in; /* blocks filled in less blocks drained */
};

#define PAGE_CACHE_SLOTS 348

struct page_cpu {
	/* Frames from..from+span-1 are kept when freed; others go back at once. */
	_Alignas(64) uint64_t from;
	uint64_t span;
	struct page_stack stack[PAGE_CACHE_ORDERS];
	uint64_t refills, drains;
	unsigned cpu; /* whose it is */
	pfn_t frames[PAGE_CACHE_SLOTS];
};

/* Where the slots of an order begin; the last entry is where they all end. */
static inline unsigned page_cache_first(unsigned order)
{
	static const uint16_t first[PAGE_CACHE_ORDERS + 1] = {
		0, 256, 288, 304, 320, 328, 336, 340, 344, 346, PAGE_CACHE_SLOTS,
	};

	return first[order];
}

/* The cache of a CPU that has none: nothing in it, nothing goes into it. */
extern struct page_cpu page_cpu_closed;

/* What the caches do not serve: with the lock. */
must_check pfn_t page_alloc_slow(struct page_allocator *pa, unsigned order, unsigned flags,
				 uintptr_t caller);
void page_free_slow(struct page_allocator *pa, pfn_t head, unsigned order, uintptr_t caller);

/* Descriptor words; layout in quire/page.h. */
#define DESC_ORDER_SHIFT   4
#define DESC_REF_SHIFT     9
#define DESC_REF_ONE       ((uint64_t)1 << DESC_REF_SHIFT)
#define DESC_CALLER_SHIFT  32
#define DESC_CALLER(c)     ((uint64_t)(c) << DESC_CALLER_SHIFT)
#define DESC_HEAD(order)   ((uint64_t)PAGE_HEAD | (uint64_t)(order) << DESC_ORDER_SHIFT)
#define DESC_HEAD_1(order) (DESC_HEAD(order) | DESC_REF_ONE)

/* Is a request of this kind served from the caches? */
static inline bool page_is_cached(unsigned order, unsigned flags)
{
	return order < PAGE_CACHE_ORDERS && !(flags & (PAGE_BELOW_4G | PAGE_BELOW_1M));
}

/* The block, zeroed. */
pfn_t page_cleared(pfn_t frame, unsigned order);

must_check static inline pfn_t page_alloc_inline(struct page_allocator *pa, unsigned order,
						 unsigned flags, uintptr_t caller)
{
	if (likely(page_is_cached(order, flags))) {
		port_irq_t irq = port_irq_save();
		struct page_cpu *pc = pa->cpu[port_cpu()];
		struct page_stack *s = &pc->stack[order];
		uint64_t count;

		if (likely(!__builtin_sub_overflow(s->count, 1, &count))) {
			pfn_t frame = pc->frames[page_cache_first(order) + count];
			uint64_t *word = &pa->descs[frame.n].word;

			if (likely((uint32_t)*word == PAGE_NONE)) {
				*word = DESC_HEAD_1(order) | DESC_CALLER(caller);
				s->count = count;
				s->allocs++;
				port_irq_restore(irq);
				return unlikely(flags & PAGE_ZEROED) ? page_cleared(frame, order)
								     : frame;
			}
		}
		port_irq_restore(irq);
	}
	return page_alloc_slow(pa, order, flags, caller);
}

static inline void page_free_inline(struct page_allocator *pa, pfn_t head, unsigned order,
				    uintptr_t caller)
{
	if (likely(order < PAGE_CACHE_ORDERS)) {
		port_irq_t irq = port_irq_save();
		struct page_cpu *pc = pa->cpu[port_cpu()];
		struct page_stack *s = &pc->stack[order];
		uint64_t count = s->count;

		if (likely(head.n - pc->from < pc->span)) {
			uint64_t *word = &pa->descs[head.n].word;

			if (likely((uint32_t)*word == DESC_HEAD_1(order) &&
				   count < pa->cache_limit[order])) {
				*word = PAGE_NONE | DESC_CALLER(caller);
				pc->frames[page_cache_first(order) + count] = head;
				s->count = count + 1;
				port_irq_restore(irq);
				return;
			}
		}
		port_irq_restore(irq);
	}
	page_free_slow(pa, head, order, caller);
}

#endif
