/* SPDX-License-Identifier: MIT */
/*
 * Guarded objects: the pool, and objects in and out of it. What happens at a fault and at a wrong
 * free is in kmalloc_guard_hit.c.
 *
 *   base
 *   │ guard │ slot 0 │ guard │ slot 1 │ guard │ … │ slot n-1 │ guard │      a page each
 *                         │
 *        at the start:  ┌──────┬─────────────────────┐   the byte before it faults
 *                       │object│ canary              │
 *        or at the end: ├──────┴───────────┬──────┬──┤   the byte behind it faults, but for
 *                       │ canary           │object│ c│   what the alignment leaves
 *                       └──────────────────┴──────┴──┘
 *
 * A slot has one and the same frame for good. So a CPU that remembers a translation too long
 * misses a wrong use, and never reaches memory of somebody else: to flush this CPU's is enough.
 *
 *   live = slots that are LIVE,  slots = live + length of `free`
 *   a slot's page is mapped  <=>  it is LIVE, or a fault has opened it
 *
 * Lock: heap->lock, but for what a fault changes (atomic). A CPU's countdown is its own.
 */
#include "kmalloc_guard.h"

#include "kmalloc_canary.h"
#include <quire/errno.h>

/* ---- the pool ---- */

static uint64_t books_pages(unsigned slots)
{
	return bytes_to_pages(sizeof(struct guard) + slots * sizeof(struct guard_slot));
}

static unsigned slots_allowed(const struct kheap *heap, unsigned wanted)
{
	uint64_t most = 0;

	for (unsigned i = 0; i < PAGE_NODE_ZONES; i++)
		most += heap->pages->zones[i].managed / 256;
	return wanted < most ? wanted : (unsigned)most;
}

int kheap_guard_init(struct kheap *heap, unsigned slots)
{
	uintptr_t caller = caller_address();
	uint64_t books, base;
	pfn_t first, frames;
	struct guard *g;

	slots = slots_allowed(heap, slots);
	books = books_pages(slots);
	first = page_alloc_run_for(heap->pages, books, PAGE_ZEROED, caller);
	frames = page_alloc_run_for(heap->pages, slots + 1ull, PAGE_ANY, caller);
	base = pfn_is_none(first) || pfn_is_none(frames) ? 0 : port_guard_range(2 * slots + 1ull);
	if (!base)
		goto no_memory;
	g = port_phys_to_virt(pfn_to_paddr(first));
	g->base = base;
	g->slots = slots;
	g->frames = frames;
	g->pages = books + slots + 1;
	g->random = port_cycles() | 1;
	list_init(&g->free);
	for (unsigned i = 0; i < slots; i++)
		list_push_back(&g->free, &g->slot[i].link);
	__atomic_store_n(&heap->guard, g, __ATOMIC_RELEASE);
	return 0;

no_memory:
	if (!pfn_is_none(frames))
		page_free_run_for(heap->pages, frames, caller);
	if (!pfn_is_none(first))
		page_free_run_for(heap->pages, first, caller);
	return -ENOMEM;
}

/* ---- when ---- */

void kheap_guard_rate(struct kheap *heap, uint32_t ticks)
{
	bool every = ticks == KHEAP_GUARD_EVERY;

	if (!heap->guard)
		return;
	__atomic_store_n(&heap->guard->rate, ticks, __ATOMIC_RELAXED);
	kheap_watch(heap, every ? WATCH_GUARD : 0, every ? 0 : WATCH_GUARD);
}

void kheap_guard_tick(struct kheap *heap)
{
	struct guard *g = heap->guard;
	unsigned cpu = port_cpu();
	uint32_t rate;

	if (!g)
		return;
	rate = __atomic_load_n(&g->rate, __ATOMIC_RELAXED);
	if (rate == 0 || rate == KHEAP_GUARD_EVERY || ++g->countdown[cpu] < rate)
		return;
	g->countdown[cpu] = 0;
	__atomic_store_n(&heap->guard_due[cpu], true, __ATOMIC_RELAXED);
	kheap_cpu_close(heap, cpu); /* without the lock */
}

/* ---- objects ---- */

static uint64_t next_random(struct guard *g)
{
	g->random ^= g->random << 13;
	g->random ^= g->random >> 7;
	g->random ^= g->random << 17;
	return g->random;
}

