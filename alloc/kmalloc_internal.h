/* SPDX-License-Identifier: MIT */
/*
 * What kmalloc's files share: the slab header, the magazine, the arithmetic of
 * sizes and slots, and the two operations on a slab that every object goes
 * through. What ends in `_locked` wants the lock of the arena it is about, or that of the heap.
 *
 *   arena ─ current ─► header        a slab: 2^order pages
 *         ─ partial ─► header          base
 *         ─ full ────► header           ├──────┬──────┬──────┬───┬──────┬─────┐
 *                        │ base ───────►│slot 0│slot 1│slot 2│ … │ n-1  │slack│
 *         ─ empty ───► header           └──────┴──────┴──────┴───┴──────┴─────┘
 *                        ▲ states            │
 *                        └── page descriptor ┘ (every page of a slab names its header)
 *
 * Locks, in this order: heap->lock (caches, CPUs, statistics; and everything for CPUs without
 * magazines, see kheap_enter()), one CPU's arena of a cache, the cache's common arena, the
 * arena of a cache of headers, the page allocator's.
 */
#ifndef QUIRE_KMALLOC_INTERNAL_H
#define QUIRE_KMALLOC_INTERNAL_H

#include <quire/kmalloc.h>
#include <quire/port.h>

#define SLAB_OBJECTS_MAX 512 /* a byte each */
#define SLAB_ORDER_MAX   4   /* 64 KiB */
#define SLAB_OBJECTS_MIN 8   /* wanted in a slab, so that getting one is worth it */
#define SLAB_NO_SLOT     (~0u)
#define ARENA_COMMON     0xffffu /* the owner of what is no CPU's */

/*
 * What a slot is. Only LIVE is a caller's. FREE counts in slab.free and changes under
 * the lock of the slab's arena; CACHED <-> LIVE changes on the CPU whose magazine it leaves or enters.
 *
 *          fill              pop
 *   FREE ───────► CACHED ───────────► LIVE
 *        ◄───────        ◄───────────
 *          shed              push
 */
enum slot_state {
	SLOT_NONE, /* behind the last object; before the first one, where slot 0 is left out */
	SLOT_LIVE = 1,
	SLOT_CACHED = 2, /* in some CPU's magazine */
	SLOT_FREE = 0x80,
};
#define SLOT_EACH     0x0101010101010101u /* times a state: eight slots of it */
#define SLOT_FREE_ALL (SLOT_FREE * SLOT_EACH)

/* Low halves of return addresses; one page for one slab, with WATCH_TRACK. */
struct slab_track {
	uint32_t allocated_by[SLAB_OBJECTS_MAX];
	uint32_t freed_by[SLAB_OBJECTS_MAX];
};
_Static_assert(sizeof(struct slab_track) == PAGE_BYTES, "the record of callers is one page");

/*
 * A slab's header: 56 bytes and as many states as it needs. A slot behind the last one exists in
 * `states` where the slab has slack, so that what lies there has a state to look at.
 */
struct slab {
	struct kmem_cache *cache;
	uint64_t base;            /* address of slot 0 */
	uint64_t inverse;         /* ceil(2^64 / object_bytes) */
	struct slab_track *track; /* or NULL */
	struct list link;         /* in its arena's partial, full or empty; in none while current */
	uint16_t magazine;        /* cache->magazine, or KHEAP_MAGAZINES: not to be served */
	uint16_t word;            /* no slot is FREE in the words before this one */
	uint16_t free;            /* slots that are FREE */
	uint16_t owner;           /* CPU whose arena it is in, or ARENA_COMMON */
	uint64_t states[];        /* enum slot_state, a byte each */
};
_Static_assert(sizeof(struct slab) == 56, "a header for 72 slots takes 128 bytes");

/*
 * Free objects in one CPU's hands: a stack of pairs.
 *
 *   slots   object, state | object, state | …        top = 2 * objects, room = 2 * limit
 *
 * `operations` counts pushes and pops since the last count: with what `top` was then, that
 * tells how many of each (magazine_counts()). One addition to the word does both.
 */
