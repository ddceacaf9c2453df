/* SPDX-License-Identifier: MIT */
/*
 * The validator: recounts every book from the slab headers up and compares it
 * with the counters, with the magazines and with the page descriptors.
 *
 *   for every slab   free = FREE slots,  desc(page) = (SLAB, header) for each of its pages
 *   for every arena  its slabs are its own, each in the right list
 *   for every cache  allocs - frees = LIVE slots (but for header slabs' own headers)
 *                                     and live guarded objects
 *                    objects in its magazines = CACHED slots, each of them one
 *   for the heap     live headers = slabs of all caches but those of headers
 *                    live magazines = magazines of CPUs
 *                    live struct kmem_cache = typed caches
 *                    slab_pages_held = sum(slabs << order)
 *                    large objects freed <= allocated, the live ones of 3 pages or more
 *
 * Lock: heap->lock for the whole walk, with the magazines of all CPUs closed (kmalloc_watch.c).
 */
#include "kmalloc_debug.h"
#include "kmalloc_guard.h"

struct sums {
	uint64_t slabs, live, cached;                      /* of the cache being walked */
	uint64_t pages, tracks, headers, typed, magazines; /* of the heap so far */
	uint64_t empty_pages;
};

static const char *check_descriptors(const struct kheap *heap, const struct slab *s)
{
	for (uint64_t offset = 0; offset < PAGE_BYTES << s->cache->order; offset += PAGE_BYTES)
		if (slab_of(heap, (const void *)(uintptr_t)(s->base + offset)) != s)
			return "kmalloc: a slab's page does not name its header";
	return NULL;
}

static const char *check_states(const struct slab *s, struct sums *sums)
{
	const struct kmem_cache *cache = s->cache;
	unsigned words = slab_words(cache), of_free = 0;

	if (s->word > words)
		return "kmalloc: a slab's hint is out of range";
	for (unsigned slot = 0; slot < cache->slots; slot++) {
		enum slot_state state = slab_slot_state(s, slot);

		if (slot < cache->first) {
			if (state != (cache_is_of_headers(cache) ? SLOT_LIVE : SLOT_NONE))
				return "kmalloc: a slot before the first object is used";
			continue;
		}
		of_free += state == SLOT_FREE;
		sums->live += state == SLOT_LIVE;
		sums->cached += state == SLOT_CACHED;
		if (state == SLOT_FREE && slot / 8 < s->word)
			return "kmalloc: a slab has a free slot before its hint";
		if (state != SLOT_FREE && state != SLOT_LIVE && state != SLOT_CACHED)
			return "kmalloc: a slot has no state";
	}
	if (of_free != s->free)
		return "kmalloc: a slab's free count is not that of its states";
	for (unsigned slot = cache->slots; slot < words * 8 || slot == cache->slots; slot++)
		if (slab_slot_state(s, slot) != SLOT_NONE)
			return "kmalloc: a slot beyond the last object is there";
	return NULL;
}

static const char *check_slab(const struct arena *a, const struct slab *s, struct sums *sums)
{
	const struct kmem_cache *cache = a->cache;
	const struct slab *home;
	const char *wrong;

	if (++sums->slabs > cache->slabs)
		return "kmalloc: more slabs in lists than counted";
	if (s->cache != cache)
		return "kmalloc: a slab is in the lists of a cache that is not its own";
	if (s->owner != a->owner)
		return "kmalloc: a slab is in the lists of another CPU";
	if (slab_is_quick(s) && !slab_may_be_quick(s))
		return "kmalloc: a slab is quick that must not be";
	if (slab_is_quick(s) && s->magazine != cache->magazine)
		return "kmalloc: a slab has another cache's magazines";
	if (s->inverse != ~(uint64_t)0 / cache->object_bytes + 1)
		return "kmalloc: a slab divides by another object size";
	if (s->base % PAGE_BYTES)
		return "kmalloc: a slab is not aligned";
	home = slab_of(cache->heap, s);
	if (!home || home->cache != &cache->heap->headers[cache->header])
		return "kmalloc: a slab header is not in a header slab";
	if (slab_live_slot(home, (uintptr_t)s) == SLAB_NO_SLOT)
		return "kmalloc: a slab header is free";
	wrong = check_states(s, sums);
	if (!wrong)
		wrong = check_descriptors(cache->heap, s);
	sums->tracks += s->track ? 1u << track_order(cache->heap) : 0;
	return wrong;
}

static const char *check_list(const struct arena *a, const struct list *head, uint32_t least,
			      uint32_t most, struct sums *sums)
{
	list_for_each (node, head) {
		const struct slab *s = list_entry(node, struct slab, link);
		const char *wrong = check_slab(a, s, sums);

		if (wrong)
			return wrong;
		if (s->free < least || s->free > most ||
		    (least < most && head != &a->partial[slab_fullness(a->cache, s->free)]))
			return "kmalloc: a slab is in the wrong list";
	}
	return NULL;
}

static const char *check_lists(const struct arena *a, struct sums *sums)
{
	uint32_t all = a->cache->objects;
	const char *wrong = NULL;
	uint64_t slabs;

	for (unsigned i = 0; !wrong && i < KMEM_FULLNESS; i++)
		wrong = check_list(a, &a->partial[i], 1, all - 1, sums);
	if (!wrong)
		wrong = check_list(a, &a->full, 0, 0, sums);
	slabs = sums->slabs;
	if (!wrong)
		wrong = check_list(a, &a->empty, all, all, sums);
	sums->empty_pages += (sums->slabs - slabs) << a->cache->order;
	return wrong;
}