/* At the start of the page or, as far as its alignment allows, at the end. */
static uint64_t place(struct guard *g, uint64_t page, const struct kmem_cache *cache, size_t bytes)
{
	uint64_t align = kmalloc_alignment(cache, bytes);

	if (next_random(g) >> 32 & 1)
		return page;
	return page + PAGE_BYTES - align_up(bytes, align);
}

/* Guard pages that a fault on this slot's behalf had opened. */
static void close_neighbours(struct guard *g, struct guard_slot *s)
{
	uint64_t page = guard_slot_page(g, s);
	uint8_t open = __atomic_exchange_n(&s->open, 0, __ATOMIC_RELAXED);

	if (open & GUARD_OPEN_BEFORE)
		port_guard_unmap(page - PAGE_BYTES);
	if (open & GUARD_OPEN_BEHIND)
		port_guard_unmap(page + PAGE_BYTES);
}

/* With those of the cache that no CPU's arena counts. */
static void count(struct kmem_cache *cache, unsigned allocs, unsigned frees)
{
	arena_lock(&cache->common);
	cache->common.allocs += allocs;
	cache->common.frees += frees;
	arena_unlock(&cache->common);
}

static void *slot_begin_locked(struct guard *g, struct guard_slot *s, struct kmem_cache *cache,
			       size_t bytes, uintptr_t caller)
{
	uint64_t page = guard_slot_page(g, s);

	list_remove(&s->link);
	close_neighbours(g, s);
	port_guard_map(page, pfn_add(g->frames, (uint64_t)(s - g->slot)));
	canary_fill(page, page + PAGE_BYTES);
	s->object = place(g, page, cache, bytes);
	s->bytes = (uint32_t)bytes;
	s->cache = cache;
	s->name = cache->name;
	s->allocated_by = caller;
	s->freed_by = 0;
	__atomic_store_n(&s->state, GUARD_LIVE, __ATOMIC_RELEASE);
	g->live++;
	g->sampled++;
	count(cache, 1, 0);
	return (void *)(uintptr_t)s->object;
}

void *guard_alloc(struct kmem_cache *cache, size_t bytes, uintptr_t caller)
{
	struct kheap *heap = cache->heap;
	port_irq_t irq = spin_lock(&heap->lock);
	struct guard *g = heap->guard;
	unsigned cpu = port_cpu();
	struct list *oldest = list_first(&g->free);
	void *object = NULL;

	/* Whatever comes of it, the sample is taken: a burst of large objects shall be quick. */
	__atomic_store_n(&heap->guard_due[cpu], false, __ATOMIC_RELAXED);
	kheap_cpu_publish(heap, cpu);
	bytes += bytes == 0;
	if (cache->object_bytes > PAGE_BYTES || cache->kind == KMEM_INTERNAL)
		; /* only pages of its own are offered */
	else if (!oldest)
		g->missed++;
	else
		object = slot_begin_locked(g, list_entry(oldest, struct guard_slot, link), cache,
					   bytes, caller);
	spin_unlock(&heap->lock, irq);
	return object;
}

void guard_end_locked(struct guard *g, struct guard_slot *s, uintptr_t caller)
{
	kheap_record(s->cache->heap, TRACE_KFREE, (const void *)(uintptr_t)s->object, s->bytes,
		     caller, false);
	port_guard_unmap(guard_slot_page(g, s));
	close_neighbours(g, s);
	s->freed_by = caller;
	count(s->cache, 0, 1);
	s->cache = NULL;
	__atomic_store_n(&s->state, GUARD_FREED, __ATOMIC_RELEASE);
	list_push_back(&g->free, &s->link);
	g->live--;
}

/* ---- questions ---- */

struct guard_slot *guard_slot_of(struct guard *g, uint64_t address)
{
	uint64_t page = (address - g->base) >> PAGE_SHIFT;

	return page & 1 ? &g->slot[page / 2] : NULL;
}

/* How far an address lies outside the slot's object; 0 inside. */
static uint64_t distance(const struct guard_slot *s, uint64_t address)
{
	if (address < s->object)
		return s->object - address;
	return address < s->object + s->bytes ? 0 : address - s->object - s->bytes + 1;
}