struct magazine {
	union {
		uint64_t word; /* operations << 16 | top */
		uint16_t top;
	};
	uint16_t room;
	uint16_t counted;    /* top, when the operations were counted last */
	int32_t streak;      /* fills since the last shed; negative: sheds since the last fill */
	struct arena *arena; /* of the same CPU and cache; its lock is for all but pop and push */
	uintptr_t slots[];
};
#define MAGAZINE_OPERATION      0x10000u
#define MAGAZINE_LONG           62
#define MAGAZINE_BYTES(objects) (sizeof(struct magazine) + (objects)*16)
_Static_assert(MAGAZINE_BYTES(MAGAZINE_LONG) <= 1024, "a magazine fills its object");

/* What stands where a CPU has no magazine: empty and full at once. Nobody writes to it. */
extern struct magazine magazine_none;

/* ---- sizes ---- */

/*
 * The class that serves `bytes` (at most KMALLOC_SMALL_MAX):
 *
 *   bytes    8 | 16 32 48 … 128 | 144 160 … 256 | 288 320 … 512 | … 7680 8192
 *   index    0 |  1  2  3 …   8 |   9  10 …  16 |  17  18 …  24 | …   55   56
 *
 * Each group is 8 equal steps, so with n = bytes - 1 the step within a group
 * is three bits of n below its leading one, and groups follow the leading one.
 * The first group has no leading one to follow: or-ing 128 in stands for it.
 */
static inline unsigned kmalloc_class(size_t bytes)
{
	unsigned n = (unsigned)bytes - (bytes != 0);
	unsigned leading = 31 ^ (unsigned)__builtin_clz(n | 128);

	return (leading - 7) * 8 + (n * 8 >> leading) + (n >= 8);
}

/* The inverse: object size of a class. */
static inline uint32_t kmalloc_class_bytes(unsigned index)
{
	unsigned step = index - 1;

	if (index == 0)
		return 8;
	if (step < 8)
		return 16 * (step + 1);
	return (9 + step % 8) << (3 + step / 8);
}

/* ---- slots ---- */

/* ceil(2^32 / bytes): (offset * this) >> 32 = offset / bytes while offset * bytes < 2^32. */
static inline uint32_t slab_reciprocal(uint32_t bytes)
{
	return (uint32_t)((((uint64_t)1 << 32) + bytes - 1) / bytes);
}
_Static_assert((PAGE_BYTES << SLAB_ORDER_MAX) * KMALLOC_SMALL_MAX < (uint64_t)1 << 32,
	       "slab_reciprocal is exact for every offset in a slab");

static inline void *slab_object(const struct slab *s, unsigned slot)
{
	return (void *)(uintptr_t)(s->base + (uint64_t)slot * s->cache->object_bytes);
}

/* The slot an address of the slab lies in; past the last one in the slack. */
static inline unsigned slab_slot_around(const struct slab *s, uint64_t address)
{
	return (unsigned)(((address - s->base) * s->cache->reciprocal) >> 32);
}

static inline uint8_t *slab_state(struct slab *s, unsigned slot)
{
	return (uint8_t *)s->states + slot;
}

/* States change on one CPU while others look at their neighbours: one byte, no order needed. */
static inline uint8_t slot_state(const uint8_t *state)
{
	return __atomic_load_n(state, __ATOMIC_RELAXED);
}

static inline void slot_set(uint8_t *state, enum slot_state to)
{
	__atomic_store_n(state, (uint8_t)to, __ATOMIC_RELAXED);
}

static inline enum slot_state slab_slot_state(const struct slab *s, unsigned slot)
{
	return (enum slot_state)slot_state((const uint8_t *)s->states + slot);
}

/*
 * The factor by which a number of free objects becomes a list of partly used slabs, for slabs of
 * so many objects. (With fewer than eight some lists stay unused.)
 */
