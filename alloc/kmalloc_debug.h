/* SPDX-License-Identifier: MIT */
/*
 * Redzones, poison and quarantine (WATCH_DEBUG): what the rest of kmalloc calls. From boot on or
 * not at all, so that every object has them. In a build with a shadow always.
 */
#ifndef QUIRE_KMALLOC_DEBUG_H
#define QUIRE_KMALLOC_DEBUG_H

#include "kmalloc_internal.h"

#define DEBUG_ZONE      8u /* bytes at the end of each slot that are never anybody's */
#define QUARANTINE_LONG 256u

/*
 * Whose a slot is that the slab calls LIVE, and so what it must look like.
 *
 *   slot_begin      debug_free       in the ring          let_go
 *   MOVING ───► OWNED ───► MOVING ───► HELD ───► MOVING ───► (FREE in its slab)
 */
enum debug_held {
	DEBUG_OWNED,  /* a caller's: redzones are whole */
	DEBUG_HELD,   /* freed, in quarantine: poison */
	DEBUG_MOVING, /* on its way, without a lock: nobody but who moves it may judge */
};

/* Beside a slab's record of callers, on the page behind it. */
struct slab_debug {
	uint16_t asked[SLAB_OBJECTS_MAX]; /* bytes the caller wanted */
	uint8_t held[SLAB_OBJECTS_MAX];   /* enum debug_held */
};

/* Comes after all that it says of the slot is so. */
static inline void debug_set_held(struct slab_debug *d, unsigned slot, enum debug_held to)
{
	__atomic_store_n(&d->held[slot], (uint8_t)to, __ATOMIC_RELEASE);
}

static inline enum debug_held debug_held(const struct slab_debug *d, unsigned slot)
{
	return (enum debug_held)__atomic_load_n(&d->held[slot], __ATOMIC_ACQUIRE);
}

/* What was found under a lock and waits to be told: by whom it is written or read. */
enum debug_note {
	NOTE_NONE,
	NOTE_BUSY,
	NOTE_READY,
};

struct kheap_debug {
	/* Objects whose callers have freed them; a ring, the oldest at `first`. */
	uintptr_t held[QUARANTINE_LONG];
	uint32_t first, count;
	uint32_t note_state; /* atomic: enum debug_note */
	struct misuse note;
};

/* NULL for a slab made without memory for the record: its objects are not watched over. */
static inline struct slab_debug *slab_debug(const struct kheap *heap, const struct slab *s)
{
	return heap->debug && s->track ? (struct slab_debug *)(s->track + 1) : NULL;
}

/* Pages of a slab's record of callers: as an order. */
static inline unsigned track_order(const struct kheap *heap)
{
	return heap->debug != NULL;
}

/* Does the slab say LIVE of an object that waits in quarantine? */
static inline bool slab_slot_is_held(const struct kheap *heap, const struct slab *s, unsigned slot)
{
	const struct slab_debug *d = slab_debug(heap, s);

	return d && debug_held(d, slot) != DEBUG_OWNED;
}

/* ---- kmalloc_quarantine.c ---- */

/* True: freed, into quarantine, or refused. False: go on as usual. */
must_check bool debug_free(struct kheap *heap, void *object, uintptr_t caller);
/* Let everything in quarantine go. No lock held. */
void debug_drain(struct kheap *heap);
/* Objects of the cache in quarantine: freed, and no slab knows. heap->lock held. */
uint64_t debug_quarantined_locked(const struct kmem_cache *cache);
/* Something is wrong, and a lock is held: whoever comes next without one will debug_tell(). */
void debug_note(struct kheap *heap, const struct misuse *m);
void debug_tell(struct kheap *heap);

/* ---- kmalloc_debug.c: bytes ---- */

/* Bytes of a typed object with its redzone; as given when it would be too large. */
uint32_t debug_typed_bytes(const struct kheap *heap, size_t bytes, uint32_t object_bytes,
			   size_t align);
/* A slab is new, and has a record: all its slots are poisoned. */
void debug_slab_made(const struct kheap *heap, struct slab *s);
/* It is about to go, with all its slots free: nobody may have written to them. Its lock held. */
void debug_slab_gone(struct kheap *heap, const struct slab *s, uintptr_t caller);
/* cache_alloc_slow(), for `bytes`, in slots that have room for a redzone. */
must_check void *debug_alloc(struct kmem_cache *cache, size_t bytes, uintptr_t caller);
/* An object is freed: it becomes poison. How many reports on what lies around it. */
must_check unsigned debug_object_end(const struct slab *s, unsigned slot, uint64_t asked,
				     struct misuse m[2]);
/* One leaves quarantine: was it written to? `m` says so then. */
must_check bool debug_object_gone(const struct slab *s, unsigned slot, struct misuse *m);
/* What the last owner of a slot asked for; the slot's own size where nobody knows. */
uint64_t debug_asked(const struct slab *s, unsigned slot);
/* Usable bytes of the live object in a slot. */
size_t debug_size(const struct kheap *heap, const struct slab *s, unsigned slot);

/* Large objects: bytes to take for `bytes`; then the redzone behind them; and what was asked. */
size_t debug_large_bytes(size_t bytes);
void debug_large_begin(void *object, size_t bytes, uint64_t pages);
/* One is about to be freed: what is behind it? */
void debug_large_free(const struct kheap *heap, const void *object, uintptr_t caller);
size_t debug_large_size(const void *object, uint64_t pages);

/* Look at every redzone and all poison. NULL or what is wrong, reported too. Context: threads. */
const char *debug_check(struct kheap *heap);

#endif
