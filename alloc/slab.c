/* SPDX-License-Identifier: MIT */
/*
 * Slabs: their geometry, and how one comes and goes. Which of them serves next is arena.c's.
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
 * Lock: that of the arena the slab is for; inside it that of the headers' arena, and the page
 * allocator's. What is counted for the heap as a whole is atomic.
 */
#include "kmalloc_debug.h"

#include <quire/assert.h>

#define MAGAZINE_WANTED_BYTES 8192u
#define MAGAZINE_LEAST        8u
#define EMPTY_SHARE           64u /* of memory may be in empty slabs */

static pfn_t slab_frame(const struct slab *s)
{
	return paddr_to_pfn(port_virt_to_phys((const void *)(uintptr_t)s->base));
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

static void cache_begin_at(struct kmem_cache *cache, unsigned first)
{
	cache->first = (uint8_t)first;
	cache->objects = (uint16_t)(cache->slots - first);
	cache->fullness = cache_fullness(cache->objects);
}

void cache_leave_front(struct kmem_cache *cache)
{
	cache_begin_at(cache, 1);
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
	cache->slots = (uint16_t)((PAGE_BYTES << cache->order) / bytes);
	cache_begin_at(cache, cache_is_of_headers(cache));
	if (heap->debug && kind != KMEM_INTERNAL)
		cache_leave_front(cache);
	if (cache_is_of_headers(cache))
		cache->header = (uint8_t)(cache - heap->headers);
	while (sizeof(struct slab) + cache->slots + 1 > slab_header_bytes(cache->header) &&
	       cache->header < KHEAP_HEADERS - 1)
		cache->header++;
	arena_init(&cache->common, cache, ARENA_COMMON);
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
	if (cache->first) /* for ever: it is the header, or left out */
		slot_set(slab_state(s, 0), cache_is_of_headers(cache) ? SLOT_LIVE : SLOT_NONE);
	s->free = cache->objects;
}

/* For the heap as a whole: CPUs add at the same time. */
static void count(uint64_t *at, int64_t change)
{
	__atomic_fetch_add(at, (uint64_t)change, __ATOMIC_RELAXED);
}

/* Knowing callers is a help, not a need: without the memory the slab goes untracked. */
static struct slab_track *track_alloc(struct kheap *heap, uintptr_t caller)
{
	pfn_t page = page_alloc_for(heap->pages, track_order(heap), PAGE_ZEROED, caller);

	if (pfn_is_none(page))
		return NULL;
	count(&heap->track_pages_held, 1 << track_order(heap));
	return port_phys_to_virt(pfn_to_paddr(page));
}

static void track_free(struct kheap *heap, const struct slab *s, uintptr_t caller)
{
	if (slab_debug(heap, s))
		debug_slab_gone(heap, s, caller);
	page_free_for(heap->pages, paddr_to_pfn(port_virt_to_phys(s->track)), track_order(heap),
		      caller);
	count(&heap->track_pages_held, -(1 << track_order(heap)));
}

/* The magazines in which kmalloc_fast.h puts the slab's objects; KHEAP_MAGAZINES are nobody's. */
static void slab_set_magazine(struct slab *s, uint32_t magazine)
{
	__atomic_store_n(&s->magazine, (uint16_t)magazine, __ATOMIC_RELAXED);
}

void slab_quicken(struct slab *s)
{
	slab_set_magazine(s, slab_may_be_quick(s) ? s->cache->magazine : KHEAP_MAGAZINES);
}

void slab_slow_down(struct slab *s)
{
	slab_set_magazine(s, KHEAP_MAGAZINES);
}

/* How many pages of empty slabs all arenas together may keep: memory grows while booting. */
static void renew_empty_most(struct kheap *heap)
{
	uint64_t managed = 0;

	for (unsigned i = 0; i < heap->pages->nodes * PAGE_ZONES; i++)
		managed += heap->pages->zones[i].managed;
	__atomic_store_n(&heap->empty_most, managed / EMPTY_SHARE, __ATOMIC_RELAXED);
}

struct slab *slab_create(struct arena *a, uintptr_t caller)
{
	struct kmem_cache *cache = a->cache;
	struct kheap *heap = cache->heap;
	bool internal = cache->kind == KMEM_INTERNAL;
	pfn_t pages = page_alloc_for(heap->pages, cache->order, PAGE_ANY, caller);
	void *base;
	struct slab *s;

	/* Pages first: a header slab fetched in vain would be kept, at a time when memory is out. */
	if (pfn_is_none(pages))
		return NULL;
	base = port_phys_to_virt(pfn_to_paddr(pages));
	s = cache_is_of_headers(cache) ? base : cache_take(&heap->headers[cache->header], caller);
	if (!s)
		goto no_header;
	*s = (struct slab){
		.cache = cache,
		.base = (uintptr_t)base,
		.track = heap->watch & WATCH_TRACK && !internal ? track_alloc(heap, caller) : NULL,
		.inverse = ~(uint64_t)0 / cache->object_bytes + 1,
		.owner = (uint16_t)a->owner,
	};
	slab_quicken(s);
	list_init(&s->link);
	slab_mark_all_free(s);
	if (unlikely(slab_debug(heap, s)))
		debug_slab_made(heap, s);
	if (!internal)
		port_poison(base, PAGE_BYTES << cache->order, POISON_SLAB);
	page_set_slab(heap->pages, pages, cache->order, s);
	count(&cache->slabs, 1);
	count(&heap->slab_pages_held, (int64_t)slab_pages(cache));
	renew_empty_most(heap);
	return s;

no_header:
	page_free_for(heap->pages, pages, cache->order, caller);
	return NULL;
}

/* The header goes last: while the descriptors name it, it is one. */
void slab_destroy(struct slab *s, uintptr_t caller)
{
	struct kmem_cache *cache = s->cache;
	struct kheap *heap = cache->heap;
	pfn_t pages = slab_frame(s);

	if (s->track)
		track_free(heap, s, caller);
	page_clear_slab(heap->pages, pages, cache->order);
	if (!cache_is_of_headers(cache))
		cache_put(heap, s, caller);
	/* From here on *s is gone, or about to go with its page. */
	page_free_for(heap->pages, pages, cache->order, caller);
	count(&cache->slabs, -1);
	count(&heap->slab_pages_held, -(int64_t)slab_pages(cache));
}