static inline uint16_t cache_fullness(unsigned objects)
{
	unsigned factor = (KMEM_FULLNESS << 16) / objects - 1;

	return (uint16_t)(factor < UINT16_MAX ? factor : UINT16_MAX);
}

/* Which list of partly used slabs one with so many free objects is in. */
static inline unsigned slab_fullness(const struct kmem_cache *cache, uint32_t free)
{
	return free * cache->fullness >> 16;
}

/* Words of states. */
static inline unsigned slab_words(const struct kmem_cache *cache)
{
	return (cache->slots + 7u) / 8;
}

/* The slot of the live object that starts at `address`, else SLAB_NO_SLOT. */
static inline unsigned slab_live_slot(const struct slab *s, uint64_t address)
{
	unsigned slot = slab_slot_around(s, address);

	if (unlikely((uint64_t)slot * s->cache->object_bytes != address - s->base)) /* interior */
		return SLAB_NO_SLOT;
	if (unlikely(slot >= s->cache->slots)) /* slack */
		return SLAB_NO_SLOT;
	if (unlikely(slab_slot_state(s, slot) != SLOT_LIVE))
		return SLAB_NO_SLOT;
	return slot;
}

/* The slab an address lies in, or NULL. Any address may be asked for. */
static inline struct slab *slab_of(const struct kheap *heap, const void *address)
{
	pfn_t frame = paddr_to_pfn(port_virt_to_phys(address));
	const struct page *desc;
	struct slab *s;

	if (unlikely(frame.n >= heap->pages->pfn_limit))
		return NULL;
	desc = page_desc(heap->pages, frame);
	if (unlikely(page_state(desc) != PAGE_SLAB))
		return NULL;
	s = page_slab(desc);
	if (!s)
		__builtin_unreachable(); /* spares the caller a test */
	return s;
}

/* Whose the slab is. It changes only under the locks of the old arena and the new one. */
static inline struct arena *slab_arena(const struct slab *s)
{
	uint16_t owner = __atomic_load_n(&s->owner, __ATOMIC_RELAXED);
	struct kmem_cache *cache = s->cache;

	if (owner == ARENA_COMMON)
		return &cache->common;
	return &cache->heap->online[owner]->arenas[cache->magazine];
}

/* Interrupts are off already, and stay so. */
static inline void arena_lock(struct arena *a)
{
	(void)spin_lock(&a->lock);
}

static inline void arena_unlock(struct arena *a)
{
	spin_unlock(&a->lock, (port_irq_t)0);
}

/* Lock the arena of a slab that cannot go meanwhile: the caller has an object of it in its hands. */
static inline struct arena *slab_lock(const struct slab *s)
{
	for (;;) {
		struct arena *a = slab_arena(s);

		arena_lock(a);
		if (likely(slab_arena(s) == a))
			return a;
		arena_unlock(a);
	}
}

/* May kfree() and friends take objects of this slab? */
static inline bool slab_is_ours(const struct kheap *heap, const struct slab *s)
{
	return s && s->cache->heap == heap && s->cache->kind != KMEM_INTERNAL;
}

/* ---- kmalloc.c: what kmalloc_fast.h leaves ---- */

#define slow_fn __attribute__((noinline)) /* keeps its saved registers out of the fast path */

/* `bytes`: what the caller asked for, at most cache->object_bytes. */
must_check slow_fn void *cache_alloc_slow(struct kmem_cache *cache, size_t bytes, uintptr_t caller);
/* What is left when nobody wants to see it. */
must_check void *cache_alloc_plain(struct kmem_cache *cache, uintptr_t caller);
void kheap_free_plain(struct kheap *heap, void *object, uintptr_t caller);
/* Free whatever `object` is, or refuse. */
slow_fn void kheap_free_slow(struct kheap *heap, void *object, uintptr_t caller);
/* What that leaves: no large object of 2^k pages. */
slow_fn void kheap_free_slower(struct kheap *heap, void *object, uintptr_t caller);

