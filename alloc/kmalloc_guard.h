/* SPDX-License-Identifier: MIT */
/* Guarded objects: their books, and what the rest of kmalloc asks. */
#ifndef QUIRE_KMALLOC_GUARD_H
#define QUIRE_KMALLOC_GUARD_H

#include "kmalloc_internal.h"
#include <quire/kheap_guard.h>

/*
 *                 guard_alloc()           guard_free()
 *   UNUSED ─────────────────────► LIVE ────────────────► FREED, last in guard.free
 *                                  ▲                        │
 *                                  └────────────────────────┘ when it is the first there
 */
enum guard_state {
	GUARD_UNUSED,
	GUARD_LIVE,
	GUARD_FREED,
};

/* Pages that a fault made accessible on behalf of a slot. */
#define GUARD_OPEN_BEFORE 1u
#define GUARD_OPEN_BEHIND 2u

struct guard_slot {
	struct list link;         /* in guard.free, unless LIVE */
	uint64_t object;          /* its address */
	uint32_t bytes;           /* as asked for, at least 1 */
	uint8_t state;            /* enum guard_state */
	uint8_t open;             /* atomic: a fault sets bits without the lock */
	struct kmem_cache *cache; /* while LIVE; a FREED one's may be gone */
	const char *name;         /* its name */
	uintptr_t allocated_by, freed_by;
};

struct guard {
	uint64_t base; /* addresses: a page for each slot, one before, between and behind them */
	uint32_t slots;
	uint32_t live;
	pfn_t frames;     /* slot i's page is the i-th from here; one more for opened guard pages */
	uint64_t pages;   /* of frames and books */
	struct list free; /* unused ones, then freed ones, the oldest first */
	uint32_t rate;    /* ticks between samples; 0; KHEAP_GUARD_EVERY */
	uint64_t random;
	uint64_t sampled, missed;
	uint64_t hits;                       /* atomic */
	struct misuse hit[KHEAP_GUARD_HITS]; /* hit n at n % KHEAP_GUARD_HITS */
	uint32_t countdown[PORT_CPUS_MAX];   /* ticks to the next sample; the CPU's own */
	struct guard_slot slot[];
};

static inline uint64_t guard_slot_page(const struct guard *g, const struct guard_slot *s)
{
	return g->base + ((2 * (uint64_t)(s - g->slot) + 1) << PAGE_SHIFT);
}

/* Is it an address of the pool? */
static inline bool guard_owns(const struct kheap *heap, const void *address)
{
	const struct guard *g = heap->guard;

	return g && (uintptr_t)address - g->base < (2 * (uint64_t)g->slots + 1) << PAGE_SHIFT;
}

/* Is the next allocation of this CPU to be guarded? Stale at worst: then another one is. */
static inline bool guard_is_due(const struct kheap *heap)
{
	return heap->guard_due[port_cpu()] ||
	       __atomic_load_n(&heap->watch, __ATOMIC_RELAXED) & WATCH_GUARD;
}

/* Frees shall not be slow until the next allocation comes: the sample waits for the next tick. */
static inline void guard_postpone_locked(struct kheap *heap)
{
	unsigned cpu = port_cpu();

	if (unlikely(heap->guard_due[cpu])) {
		__atomic_store_n(&heap->guard_due[cpu], false, __ATOMIC_RELAXED);
		heap->guard->countdown[cpu] = heap->guard->rate;
		kheap_cpu_publish(heap, cpu);
	}
}

/*
 * What callers may rely on: 8, from 9 bytes on 16, powers of two to their size, up to a page; and
 * kmalloc_aligned() asks for multiples of the alignment it wants.
 */
static inline uint64_t kmalloc_alignment(const struct kmem_cache *cache, size_t bytes)
{
	uint64_t n = cache->kind == KMEM_TYPED ? cache->object_bytes : bytes;
	uint64_t least = cache->kind != KMEM_TYPED && bytes > 8 ? 16 : 8;
	uint64_t align = n & (0 - n);

	if (align < least)
		return least;
	return align < PAGE_BYTES ? align : PAGE_BYTES;
}

/* An object for `bytes` of the cache; NULL when there is none to spare, or none of that size. */
must_check cold_fn void *guard_alloc(struct kmem_cache *cache, size_t bytes, uintptr_t caller);
/* Free what guard_owns(), or refuse; `cache`: which the caller says it is of, or NULL. */
cold_fn void guard_free(struct kheap *heap, void *object, const struct kmem_cache *cache,
			uintptr_t caller);
/* Usable bytes of the live object that starts there, or 0. Lock held. */
size_t guard_size_locked(const struct kheap *heap, const void *object);
/* For kheap_about(), of an address that guard_owns(). Lock held. */
void guard_locate_locked(const struct kheap *heap, const void *address, struct kheap_about *out);
/* Live guarded objects of the cache. Lock held. */
uint64_t guard_live_locked(const struct kmem_cache *cache);
/* The slot whose page the address lies in, or NULL in a guard page. */
struct guard_slot *guard_slot_of(struct guard *g, uint64_t address);
/* In a guard page: of the two beside it the more likely one; NULL when neither was ever used. */
struct guard_slot *guard_slot_near(struct guard *g, uint64_t address);
/* Why `about`, which is guarded, cannot be freed; fills in what is known. */
const char *guard_diagnose(const struct kheap_about *about, struct misuse *m);
/* For `kfence`. Any context, no lock. */
void guard_remember(struct guard *g, const struct misuse *m);
/* The object in the slot, which is LIVE, is no more. Lock held. */
void guard_end_locked(struct guard *g, struct guard_slot *s, uintptr_t caller);
/* The validator's share. Lock held. */
const char *guard_check_locked(const struct kheap *heap);

#endif
