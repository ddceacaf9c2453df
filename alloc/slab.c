/* SPDX-License-Identifier: MIT */
/*
 * Slabs: where a cache's objects come from, and when their pages go back.
 *
 * Invariant, for every cache, between operations:
 *
 *   current = NULL  or  current->free > 0
 *   0 < s->free < objects   for s in partial
 *   s->free = 0             for s in full
 *   s->free = objects       for s in empty
 *   current = NULL  =>  partial and empty are empty
 *   slabs = |{current}| + |partial| + |full| + |empty|
 *   heap->empty_pages = pages of all slabs in empty lists <= 1/64 of memory
 *
 * Empty slabs are kept for the next burst, in all not more than a small share of memory;
 * over that they go back at once, and all of them when the heap is trimmed.
 *
 * `partial` is a stack: the slab that was full most recently is the next
 * `current`. It has the fewest free objects, or nearly; so the fuller slabs fill
 * up again, and the emptier ones are left alone to empty. (As a queue the same
 * list held 8 to 12 % more memory in the churn of tests/bench.)
 *
 * Headers lie outside the slabs, as objects of the cache `headers`. Its own
 * slabs (one page, 32 slots) keep their header in their slot 0, which is never
 * given out; that ends the recursion:
 *
 *   slab of 64-byte objects        slab of `headers`
 *   ┌───┬───┬───┬─────┐            ┌───────┬───────┬───────┬───────┐
 *   │ 0 │ 1 │ 2 │  …  │◄───────────┤   0   │   1   │   2   │   …   │
 *   └───┴───┴───┴─────┘       base │ (own) │header │ free  │       │
 *                                  └───┬───┴───────┴───────┴───────┘
 *                                  ▲   │ base
 *                                  └───┘
 * Lock: heap->lock, held throughout; the page allocator's is taken inside.
 */
#include "kmalloc_debug.h"

#include <quire/assert.h>

#define MAGAZINE_WANTED_BYTES 8192u
#define MAGAZINE_LEAST        8u

static uint64_t slab_pages(const struct kmem_cache *cache)
{
	return (uint64_t)1 << cache->order;
}

static pfn_t slab_frame(const struct slab *s)
{
	return paddr_to_pfn(port_virt_to_phys((const void *)(uintptr_t)s->base));
}

static struct slab *slab_at(struct list *node)
{
	return node ? list_entry(node, struct slab, link) : NULL;
}

/* ---- geometry ---- */

/*
 * The smallest slab that holds SLAB_OBJECTS_MIN objects and wastes at most 1/24 behind
 * the last one; where there is none, the one that wastes least.
 */
static unsigned slab_order_for(uint32_t bytes)
{
	unsigned best = SLAB_ORDER_MAX;
	uint64_t best_waste = ~(uint64_t)0; /* in 1/2^SLAB_ORDER_MAX of the slab's pages */

	for (unsigned order = 0; order <= SLAB_ORDER_MAX; order++) {
		uint64_t size = PAGE_BYTES << order;
		uint64_t waste = size % bytes;

		if (size / bytes < SLAB_OBJECTS_MIN || size / bytes > SLAB_OBJECTS_MAX)
			continue;
		if (waste * 24 <= size)
			return order;
		if (waste << (SLAB_ORDER_MAX - order) < best_waste) {
			best_waste = waste << (SLAB_ORDER_MAX - order);
			best = order;
		}
	}
	return best;
}

/* Objects in a magazine: some KiB of small ones, and a few of large ones. */
static unsigned magazine_room(uint32_t bytes)
{
	uint32_t room = MAGAZINE_WANTED_BYTES / bytes;

	if (room > MAGAZINE_LONG)
		return MAGAZINE_LONG;
	return room < MAGAZINE_LEAST ? MAGAZINE_LEAST : room;
}

void cache_init(struct kmem_cache *cache, struct kheap *heap, const char *name, uint32_t bytes,
		enum kmem_cache_kind kind)
{
	*cache = (struct kmem_cache){
		.heap = heap,
		.name = name,
		.object_bytes = bytes,
		.wanted_bytes = bytes,
		.reciprocal = slab_reciprocal(bytes),
		.order = (uint8_t)slab_order_for(bytes),
		.kind = (uint8_t)kind,
		.magazine = KHEAP_MAGAZINES,
		.room = (uint8_t)magazine_room(bytes),
	};
	cache->first = cache_is_of_headers(cache);
	cache->slots = (uint16_t)((PAGE_BYTES << cache->order) / bytes);
	cache->objects = (uint16_t)(cache->slots - cache->first);
	if (cache->first)
		cache->header = (uint8_t)(cache - heap->headers);
	while (sizeof(struct slab) + cache->slots + 1 > slab_header_bytes(cache->header) &&
	       cache->header < KHEAP_HEADERS - 1)
		cache->header++;
	cache->fullness = (uint16_t)((KMEM_FULLNESS << 16) / cache->objects - 1);
	for (unsigned i = 0; i < KMEM_FULLNESS; i++)
		list_init(&cache->partial[i]);
	list_init(&cache->full);
	list_init(&cache->empty);
	list_push_back(&heap->caches, &cache->link);
}