/*
 * On this CPU until kheap_leave(), with interrupts off. One without magazines, or closed, also
 * takes the heap's lock: who holds that, after kheap_close(), is alone.
 */
struct kheap_visit {
	port_irq_t irq;
	bool locked;
};
must_check static inline struct kheap_visit kheap_enter(struct kheap *heap)
{
	port_irq_t irq = port_irq_save();
	bool locked = __atomic_load_n(&heap->cpu[port_cpu()], __ATOMIC_RELAXED) == &heap->nobody;

	if (unlikely(locked))
		(void)spin_lock(&heap->lock);
	return (struct kheap_visit){.irq = irq, .locked = locked};
}

static inline void kheap_leave(struct kheap *heap, struct kheap_visit visit)
{
	if (unlikely(visit.locked))
		spin_unlock(&heap->lock, visit.irq);
	else
		port_irq_restore(visit.irq);
}

/* ---- magazine.c: between a CPU's magazines and the slabs. On that CPU, interrupts off ---- */

/* This CPU's magazine of the cache, made if it has none; NULL if it cannot have one. No lock of an
 * arena is held. */
struct magazine *magazine_own(struct kmem_cache *cache, uintptr_t caller);
/* It, or NULL where there is none yet. */
struct magazine *magazine_there(const struct kmem_cache *cache);
/* Put free objects of its arena's slabs into a magazine; and take one, NULL when out of memory. */
void magazine_fill_locked(struct magazine *m);
must_check void *magazine_refill_locked(struct magazine *m, uintptr_t caller);
/* Take some objects out of a full one, back to their slabs. */
void magazine_make_room(struct magazine *m, uintptr_t caller);
/* Push like kmalloc_fast.h, but of a slab it does not serve. False: `slot` is not LIVE any more. */
must_check bool magazine_push_slow(struct magazine *m, struct slab *s, unsigned slot);
/* Empty the magazines of a CPU and leave its free slots to everybody; or empty all of a cache
 * that nobody uses any more. heap->lock held, and the CPUs this one or closed. */
void magazine_drain_cpu_locked(struct kheap *heap, struct kheap_cpu *cpu, uintptr_t caller);
void magazine_drain_cache_locked(struct kmem_cache *cache, uintptr_t caller);
/* Fill in what a CPU gets, and the arenas of the caches there are. heap->lock, or at boot. */
void kheap_cpu_init(struct kheap *heap, unsigned cpu, struct kheap_cpu *c, struct arena *arenas);
/* What a magazine counts: objects in it, and pushes and pops since it was counted. */
struct magazine_counts {
	uint64_t objects, frees, allocs;
};
struct magazine_counts magazine_counts(const struct magazine *m);
/* Those of a cache on all CPUs; allocations and frees of its arenas included. heap->lock. */
struct magazine_counts cache_counts_locked(struct kmem_cache *cache);

/* ---- arena.c: the slabs of a cache and a CPU ---- */

void arena_init(struct arena *a, struct kmem_cache *cache, uint32_t owner);
/* An object of the cache's common arena; without any effort: no trimming, no failure counted. */
must_check void *cache_take(struct kmem_cache *cache, uintptr_t caller);
/* And back: an object of a cache that has a common arena only. */
void cache_put(struct kheap *heap, const void *object, uintptr_t caller);
/* `current` is NULL: get a slab with a free object; NULL when out of memory. */
must_check struct slab *arena_grow_locked(struct arena *a, uintptr_t caller);
/* The last object of `current` was taken: choose another. */
void arena_current_full_locked(struct arena *a);
/* Objects came back to a slab that had `was` free ones. */
void arena_refilled_locked(struct arena *a, struct slab *s, uint32_t was, uintptr_t caller);
/* Choose slabs that ought to empty, if there are any. */
void arena_choose_draining_locked(struct arena *a);
/* Leave all slabs with free objects to the common arena. */
void arena_leave(struct arena *a);
/* Give empty slabs back: of one arena, of all of a cache, of all. heap->lock held but for the first. */
void arena_trim_locked(struct arena *a, uintptr_t caller);
void cache_trim_locked(struct kmem_cache *cache, uintptr_t caller);
uint64_t kheap_trim_locked(struct kheap *heap, uintptr_t caller);