struct guard_slot *guard_slot_near(struct guard *g, uint64_t address)
{
	uint64_t page = (address - g->base) >> PAGE_SHIFT;
	struct guard_slot *before = page >= 2 ? &g->slot[page / 2 - 1] : NULL;
	struct guard_slot *behind = page / 2 < g->slots ? &g->slot[page / 2] : NULL;

	if (page & 1)
		return &g->slot[page / 2];
	if (before && before->state == GUARD_UNUSED)
		before = NULL;
	if (behind && behind->state == GUARD_UNUSED)
		behind = NULL;
	if (!before || !behind)
		return before ? before : behind;
	if ((before->state == GUARD_LIVE) != (behind->state == GUARD_LIVE))
		return before->state == GUARD_LIVE ? before : behind;
	return distance(before, address) <= distance(behind, address) ? before : behind;
}

size_t guard_size_locked(const struct kheap *heap, const void *object)
{
	const struct guard_slot *s = guard_slot_of(heap->guard, (uintptr_t)object);

	return s && s->state == GUARD_LIVE && s->object == (uintptr_t)object ? s->bytes : 0;
}

void guard_locate_locked(const struct kheap *heap, const void *address, struct kheap_about *out)
{
	struct guard *g = heap->guard;
	const struct guard_slot *s = guard_slot_near(g, (uintptr_t)address);

	*out = (struct kheap_about){.where = KHEAP_NOWHERE, .guarded = true};
	if (!s || s->state == GUARD_UNUSED)
		return;
	out->where = distance(s, (uintptr_t)address) ? KHEAP_SLACK
		     : s->state == GUARD_LIVE        ? KHEAP_OBJECT
						     : KHEAP_FREE_OBJECT;
	out->cache = s->name;
	out->object = s->object;
	out->object_bytes = s->bytes;
	out->slab = guard_slot_page(g, s);
	out->slab_pages = 1;
	out->frame = pfn_add(g->frames, (uint64_t)(s - g->slot));
	out->slots = 1;
	out->slab_live = s->state == GUARD_LIVE;
	out->allocated_by = s->allocated_by;
	out->freed_by = s->freed_by;
}

uint64_t guard_live_locked(const struct kmem_cache *cache)
{
	const struct guard *g = cache->heap->guard;
	uint64_t live = 0;

	for (uint32_t i = 0; g && i < g->slots; i++)
		live += g->slot[i].state == GUARD_LIVE && g->slot[i].cache == cache;
	return live;
}

const char *guard_check_locked(const struct kheap *heap)
{
	const struct guard *g = heap->guard;
	uint32_t live = 0, others = 0;

	if (!g)
		return NULL;
	for (uint32_t i = 0; i < g->slots; i++) {
		const struct guard_slot *s = &g->slot[i];
		uint64_t page = guard_slot_page(g, s);

		if (s->state > GUARD_FREED || (s->state == GUARD_LIVE) != (s->cache != NULL))
			return "kmalloc: a guarded slot has no state";
		if (s->state == GUARD_LIVE &&
		    (s->object < page || s->object + s->bytes > page + PAGE_BYTES))
			return "kmalloc: a guarded object is not in its page";
		if (s->state == GUARD_LIVE && !port_guard_mapped(page))
			return "kmalloc: a guarded object's page is not mapped";
		live += s->state == GUARD_LIVE;
	}
	list_for_each (node, &g->free)
		others += list_entry(node, struct guard_slot, link)->state != GUARD_LIVE;
	if (live != g->live || live + others != g->slots)
		return "kmalloc: guarded slots are not those live and free";
	return NULL;
}

void kheap_guard_stats(struct kheap *heap, struct kheap_guard_stats *out)
{
	port_irq_t irq = spin_lock(&heap->lock);
	const struct guard *g = heap->guard;

	*out = (struct kheap_guard_stats){0};
	if (g) {
		*out = (struct kheap_guard_stats){
			.present = true,
			.rate = g->rate,
			.slots = g->slots,
			.live = g->live,
			.pages = g->pages,
			.sampled = g->sampled,
			.missed = g->missed,
			.hits = __atomic_load_n(&g->hits, __ATOMIC_RELAXED),
		};
		for (uint32_t i = 0; i < g->slots; i++)
			out->used += g->slot[i].state != GUARD_UNUSED;
	}
	spin_unlock(&heap->lock, irq);
}