/* ---- one slab ---- */

static void slab_mark_all_free(struct slab *s)
{
	struct kmem_cache *cache = s->cache;
	unsigned words = slab_words(cache);

	for (unsigned word = 0; word < words; word++)
		s->states[word] = SLOT_FREE_ALL;
	for (unsigned slot = cache->slots; slot < words * 8; slot++)
		slot_set(slab_state(s, slot), SLOT_NONE);
	/* Where it is in a word of its own; there is room for it, see cache_init(). */
	slot_set(slab_state(s, cache->slots), SLOT_NONE);
	if (cache->first)
		slot_set(slab_state(s, 0), SLOT_LIVE); /* for ever: it is the header */
	s->free = cache->objects;
}

/* Knowing callers is a help, not a need: without the memory the slab goes untracked. */
static struct slab_track *track_alloc(struct kheap *heap, uintptr_t caller)
{
	pfn_t page = page_alloc_for(heap->pages, track_order(heap), PAGE_ZEROED, caller);

	if (pfn_is_none(page))
		return NULL;
	heap->track_pages_held += 1u << track_order(heap);
	return port_phys_to_virt(pfn_to_paddr(page));
}

static void track_free(struct kheap *heap, struct slab_track *track, uintptr_t caller)
{
	page_free_for(heap->pages, paddr_to_pfn(port_virt_to_phys(track)), track_order(heap),
		      caller);
	heap->track_pages_held -= 1u << track_order(heap);
}

/* The magazines in which kmalloc_fast.h puts the slab's objects; KHEAP_MAGAZINES are nobody's. */
static void slab_set_magazine(struct slab *s, uint32_t magazine)
{
	__atomic_store_n(&s->magazine, (uint16_t)magazine, __ATOMIC_RELAXED);
}

/* Let kmalloc_fast.h serve, where it may. */
static void slab_quicken(struct slab *s)
{
	slab_set_magazine(s, slab_may_be_quick(s) ? s->cache->magazine : KHEAP_MAGAZINES);
}

/* A slab of the cache with every object free, in no list. NULL when out of memory. */
static struct slab *slab_create(struct kmem_cache *cache, uintptr_t caller)
{
	struct kheap *heap = cache->heap;
	bool internal = cache->kind == KMEM_INTERNAL;
	pfn_t pages = page_alloc_for(heap->pages, cache->order, PAGE_ANY, caller);
	void *base;
	struct slab *s;

	/* Pages first: a header slab fetched in vain would be kept, at a time when memory is out.
	 */
	if (pfn_is_none(pages))
		return NULL;
	base = port_phys_to_virt(pfn_to_paddr(pages));
	s = cache_is_of_headers(cache) ? base
				       : cache_take_locked(&heap->headers[cache->header], caller);
	if (!s)
		goto no_header;
	*s = (struct slab){
		.cache = cache,
		.base = (uintptr_t)base,
		.track = heap->watch & WATCH_TRACK && !internal ? track_alloc(heap, caller) : NULL,
		.inverse = ~(uint64_t)0 / cache->object_bytes + 1,
	};
	slab_quicken(s);
	list_init(&s->link);
	slab_mark_all_free(s);
	if (unlikely(slab_debug(heap, s)))
		debug_slab_made(s);
	if (!internal)
		port_poison(base, PAGE_BYTES << cache->order, POISON_SLAB);
	page_set_slab(heap->pages, pages, cache->order, s);
	cache->slabs++;
	heap->slab_pages_held += slab_pages(cache);
	return s;

no_header:
	page_free_for(heap->pages, pages, cache->order, caller);
	return NULL;
}

/* The inverse: the slab is empty and in no list. */
static void slab_destroy(struct slab *s, uintptr_t caller)
{
	struct kmem_cache *cache = s->cache;
	struct kheap *heap = cache->heap;
	pfn_t pages = slab_frame(s);

	if (s->track)
		track_free(heap, s->track, caller);
	if (!cache_is_of_headers(cache)) {
		struct slab *home = slab_of(heap, s);

		slab_put_locked(home, slab_slot_around(home, (uintptr_t)s), caller);
	}
	/* From here on *s is gone, or about to go with its page. */
	page_clear_slab(heap->pages, pages, cache->order);
	page_free_for(heap->pages, pages, cache->order, caller);
	cache->slabs--;
	heap->slab_pages_held -= slab_pages(cache);
}

/* ---- the slabs of one cache ---- */

