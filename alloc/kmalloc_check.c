/* SPDX-License-Identifier: MIT */
/*
 * The validator: recounts every book from the slab headers up and compares it
 * with the counters and with the page descriptors.
 *
 *   for every slab   free = popcount(bitmap),  desc(page) = (SLAB, header) for each of its pages
 *   for every cache  allocs - frees = slabs * objects - sum(free)
 *   for the heap     live headers = slabs of all caches but `headers`
 *                    live struct kmem_cache = typed caches
 *                    slab_pages_held = sum(slabs << order)
 *
 * Lock: heap->lock for the whole walk.
 */
#include "kmalloc_internal.h"

struct sums {
	uint64_t slabs, free;                   /* of the cache being walked */
	uint64_t pages, tracks, headers, typed; /* of the heap so far */
};

static const char *check_descriptors(const struct kheap *heap, const struct slab *s)
{
	for (uint64_t offset = 0; offset < PAGE_BYTES << s->cache->order; offset += PAGE_BYTES)
		if (slab_of(heap, (const void *)(uintptr_t)(s->base + offset)) != s)
			return "kmalloc: a slab's page does not name its header";
	return NULL;
}

static const char *check_bitmap(const struct slab *s)
{
	const struct kmem_cache *cache = s->cache;
	unsigned bits = 0;

	for (unsigned word = 0; word < SLAB_WORDS; word++)
		bits += (unsigned)__builtin_popcountll(s->bitmap[word]);
	if (bits != s->free)
		return "kmalloc: a slab's free count is not its bitmap's";
	for (unsigned slot = cache->slots; slot < SLAB_OBJECTS_MAX; slot++)
		if (slab_slot_is_free(s, slot))
			return "kmalloc: a slot beyond the last object is free";
	return s->word < SLAB_WORDS ? NULL : "kmalloc: a slab's hint is out of range";
}

static const char *check_slab(struct kmem_cache *cache, const struct slab *s, struct sums *sums)
{
	const struct slab *home;
	const char *wrong;

	if (++sums->slabs > cache->slabs)
		return "kmalloc: more slabs in lists than counted";
	if (s->cache != cache)
		return "kmalloc: a slab is in the lists of a cache that is not its own";
	if (s->quick != (cache->kind == KMEM_INTERNAL || s->track ? NULL : cache->heap))
		return "kmalloc: a slab is quick that must not be, or the reverse";
	if (s->base % PAGE_BYTES)
		return "kmalloc: a slab is not aligned";
	home = slab_of(cache->heap, s);
	if (!home || home->cache != &cache->heap->headers)
		return "kmalloc: a slab header is not in a header slab";
	if (slab_live_slot(home, (uintptr_t)s) == SLAB_NO_SLOT)
		return "kmalloc: a slab header is free";
	wrong = check_bitmap(s);
	if (!wrong)
		wrong = check_descriptors(cache->heap, s);
	sums->free += s->free;
	sums->tracks += s->track != NULL;
	return wrong;
}

static const char *check_list(struct kmem_cache *cache, const struct list *head, bool full,
			      struct sums *sums)
{
	list_for_each (node, head) {
		const struct slab *s = list_entry(node, struct slab, link);
		const char *wrong = check_slab(cache, s, sums);

		if (wrong)
			return wrong;
		if (full != (s->free == 0) || s->free == cache->objects)
			return "kmalloc: a slab is in the wrong list";
	}
	return NULL;
}

static const char *check_current(struct kmem_cache *cache, struct sums *sums)
{
	const struct slab *s = cache->current;

	if (!s)
		return list_is_empty(&cache->partial) ? NULL
						      : "kmalloc: a partial slab is not chosen";
	if (!list_is_empty(&s->link))
		return "kmalloc: the current slab is in a list";
	if (s->free == 0)
		return "kmalloc: the current slab is full";
	return check_slab(cache, s, sums);
}

static const char *check_cache(struct kmem_cache *cache, struct sums *sums)
{
	const char *wrong;

	sums->slabs = 0;
	sums->free = 0;
	wrong = check_current(cache, sums);
	if (!wrong)
		wrong = check_list(cache, &cache->partial, false, sums);
	if (!wrong)
		wrong = check_list(cache, &cache->full, true, sums);
	if (wrong)
		return wrong;
	if (sums->slabs != cache->slabs)
		return "kmalloc: fewer slabs in lists than counted";
	if (cache->allocs - cache->frees != cache->slabs * cache->objects - sums->free)
		return "kmalloc: live objects are not allocations less frees";
	sums->pages += cache->slabs << cache->order;
	sums->headers += cache == &cache->heap->headers ? 0 : cache->slabs;
	sums->typed += cache->kind == KMEM_TYPED;
	return NULL;
}

static const char *check_locked(struct kheap *heap)
{
	struct sums sums = {0};

	list_for_each (node, &heap->caches) {
		struct kmem_cache *cache = list_entry(node, struct kmem_cache, link);
		const char *wrong = check_cache(cache, &sums);

		if (wrong)
			return wrong;
	}
	if (sums.headers != heap->headers.allocs - heap->headers.frees)
		return "kmalloc: live headers are not slabs";
	if (sums.typed != heap->cache_cache.allocs - heap->cache_cache.frees)
		return "kmalloc: live caches are not those in the list";
	if (sums.pages != heap->slab_pages_held || sums.tracks != heap->track_pages_held)
		return "kmalloc: pages held are not those of the slabs";
	if (heap->large_live != heap->large_allocs - heap->large_frees)
		return "kmalloc: live large objects are not allocations less frees";
	return NULL;
}

const char *kheap_check(struct kheap *heap)
{
	port_irq_t irq = spin_lock(&heap->lock);
	const char *wrong = check_locked(heap);

	spin_unlock(&heap->lock, irq);
	return wrong;
}