/* A cache's arenas: arena_at(cache, 0), … until NULL. The common one is the first. */
static inline struct arena *arena_at(struct kmem_cache *cache, unsigned i)
{
	const struct kheap *heap = cache->heap;

	if (i == 0)
		return &cache->common;
	if (cache->magazine >= KHEAP_MAGAZINES || i > heap->cpus)
		return NULL;
	if (heap->online[i - 1] == &heap->nobody)
		return &cache->common; /* once more: that does no harm */
	return &heap->online[i - 1]->arenas[cache->magazine];
}

/* ---- slab.c: slabs come and go ---- */

/* Object size of heap->headers[i]: headers for slabs of 72, 136, 264 and 520 states. */
static inline uint32_t slab_header_bytes(unsigned i)
{
	return 64 + (64u << i);
}

static inline bool cache_is_of_headers(const struct kmem_cache *cache)
{
	return (uintptr_t)(cache - cache->heap->headers) < KHEAP_HEADERS;
}

static inline uint64_t slab_pages(const struct kmem_cache *cache)
{
	return (uint64_t)1 << cache->order;
}

/* Fill in a cache of `bytes` (its final object size, at most KMALLOC_SMALL_MAX) and enlist it. */
void cache_init(struct kmem_cache *cache, struct kheap *heap, const char *name, uint32_t bytes,
		enum kmem_cache_kind kind);
/* Slot 0 of its slabs is nobody's: a redzone before the first object. There is no slab yet. */
void cache_leave_front(struct kmem_cache *cache);
/* A slab of the arena with every object free, in no list. NULL when out of memory. */
must_check struct slab *slab_create(struct arena *a, uintptr_t caller);
/* The inverse: the slab is empty and in no list. */
void slab_destroy(struct slab *s, uintptr_t caller);
/* Let kmalloc_fast.h serve, where it may. */
void slab_quicken(struct slab *s);
void slab_slow_down(struct slab *s);

/* ---- kmalloc_large.c: blocks and runs of pages ---- */

must_check void *large_alloc(struct kheap *heap, size_t bytes, unsigned flags, uintptr_t caller);
/* Pages of the large object that starts at `object`, 0 when none does. */
uint64_t large_pages_locked(const struct kheap *heap, const void *object);
/* False, and nothing has changed, when no large object starts at `object`. */
must_check bool large_free_locked(struct kheap *heap, void *object, uintptr_t caller);
/* Those of 2^k pages without the lock; all else goes on to kheap_free_slower(). */
void large_free(struct kheap *heap, void *object, uintptr_t caller);
/* Sums over all CPUs; they count without the lock. */
struct kheap_large large_counts(const struct kheap *heap);

/* ---- kmalloc_watch.c ---- */

/*
 * From here on nobody uses a magazine or counts a large object without the lock, until
 * kheap_open_locked(). Returns with the lock taken. Context as for kheap_watch().
 */
must_check port_irq_t kheap_close(struct kheap *heap);
void kheap_open_locked(struct kheap *heap);
/* That CPU uses none from here on, until kheap_cpu_publish() finds no reason left. On it, interrupts
 * off; no lock. */
void kheap_cpu_close(struct kheap *heap, unsigned cpu);

/* Shall this call fail, although there is memory? Lock held. */
static inline bool kheap_must_fail(struct kheap *heap, uintptr_t caller)
{
	return unlikely(heap->watch & WATCH_FAIL) && alloc_fail_hits(&heap->fail, caller);
}