static uint64_t empty_pages_max(const struct kheap *heap)
{
	uint64_t managed = 0;

	for (unsigned i = 0; i < PAGE_ZONES; i++)
		managed += heap->pages->zones[i].managed;
	return managed / 64;
}

static void cache_keep_empty_locked(struct kmem_cache *cache, struct slab *s)
{
	list_push_front(&cache->empty, &s->link);
	cache->heap->empty_pages += slab_pages(cache);
}

static struct slab *cache_take_empty_locked(struct kmem_cache *cache)
{
	struct slab *s = slab_at(list_first(&cache->empty));

	if (!s)
		return NULL;
	list_remove(&s->link);
	cache->heap->empty_pages -= slab_pages(cache);
	return s;
}

struct slab *cache_grow_locked(struct kmem_cache *cache, uintptr_t caller)
{
	struct slab *s;

	assert(!cache->current);
	s = slab_create(cache, caller);
	if (!s && kheap_trim_locked(cache->heap, caller) && !cache->current)
		s = slab_create(cache, caller);
	if (cache->current) { /* trimming put objects of this very cache back */
		if (s)
			cache_keep_empty_locked(cache, s);
		return cache->current;
	}
	if (!s) {
		cache->failures++;
		return NULL;
	}
	cache->current = s;
	return s;
}

void *cache_take_easily_locked(struct kmem_cache *cache, uintptr_t caller)
{
	if (!cache->current)
		cache->current = slab_create(cache, caller);
	return cache->current ? cache_take_locked(cache, caller) : NULL;
}

/*
 * Magazines hand out what was freed last, whichever slab it is of; so a slab that is
 * nearly empty need never become so. Therefore such slabs are picked, and what is freed of
 * them goes straight back to them.
 */
void cache_choose_draining_locked(struct kmem_cache *cache)
{
	for (unsigned i = KMEM_FULLNESS; i > 1; i--) {
		list_for_each (node, &cache->partial[i - 1]) {
			struct slab *s = slab_at(node);

			if (!slab_is_quick(s))
				break; /* those behind it were picked before it */
			slab_set_magazine(s, KHEAP_MAGAZINES);
		}
	}
}

static void cache_choose_current_locked(struct kmem_cache *cache)
{
	for (unsigned i = 0; i < KMEM_FULLNESS; i++) {
		cache->current = slab_at(list_first(&cache->partial[i]));
		if (cache->current) {
			list_remove(&cache->current->link);
			slab_quicken(cache->current);
			return;
		}
	}
	cache->current = cache_take_empty_locked(cache);
}

void cache_current_full_locked(struct kmem_cache *cache)
{
	list_push_front(&cache->full, &cache->current->link);
	cache_choose_current_locked(cache);
}

void cache_slab_refilled_locked(struct slab *s, uint32_t was, uintptr_t caller)
{
	struct kmem_cache *cache = s->cache;
	bool is_empty = s->free == cache->objects;
	bool is_quick = slab_may_be_quick(s), is_wanted = true;
	struct kheap *heap = cache->heap;

	if (s == cache->current)
		return;
	if (was && !is_empty && slab_fullness(cache, was) == slab_fullness(cache, s->free))
		return;
	list_remove(&s->link);
	if (is_quick && !slab_is_quick(s) && (is_empty || !cache->current)) {
		slab_quicken(s);
		is_wanted = !is_empty;
	}
	if (!cache->current)
		cache->current = s;
	else if (!is_empty)
		list_push_front(&cache->partial[slab_fullness(cache, s->free)], &s->link);
	else if (is_wanted && heap->empty_pages + slab_pages(cache) <= empty_pages_max(heap))
		cache_keep_empty_locked(cache, s);
	else
		slab_destroy(s, caller);
}

void cache_trim_locked(struct kmem_cache *cache, uintptr_t caller)
{
	struct slab *s;

	while ((s = cache_take_empty_locked(cache)) != NULL)
		slab_destroy(s, caller);
	s = cache->current;
	if (!s || s->free < cache->objects)
		return;
	cache_choose_current_locked(cache);
	slab_destroy(s, caller);
}

uint64_t kheap_trim_locked(struct kheap *heap, uintptr_t caller)
{
	uint64_t before = heap->slab_pages_held + heap->track_pages_held;

	magazine_drain_cpu_locked(heap, heap->online[port_cpu()], caller);
	list_for_each (node, &heap->caches) {
		struct kmem_cache *cache = list_entry(node, struct kmem_cache, link);

		if (!cache_is_of_headers(cache))
			cache_trim_locked(cache, caller);
	}
	for (unsigned i = 0; i < KHEAP_HEADERS; i++) /* last: the others just returned theirs */
		cache_trim_locked(&heap->headers[i], caller);
	return before - heap->slab_pages_held - heap->track_pages_held;
}
