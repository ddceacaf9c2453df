/* SPDX-License-Identifier: MIT */
/*
 * Quarantine: a freed object waits until QUARANTINE_LONG others were freed. So a second free, or a use
 * after the first, comes before the slot has a new owner, and is told with who allocated
 * the object and who freed it.
 *
 *   kfree ─► ring of 256 ─► let_go: the slot becomes FREE in its slab
 *            held[first] is the oldest
 *
 * To its caller an object is free from kfree() on: figures, `leaks` and the trace say so. To its
 * slab it stays LIVE until it is let go; the record beside the slab knows better (enum debug_held).
 *
 *   objects in the ring = slots that are LIVE and HELD
 *
 * Lock: heap->lock for the ring, and for taking a slot from its owner.
 */
#include "kmalloc_debug.h"

#include <quire/errno.h>

int kheap_debug_init(struct kheap *heap)
{
	pfn_t page = page_alloc_for(heap->pages, 0, PAGE_ZEROED, caller_address());

	_Static_assert(sizeof(struct kheap_debug) <= PAGE_BYTES, "one page");
	if (pfn_is_none(page))
		return -ENOMEM;
	heap->cpu_pages++;
	heap->debug = port_phys_to_virt(pfn_to_paddr(page));
	for (unsigned i = 0; i < KMALLOC_CLASSES; i++)
		cache_leave_front(&heap->classes[i]);
	kheap_watch(heap, WATCH_DEBUG | WATCH_TRACK, 0);
	return 0;
}

/* ---- what is found under a lock is told without ---- */

void debug_note(struct kheap *heap, const struct misuse *m)
{
	struct kheap_debug *d = heap->debug;
	uint32_t none = NOTE_NONE;

	if (!__atomic_compare_exchange_n(&d->note_state, &none, NOTE_BUSY, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		return; /* there is one: the first is enough */
	d->note = *m;
	__atomic_store_n(&d->note_state, NOTE_READY, __ATOMIC_RELEASE);
}

void debug_tell(struct kheap *heap)
{
	struct kheap_debug *d = heap->debug;
	uint32_t ready = NOTE_READY;
	struct misuse m;

	if (likely(!__atomic_compare_exchange_n(&d->note_state, &ready, NOTE_BUSY, false,
						__ATOMIC_ACQUIRE, __ATOMIC_RELAXED)))
		return;
	m = d->note;
	__atomic_store_n(&d->note_state, NOTE_NONE, __ATOMIC_RELEASE);
	port_misuse(&m);
}

/* ---- out of quarantine ---- */

static void *pop_locked(struct kheap_debug *d)
{
	void *oldest;

	if (!d->count)
		return NULL;
	oldest = (void *)d->held[d->first];
	d->first = (d->first + 1) % QUARANTINE_LONG;
	d->count--;
	return oldest;
}

/* For good. It was recorded as freed when its caller did that. */
static void let_go(struct kheap *heap, void *object, uintptr_t caller)
{
	struct slab *s = slab_of(heap, object);
	unsigned slot = slab_slot_around(s, (uintptr_t)object);
	uintptr_t freed_by = track_address(s->track->freed_by[slot]);
	struct misuse m = {.caller = caller};
	bool wrong = debug_object_gone(s, slot, &m);

	debug_set_held(slab_debug(heap, s), slot, DEBUG_MOVING);
	kheap_free_plain(heap, object, freed_by);
	if (wrong)
		port_misuse(&m);
	debug_tell(heap);
}

void debug_drain(struct kheap *heap)
{
	uintptr_t caller = caller_address();

	for (;;) {
		port_irq_t irq = spin_lock(&heap->lock);
		void *oldest = pop_locked(heap->debug);

		spin_unlock(&heap->lock, irq);
		if (!oldest)
			return;
		let_go(heap, oldest, caller);
	}
}

uint64_t debug_quarantined_locked(const struct kmem_cache *cache)
{
	const struct kheap_debug *d = cache->heap->debug;
	uint64_t count = 0;

	for (uint32_t i = 0; d && i < d->count; i++) {
		uintptr_t object = d->held[(d->first + i) % QUARANTINE_LONG];

		count += slab_of(cache->heap, (void *)object)->cache == cache;
	}
	return count;
}

/* ---- into quarantine ---- */

/* Returns the one that has to leave, or NULL. */
static void *push_locked(struct kheap_debug *d, void *object)
{
	void *oldest = d->count == QUARANTINE_LONG ? pop_locked(d) : NULL;

	d->held[(d->first + d->count++) % QUARANTINE_LONG] = (uintptr_t)object;
	return oldest;
}

/* Its caller has freed it: it is MOVING, so nobody else can. */
static void slot_end(struct kheap *heap, struct slab *s, unsigned slot, uintptr_t caller)
{
	struct slab_debug *d = slab_debug(heap, s);
	void *object = slab_object(s, slot), *oldest;
	struct misuse m[2] = {{.caller = caller}, {.caller = caller}};
	unsigned wrong = debug_object_end(s, slot, d->asked[slot], m);
	port_irq_t irq;

	s->track->freed_by[slot] = (uint32_t)caller;
	port_poison(object, s->cache->object_bytes, POISON_FREED);
	irq = spin_lock(&heap->lock);
	debug_set_held(d, slot, DEBUG_HELD);
	oldest = push_locked(heap->debug, object);
	spin_unlock(&heap->lock, irq);
	for (unsigned i = 0; i < wrong; i++)
		port_misuse(&m[i]);
	if (oldest)
		let_go(heap, oldest, caller);
}

bool debug_free(struct kheap *heap, void *object, uintptr_t caller)
{
	port_irq_t irq = spin_lock(&heap->lock);
	struct slab *s = slab_of(heap, object);
	unsigned slot = slab_is_ours(heap, s) ? slab_live_slot(s, (uintptr_t)object) : SLAB_NO_SLOT;
	struct slab_debug *d = slot == SLAB_NO_SLOT ? NULL : slab_debug(heap, s);

	if (!d) {
		spin_unlock(&heap->lock, irq);
		return false;
	}
	if (debug_held(d, slot) != DEBUG_OWNED) {
		kheap_refuse(heap, object, NULL, caller, irq);
		return true;
	}
	debug_set_held(d, slot, DEBUG_MOVING);
	kheap_record(heap, TRACE_KFREE, object, d->asked[slot], caller, false);
	spin_unlock(&heap->lock, irq);
	slot_end(heap, s, slot, caller);
	return true;
}