/* An object came (NULL: it did not) or went: for the trace. Lock held. */
cold_fn void kheap_record_watched(struct kheap *heap, enum alloc_operation operation,
				  const void *object, uint64_t bytes, uintptr_t caller,
				  bool injected);

static inline void kheap_record(struct kheap *heap, enum alloc_operation operation,
				const void *object, uint64_t bytes, uintptr_t caller, bool injected)
{
	if (unlikely(heap->watch & WATCH_TRACE))
		kheap_record_watched(heap, operation, object, bytes, caller, injected);
}

/* ---- kmalloc_about.c, kmalloc_misuse.c ---- */

/* A recorded caller in full: kernel text lies in the top 2 GiB. */
static inline uintptr_t track_address(uint32_t low)
{
	return low ? (uintptr_t)0xffffffff00000000u | low : 0;
}

void kheap_locate_locked(struct kheap *heap, const void *address, struct kheap_about *out);
/*
 * `object` was given back and cannot be: say why, drop the lock, report.
 * `freed_to` is the typed cache of a kmem_cache_free(), else NULL.
 */
cold_fn void kheap_refuse(struct kheap *heap, const void *object, const struct kmem_cache *freed_to,
			  uintptr_t caller, port_irq_t irq);

/* ---- the two operations ---- */

/* May kmalloc_fast.h serve the slab's objects, unless it is to empty? */
static inline bool slab_may_be_quick(const struct slab *s)
{
	return s->cache->magazine < KHEAP_MAGAZINES && !s->track;
}

/* Does it? What is freed of the others goes straight back into them. */
static inline bool slab_is_quick(const struct slab *s)
{
	return __atomic_load_n(&s->magazine, __ATOMIC_RELAXED) < KHEAP_MAGAZINES;
}

/* The FREE slots of a word of states, as their top bits. */
static inline uint64_t slab_free_bits(const struct slab *s, unsigned word)
{
	return __atomic_load_n(&s->states[word], __ATOMIC_RELAXED) & SLOT_FREE_ALL;
}

/* Take a free object of a slab that has one. */
static inline void *slab_take_locked(struct slab *s, uintptr_t caller)
{
	unsigned word = s->word, slot;
	uint64_t bits = slab_free_bits(s, word);

	while (!bits)
		bits = slab_free_bits(s, ++word);
	slot = word * 8 + (unsigned)__builtin_ctzll(bits) / 8;
	slot_set(slab_state(s, slot), SLOT_LIVE);
	s->word = (uint16_t)word;
	s->free--;
	if (unlikely(s->track))
		s->track->allocated_by[slot] = (uint32_t)caller;
	return slab_object(s, slot);
}

/* An object of the arena, or NULL. */
static inline void *arena_take_locked(struct arena *a, uintptr_t caller)
{
	struct slab *s = a->current;
	void *object;

	if (unlikely(!s)) {
		s = arena_grow_locked(a, caller);
		if (!s)
			return NULL;
	}
	object = slab_take_locked(s, caller);
	a->allocs++;
	if (unlikely(s->free == 0))
		arena_current_full_locked(a);
	return object;
}

/* The live object in `slot` of a slab of the arena becomes free. */
static inline void slab_put_locked(struct arena *a, struct slab *s, unsigned slot, uintptr_t caller)
{
	slot_set(slab_state(s, slot), SLOT_FREE);
	s->word = 0;
	if (unlikely(s->track))
		s->track->freed_by[slot] = (uint32_t)caller;
	a->frees++;
	s->free++;
	arena_refilled_locked(a, s, s->free - 1u, caller);
}

/* The arena a CPU in kheap_enter() takes from. */
static inline struct arena *arena_here(struct kmem_cache *cache)
{
	struct kheap *heap = cache->heap;
	struct kheap_cpu *cpu = heap->cpu[port_cpu()];

	if (cache->magazine >= KHEAP_MAGAZINES || cpu == &heap->nobody)
		return &cache->common;
	return &cpu->arenas[cache->magazine];
}

#endif
