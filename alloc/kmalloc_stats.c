/* SPDX-License-Identifier: MIT */
/*
 * kmalloc's numbers. Pages held = slab_pages + header_pages + large_pages + guard_pages: what
 * the page allocator counts as used on this heap's behalf.
 *
 * Lock: heap->lock, so that no cache and no magazine goes; inside it, of one arena after the
 * other. While CPUs work, a snapshot is of each arena at a moment of its own.
 */
#include "kmalloc_debug.h"
#include "kmalloc_guard.h"

static void cache_stats_locked(struct kmem_cache *cache, struct kmem_cache_stats *out)
{
	uint32_t slab_bytes = (uint32_t)PAGE_BYTES << cache->order;
	struct magazine_counts counts = cache_counts_locked(cache);
	uint64_t quarantined = debug_quarantined_locked(cache);

	*out = (struct kmem_cache_stats){
		.name = cache->name,
		.size_class = cache->kind == KMEM_CLASS,
		.object_bytes = cache->object_bytes,
		.objects_per_slab = cache->objects,
		.slab_pages = 1u << cache->order,
		.waste_bytes = slab_bytes - cache->object_bytes * cache->slots,
		.slabs = __atomic_load_n(&cache->slabs, __ATOMIC_RELAXED),
		.live = counts.allocs - counts.frees - quarantined,
		.allocs = counts.allocs,
		.frees = counts.frees + quarantined,
		.failures = cache->failures,
		.quarantined = quarantined,
	};
}

bool kheap_cache_stats(struct kheap *heap, size_t i, struct kmem_cache_stats *out)
{
	port_irq_t irq = spin_lock(&heap->lock);
	bool found = false;

	list_for_each (node, &heap->caches) {
		if (i-- == 0) {
			cache_stats_locked(list_entry(node, struct kmem_cache, link), out);
			found = true;
			break;
		}
	}
	spin_unlock(&heap->lock, irq);
	return found;
}

/* Headers and magazines: what the slabs and CPUs themselves are kept in. */
static bool cache_is_of_books(const struct kmem_cache *cache)
{
	return cache->kind == KMEM_INTERNAL && cache != &cache->heap->cache_cache;
}

void kheap_stats(struct kheap *heap, struct kheap_stats *out)
{
	port_irq_t irq = spin_lock(&heap->lock);
	struct kheap_large large = large_counts(heap);

	*out = (struct kheap_stats){
		.header_pages = heap->track_pages_held + heap->cpu_pages,
		.large_pages = large.pages,
		.guard_pages = heap->guard ? heap->guard->pages : 0,
		.empty_pages = __atomic_load_n(&heap->empty_pages, __ATOMIC_RELAXED),
		.large_live = large.allocs - large.frees,
		.large_allocs = large.allocs,
		.large_frees = large.frees,
		.large_failures = heap->large_failures,
		.misuses = heap->misuses,
	};
	list_for_each (node, &heap->caches) {
		struct kmem_cache *cache = list_entry(node, struct kmem_cache, link);
		struct magazine_counts counts = cache_counts_locked(cache);
		uint64_t slabs = __atomic_load_n(&cache->slabs, __ATOMIC_RELAXED);
		uint64_t held = debug_quarantined_locked(cache);
		uint64_t live = counts.allocs - counts.frees - held;

		if (cache_is_of_books(cache)) {
			out->header_pages += slabs << cache->order;
			continue;
		}
		out->slab_pages += slabs << cache->order;
		out->live_objects += live;
		out->live_bytes += live * cache->object_bytes;
		out->quarantined_objects += held;
		out->quarantined_bytes += held * cache->object_bytes;
		out->cached_objects += counts.objects;
		out->cached_bytes += counts.objects * cache->object_bytes;
	}
	spin_unlock(&heap->lock, irq);
}

void kheap_cpu_stats(struct kheap *heap, unsigned cpu, struct kheap_cpu_stats *out)
{
	port_irq_t irq;

	*out = (struct kheap_cpu_stats){0};
	if (cpu >= PORT_CPUS_MAX)
		return;
	irq = spin_lock(&heap->lock);
	for (unsigned i = 0; i < KHEAP_MAGAZINES; i++) {
		const struct magazine *m = heap->online[cpu]->magazines[i];
		uint64_t objects;

		if (m == &magazine_none)
			continue;
		arena_lock(m->arena);
		objects = magazine_counts(m).objects;
		arena_unlock(m->arena);
		out->magazines++;
		out->objects += objects;
		out->bytes += objects * m->arena->cache->object_bytes;
	}
	spin_unlock(&heap->lock, irq);
}
