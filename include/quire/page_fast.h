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
	unsigned cpu;          /* whose it is */
	uint32_t ticks;        /* since the last sample */
	uint32_t sample_calls; /* not 0: closed for a sample, for so many more calls at most */
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
#define DESC_PAGES_SHIFT   4
#define DESC_PAGES_MASK    0xfffffu
#define DESC_RUN(pages)    ((uint64_t)PAGE_RUN | (uint64_t)(pages) << DESC_PAGES_SHIFT)
#define DESC_POISON        0x10u
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

/*
 * The two steps, with interrupts off on the cache's CPU. True, and done; false, and nothing has
 * changed, when it is not that easy.
 */

/* The top of a stack goes out, and its descriptor is `desc` from then on. */
must_check static inline bool page_cache_pop(const struct page_allocator *pa, struct page_cpu *pc,
					     unsigned order, uint64_t desc, pfn_t *out)
{
	struct page_stack *s = &pc->stack[order];
	uint64_t count, *word;
	pfn_t frame;

	if (unlikely(__builtin_sub_overflow(s->count, 1, &count)))
		return false;
	frame = pc->frames[page_cache_first(order) + count];
	word = &pa->descs[frame.n].word;
	if (unlikely((uint32_t)*word != PAGE_NONE))
		return false;
	*word = desc;
	s->count = count;
	s->allocs++;
	*out = frame;
	return true;
}

/*
 * A block comes in whose descriptor should be `expected` in its low half; NONE afterwards. Of
 * two CPUs at once, `once` lets only one through; without it both may (alloc/page_cpu.c).
 */
must_check static inline bool page_cache_push(const struct page_allocator *pa, struct page_cpu *pc,
					      pfn_t head, unsigned order, uint64_t expected,
					      bool once, uintptr_t caller)
{
	struct page_stack *s = &pc->stack[order];
	uint64_t count = s->count, *word, seen;

	if (unlikely(head.n - pc->from >= pc->span))
		return false;
	word = &pa->descs[head.n].word;
	seen = once ? __atomic_load_n(word, __ATOMIC_RELAXED) : (uint32_t)*word;
	if (unlikely((uint32_t)seen != expected || count >= pa->cache_limit[order]))
		return false;
	if (!once)
		*word = PAGE_NONE | DESC_CALLER(caller);
	else if (!__atomic_compare_exchange_n(word, &seen, PAGE_NONE | DESC_CALLER(caller), false,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return false;
	pc->frames[page_cache_first(order) + count] = head;
	s->count = count + 1;
	return true;
}

must_check static inline pfn_t page_alloc_inline(struct page_allocator *pa, unsigned order,
						 unsigned flags, uintptr_t caller)
{
	if (likely(page_is_cached(order, flags))) {
		port_irq_t irq = port_irq_save();
		pfn_t frame;

		if (likely(page_cache_pop(pa, pa->cpu[port_cpu()], order,
					  DESC_HEAD_1(order) | DESC_CALLER(caller), &frame))) {
			port_irq_restore(irq);
			return unlikely(flags & PAGE_ZEROED) ? page_cleared(frame, order) : frame;
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

		if (likely(page_cache_push(pa, pa->cpu[port_cpu()], head, order, DESC_HEAD_1(order),
					   false, caller))) {
			port_irq_restore(irq);
			return;
		}
		port_irq_restore(irq);
	}
	page_free_slow(pa, head, order, caller);
}

/*
 * kmalloc's large objects of 2^k pages are blocks, so that they come from the caches and go
 * into them. In between their descriptor is that of a run with kmalloc's mark, so nobody
 * but kmalloc can free them.
 *
 *               page_cache_pop()                        page_cache_push()
 *   NONE, cached ──────────────────► RUN, kmalloc's ──────────────────────► NONE, cached
 *
 *   HEAD, 1 reference ─────────────►                ──────────────────────► HEAD, 1 reference
 *                page_set_object()                    page_clear_object()
 *
 * The lower way is that of the slow functions; the owner takes either without the lock.
 */
#define DESC_OBJECT(order) (DESC_RUN((uint64_t)1 << (order)) | PAGE_OBJECT)

static inline uint64_t desc_run_pages(uint64_t word)
{
	return word >> DESC_PAGES_SHIFT & DESC_PAGES_MASK;
}

/* Is an object of so many pages (at least 1) a block? (The shift spares a population count.) */
static inline bool page_object_is_block(uint64_t pages)
{
	return pages >> __builtin_ctzll(pages) == 1 && pages >> PAGE_CACHE_ORDERS == 0;
}

static inline void page_set_object(struct page_allocator *pa, pfn_t head, unsigned order,
				   uintptr_t caller)
{
	__atomic_store_n(&pa->descs[head.n].word, DESC_OBJECT(order) | DESC_CALLER(caller),
			 __ATOMIC_RELAXED);
}

/*
 * Any frame below pfn_limit may be asked for. False, and nothing has changed, when it is not
 * the first of such an object; of two at once only one is told true, and shall free the block.
 */
must_check static inline bool page_clear_object(struct page_allocator *pa, pfn_t head,
						unsigned *order)
{
	uint64_t *word = &pa->descs[head.n].word;
	uint64_t seen = __atomic_load_n(word, __ATOMIC_RELAXED);
	uint64_t pages = desc_run_pages(seen);

	if ((seen & 15) != (PAGE_RUN | PAGE_OBJECT) || !page_object_is_block(pages))
		return false;
	*order = (unsigned)__builtin_ctzll(pages);
	return __atomic_compare_exchange_n(word, &seen,
					   DESC_HEAD_1(*order) | (seen & ~(uint64_t)0xffffffff),
					   false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

#endif
