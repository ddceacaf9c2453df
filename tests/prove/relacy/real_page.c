/* SPDX-License-Identifier: MIT */
/*
 * Under test: the page allocator's inline fast paths (quire/page_fast.h), the marking of objects,
 * alloc/page_share.c, and alloc/page_watch.c, which closes and opens the caches.
 *
 * The slow paths are the model's: a counter under the real lock.
 */
#include "real_page.h"
#include <page_internal.h>

#include "../../../alloc/page_share.c"
#include "../../../alloc/page_watch.c"

static struct page_allocator pa;
static struct page descs[4];
static struct page_cpu cache;
static uint64_t given_back; /* to the bitmaps; under the lock */

struct page_cpu page_cpu_closed;

void real_page_reset(void)
{
	pa = (struct page_allocator){
		.descs = descs,
		.pfn_limit = 4,
		.lock = SPINLOCK_INIT(LOCK_RANK_PAGES),
		.cpus = 2,
		.cache_limit = {2},
	};
	cache = (struct page_cpu){.span = 4, .cpu = 1};
	cache.stack[0].count = 1;
	cache.frames[page_cache_first(0)] = pfn(PROVE_FRAME);
	pa.caches[1] = &cache;
	pa.cpu[0] = &page_cpu_closed;
	pa.cpu[1] = &cache;
	given_back = 0;
	for (unsigned i = 0; i < 4; i++)
		descs[i].word = PAGE_NONE;
	prove_share(&pa.lock.held, sizeof pa.lock.held);
	prove_share(&pa.watch, sizeof pa.watch);
	prove_share_pointer(&pa.cpu[0], sizeof pa.cpu[0]);
	prove_share_pointer(&pa.cpu[1], sizeof pa.cpu[1]);
	prove_share(&descs[PROVE_FRAME].word, sizeof descs[PROVE_FRAME].word);
}

void real_page_allocated(void)
{
	descs[PROVE_FRAME].word = DESC_HEAD_1(0);
}

void real_page_object(void)
{
	descs[PROVE_FRAME].word = DESC_RUN(1) | PAGE_OBJECT;
}

void real_page_get(void)
{
	page_get(&pa, pfn(PROVE_FRAME));
}

void real_page_put(void)
{
	page_put(&pa, pfn(PROVE_FRAME));
}

bool real_page_clear_object(void)
{
	unsigned order;

	return page_clear_object(&pa, pfn(PROVE_FRAME), &order);
}

bool real_page_push_object(void)
{
	static struct page_cpu caches[3];
	struct page_cpu *pc = &caches[prove_cpu()];

	*pc = (struct page_cpu){.span = 4};
	return page_cache_push(&pa, pc, pfn(PROVE_FRAME), 0, DESC_OBJECT(0), true, 0);
}

uint64_t real_page_alloc(void)
{
	return page_alloc_inline(&pa, 0, PAGE_ANY, 0).n;
}

void real_page_free(uint64_t frame)
{
	page_free_inline(&pa, pfn(frame), 0, 0);
}

uint64_t real_page_check(void)
{
	port_irq_t irq = page_close(&pa);
	uint64_t pages = cache.stack[0].count;

	for (uint64_t i = 0; i < pages; i++)
		cache.frames[page_cache_first(0) + i].n += 0; /* it marks them */
	page_open_locked(&pa);
	spin_unlock(&pa.lock, irq);
	return pages;
}

void real_page_watch(uint32_t on, uint32_t off)
{
	page_watch(&pa, on, off);
}

uint64_t real_page_cached(void)
{
	return cache.stack[0].count;
}

uint64_t real_page_given_back(void)
{
	return given_back;
}

/* ---- what the files under test call ---- */

pfn_t page_alloc_slow(struct page_allocator *p, unsigned order, unsigned flags, uintptr_t caller)
{
	port_irq_t irq = spin_lock(&p->lock);
	pfn_t frame = pfn(0);

	(void)order;
	(void)flags;
	(void)caller;
	if (cache.stack[0].count) {
		frame = cache.frames[page_cache_first(0) + --cache.stack[0].count];
	} else if (given_back) {
		given_back--;
		frame = pfn(PROVE_FRAME);
	}
	if (frame.n)
		p->descs[frame.n].word = DESC_HEAD_1(0);
	spin_unlock(&p->lock, irq);
	return frame;
}

void page_free_slow(struct page_allocator *p, pfn_t head, unsigned order, uintptr_t caller)
{
	port_irq_t irq = spin_lock(&p->lock);

	(void)order;
	(void)caller;
	p->descs[head.n].word = PAGE_NONE;
	given_back++;
	spin_unlock(&p->lock, irq);
}

void page_cpu_drain(struct page_allocator *p, unsigned cpu)
{
	port_irq_t irq = spin_lock(&p->lock);

	if (p->caches[cpu]) {
		given_back += p->caches[cpu]->stack[0].count;
		p->caches[cpu]->stack[0].count = 0;
	}
	spin_unlock(&p->lock, irq);
}

void page_unlock_and_report(struct page_allocator *p, port_irq_t irq, uintptr_t caller)
{
	(void)caller;
	spin_unlock(&p->lock, irq);
}

void pattern_end(struct page_allocator *p)
{
	(void)p;
}

void page_free_for(struct page_allocator *p, pfn_t head, unsigned order, uintptr_t caller)
{
	(void)head;
	(void)order;
	(void)caller;
	(void)p;
	prove_page_freed();
}

pfn_t page_cleared(pfn_t frame, unsigned order)
{
	(void)order;
	return frame;
}

void page_diagnose(struct page_allocator *p, uint64_t frame, uint64_t expected, uintptr_t caller,
		   struct misuse *out)
{
	(void)p;
	(void)frame;
	(void)expected;
	(void)caller;
	(void)out;
	__builtin_trap();
}

void port_misuse(const struct misuse *m)
{
	(void)m;
	__builtin_trap();
}
