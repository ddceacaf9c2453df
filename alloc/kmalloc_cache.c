/* SPDX-License-Identifier: MIT */
/*
 * Typed caches: made and unmade. Their slabs are like any others.
 *
 * Invariant: caches in heap->caches of kind KMEM_TYPED = live objects of heap->cache_cache.
 * Lock: heap->lock; the arenas' inside it.
 */
#include "kmalloc_debug.h"

#include <quire/errno.h>

/* Object size for a request, 0 when it is absurd. */
static uint32_t typed_bytes(size_t bytes, size_t align)
{
	if (align == 0)
		align = KMALLOC_MIN_ALIGN;
	if ((align & (align - 1)) || align > PAGE_BYTES)
		return 0;
	if (align < KMALLOC_MIN_ALIGN)
		align = KMALLOC_MIN_ALIGN;
	if (bytes == 0 || bytes > KMALLOC_SMALL_MAX)
		return 0;
	if (bytes <= KMALLOC_SMALL_MAX - PORT_REDZONE)
		bytes += PORT_REDZONE;
	return (uint32_t)align_up(bytes, align);
}

/* An index of magazines nobody uses; KHEAP_MAGAZINES when all are in use. */
static uint32_t typed_magazine_locked(struct kheap *heap)
{
	uint32_t i = KMALLOC_CLASSES;

	while (i < KHEAP_MAGAZINES && (heap->typed_magazines[i / 64] >> i % 64 & 1))
		i++;
	if (i < KHEAP_MAGAZINES)
		heap->typed_magazines[i / 64] |= (uint64_t)1 << i % 64;
	return i;
}

static void typed_magazine_free_locked(struct kheap *heap, uint32_t i)
{
	if (i < KHEAP_MAGAZINES)
		heap->typed_magazines[i / 64] &= ~((uint64_t)1 << i % 64);
}

/* Each CPU gets one; or loses it. */
static void typed_arenas_locked(struct kmem_cache *cache, bool begin)
{
	struct kheap *heap = cache->heap;

	for (unsigned cpu = 0; cache->magazine < KHEAP_MAGAZINES && cpu < heap->cpus; cpu++) {
		struct arena *arenas = heap->online[cpu]->arenas; /* NULL: of nobody */

		if (arenas && begin)
			arena_init(&arenas[cache->magazine], cache, cpu);
		else if (arenas)
			arenas[cache->magazine].cache = NULL;
	}
}

struct kmem_cache *kmem_cache_create(struct kheap *heap, const char *name, size_t bytes,
				     size_t align)
{
	uint32_t object_bytes = typed_bytes(bytes, align);
	uintptr_t caller = caller_address();
	struct kmem_cache *cache = NULL;
	port_irq_t irq;

	if (!object_bytes)
		return NULL;
	object_bytes = debug_typed_bytes(heap, bytes, object_bytes, align);
	irq = spin_lock(&heap->lock);
	if (!kheap_must_fail(heap, caller))
		cache = cache_take(&heap->cache_cache, caller);
	if (cache) {
		cache_init(cache, heap, name, object_bytes, KMEM_TYPED);
		cache->wanted_bytes = (uint32_t)bytes;
		cache->magazine = typed_magazine_locked(heap);
		typed_arenas_locked(cache, true);
	}
	spin_unlock(&heap->lock, irq);
	return cache;
}

static void note_live(void *context, const struct kheap_live *live)
{
	struct misuse *m = context;

	if (m->live < MISUSE_LEAKS) {
		m->left[m->live].object = live->object;
		m->left[m->live].allocated_by = live->allocated_by;
	}
	m->live++;
}

/* A cache that cannot go: which objects its owner has forgotten. */
static cold_fn void report_leak(struct kmem_cache *cache, uintptr_t caller)
{
	struct misuse m = {
		.what = "cache destroyed while objects are live",
		.allocator = "kmalloc",
		.address = (uintptr_t)cache,
		.bytes = cache->wanted_bytes,
		.cache = cache->name,
		.caller = caller,
	};

	kheap_walk(cache->heap, cache, note_live, &m);
	port_misuse(&m);
}

static bool is_typed_cache_locked(const struct kheap *heap, const struct kmem_cache *cache)
{
	const struct slab *home = slab_of(heap, cache);

	return home && home->cache == &heap->cache_cache &&
	       slab_live_slot(home, (uintptr_t)cache) != SLAB_NO_SLOT;
}

int kmem_cache_destroy(struct kmem_cache *cache)
{
	struct kheap *heap = cache->heap;
	uintptr_t caller = caller_address();
	struct magazine_counts counts;
	port_irq_t irq;

	if (unlikely(heap->debug))
		debug_drain(heap);
	/* Closed: who has just freed the last object may not be done with its magazine. */
	irq = kheap_close(heap);
	kheap_open_locked(heap);
	if (!is_typed_cache_locked(heap, cache)) {
		kheap_refuse(heap, cache, NULL, caller, irq);
		return -EINVAL;
	}
	counts = cache_counts_locked(cache);
	if (counts.allocs != counts.frees) {
		heap->misuses++;
		spin_unlock(&heap->lock, irq);
		report_leak(cache, caller);
		return -EBUSY;
	}
	/* No object is live, so no CPU has any business with its magazines, and all slabs are empty. */
	magazine_drain_cache_locked(cache, caller);
	cache_trim_locked(cache, caller);
	typed_arenas_locked(cache, false);
	typed_magazine_free_locked(heap, cache->magazine);
	list_remove(&cache->link);
	cache_put(heap, cache, caller);
	spin_unlock(&heap->lock, irq);
	if (unlikely(heap->debug))
		debug_tell(heap);
	return 0;
}