static bool are_empty(const struct list *lists, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (!list_is_empty(&lists[i]))
			return false;
	return true;
}

static const char *check_current(const struct arena *a, struct sums *sums)
{
	const struct slab *s = a->current;

	if (!s)
		return are_empty(a->partial, KMEM_FULLNESS) && are_empty(&a->empty, 1)
			       ? NULL
			       : "kmalloc: a slab with free objects is not chosen";
	if (!list_is_empty(&s->link))
		return "kmalloc: the current slab is in a list";
	if (s->free == 0)
		return "kmalloc: the current slab is full";
	return check_slab(a, s, sums);
}

/* Every object in the magazine is a slot of the cache and says so. */
static const char *check_magazine(const struct kmem_cache *cache, const struct magazine *m)
{
	unsigned top = m->top;

	if (m->arena->cache != cache || top > m->room || top % 2)
		return "kmalloc: a magazine is not what its CPU takes it for";
	for (unsigned i = 0; i < top; i += 2) {
		const struct slab *s = slab_of(cache->heap, (void *)m->slots[i]);
		uintptr_t slot;

		if (!s || s->cache != cache)
			return "kmalloc: an object is in a magazine of a cache not its own";
		slot = m->slots[i + 1] - (uintptr_t)s->states;
		if (slot >= cache->slots ||
		    (uintptr_t)slab_object(s, (unsigned)slot) != m->slots[i])
			return "kmalloc: a magazine has an object with the state of another";
		if (slab_slot_state(s, (unsigned)slot) != SLOT_CACHED)
			return "kmalloc: an object in a magazine is not cached";
	}
	return NULL;
}

static const char *check_magazines(const struct kmem_cache *cache, struct sums *sums)
{
	const struct kheap *heap = cache->heap;

	for (unsigned cpu = 0; cache->magazine < KHEAP_MAGAZINES && cpu < heap->cpus; cpu++) {
		const struct magazine *m = heap->online[cpu]->magazines[cache->magazine];
		const char *wrong;

		if (m == &magazine_none)
			continue;
		wrong = check_magazine(cache, m);
		if (wrong)
			return wrong;
		if (m->arena->owner != cpu)
			return "kmalloc: a magazine is not what its CPU takes it for";
		sums->magazines++;
	}
	return NULL;
}

static const char *check_arenas(struct kmem_cache *cache, struct sums *sums)
{
	const char *wrong = NULL;
	const struct arena *a;

	for (unsigned i = 0; !wrong && (a = arena_at(cache, i)) != NULL; i++) {
		if (i && a == &cache->common)
			continue;
		if (a->cache != cache || a->owner != (i ? i - 1 : ARENA_COMMON))
			return "kmalloc: an arena is not of its cache and CPU";
		wrong = check_current(a, sums);
		if (!wrong)
			wrong = check_lists(a, sums);
	}
	return wrong;
}

static const char *check_cache(struct kmem_cache *cache, struct sums *sums)
{
	struct magazine_counts counts = cache_counts_locked(cache);
	const char *wrong;

	sums->slabs = 0;
	sums->live = guard_live_locked(cache);
	sums->cached = 0;
	wrong = check_arenas(cache, sums);
	if (!wrong)
		wrong = check_magazines(cache, sums);
	if (wrong)
		return wrong;
	if (sums->slabs != cache->slabs)
		return "kmalloc: fewer slabs in lists than counted";
	if (counts.allocs - counts.frees != sums->live)
		return "kmalloc: live objects are not allocations less frees";
	if (counts.objects != sums->cached)
		return "kmalloc: cached objects are not those in magazines";
	sums->pages += cache->slabs << cache->order;
	sums->headers += cache_is_of_headers(cache) ? 0 : cache->slabs;
	sums->typed += cache->kind == KMEM_TYPED;
	return NULL;
}

static uint64_t live_in(const struct kmem_cache *caches, unsigned count)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < count; i++)
		sum += caches[i].common.allocs - caches[i].common.frees;
	return sum;
}

#define LARGE_PAGES_MIN (KMALLOC_SMALL_MAX / PAGE_BYTES + 1)

static const char *check_large(struct kheap_large sum)
{
	uint64_t live = sum.allocs - sum.frees;

	if (sum.frees > sum.allocs)
		return "kmalloc: more large objects freed than allocated";
	if (live ? sum.pages / live < LARGE_PAGES_MIN : sum.pages)
		return "kmalloc: large objects and their pages do not match";
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
	if (sums.headers != live_in(heap->headers, KHEAP_HEADERS))
		return "kmalloc: live headers are not slabs";
	if (sums.magazines != live_in(&heap->magazines, 1))
		return "kmalloc: live magazines are not those of CPUs";
	if (sums.typed != live_in(&heap->cache_cache, 1))
		return "kmalloc: live caches are not those in the list";
	if (sums.pages != heap->slab_pages_held || sums.tracks != heap->track_pages_held)
		return "kmalloc: pages held are not those of the slabs";
	if (sums.empty_pages != heap->empty_pages)
		return "kmalloc: empty pages are not those of empty slabs";
	if (guard_check_locked(heap))
		return guard_check_locked(heap);
	return check_large(large_counts(heap));
}

const char *kheap_check(struct kheap *heap)
{
	port_irq_t irq = kheap_close(heap);
	const char *wrong = check_locked(heap);

	kheap_open_locked(heap);
	spin_unlock(&heap->lock, irq);
	if (!wrong && heap->debug)
		wrong = debug_check(heap);
	return wrong;
}
