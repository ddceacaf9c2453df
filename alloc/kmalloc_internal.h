/* SPDX-License-Identifier: MIT */
/*
 * What kmalloc's files share: the slab header, the arithmetic of sizes and
 * slots, and the two operations on a slab that every allocation and every free
 * comes down to. Everything here is called with heap->lock held.
 *
 *   heap.classes[i] ─ current ─► header        a slab: 2^order pages
 *                   ─ partial ─► header          base
 *                   ─ full ────► header           ├──────┬──────┬──────┬───┬──────┬─────┐
 *                                  │ base ───────►│slot 0│slot 1│slot 2│ … │ n-1  │slack│
 *                                  │ bitmap       └──────┴──────┴──────┴───┴──────┴─────┘
 *                                  ▲ 1 = free          │
 *                                  └── page descriptor ┘ (every page of a slab names its header)
 */
#ifndef QUIRE_KMALLOC_INTERNAL_H
#define QUIRE_KMALLOC_INTERNAL_H

#include <quire/kmalloc.h>
#include <quire/port.h>

#define SLAB_OBJECTS_MAX 512 /* a bit each */
#define SLAB_WORDS       (SLAB_OBJECTS_MAX / 64)
#define SLAB_ORDER_MAX   4 /* 64 KiB */
#define SLAB_OBJECTS_MIN 8 /* wanted in a slab, so that getting one is worth it */
#define SLAB_NO_SLOT     (~0u)

/* Low halves of return addresses; one page for one slab, when heap->track is on. */
struct slab_track {
	uint32_t allocated_by[SLAB_OBJECTS_MAX];
	uint32_t freed_by[SLAB_OBJECTS_MAX];
};
_Static_assert(sizeof(struct slab_track) == PAGE_BYTES, "the record of callers is one page");

/*
 * A slab's header. Two cache lines; for objects from 64 bytes in one page, all that
 * allocation and free touch is in the first.
 */
struct slab {
	struct kmem_cache *cache;
	uint64_t base; /* address of slot 0 */
	struct kheap
		*quick; /* the heap, where kmalloc_fast.h may serve; NULL: tracked or internal */
	struct slab_track *track; /* or NULL */
	struct list link;         /* in cache->partial or ->full; in none while current */
	uint32_t free;            /* objects; = bits set in bitmap */
	uint32_t word;            /* where to look for a free one first */
	uint64_t bitmap[SLAB_WORDS];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct slab) == 128, "32 headers a page");

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

static inline bool slab_slot_is_free(const struct slab *s, unsigned slot)
{
	return (s->bitmap[slot / 64] >> (slot % 64)) & 1;
}

/* The slot of the live object that starts at `address`, else SLAB_NO_SLOT. */
static inline unsigned slab_live_slot(const struct slab *s, uint64_t address)
{
	unsigned slot = slab_slot_around(s, address);

	if (unlikely((uint64_t)slot * s->cache->object_bytes != address - s->base)) /* interior */
		return SLAB_NO_SLOT;
	if (unlikely(slot >= s->cache->slots)) /* slack */
		return SLAB_NO_SLOT;
	if (unlikely(slab_slot_is_free(s, slot)))
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

/* May kfree() and friends take objects of this slab? */
static inline bool slab_is_ours(const struct kheap *heap, const struct slab *s)
{
	return s && s->cache->heap == heap && s->cache->kind != KMEM_INTERNAL;
}

/* ---- kmalloc.c: what kmalloc_fast.h leaves; all drop the lock ---- */

#define slow_fn __attribute__((noinline)) /* keeps its saved registers out of the fast path */

must_check slow_fn void *cache_alloc_slow(struct kmem_cache *cache, uintptr_t caller,
					  port_irq_t irq);
/* Free the live object in `slot`. */
slow_fn void slab_put_slow(struct slab *s, unsigned slot, uintptr_t caller, port_irq_t irq);
/* Free whatever `object` is, or refuse. */
slow_fn void kheap_free_slow(struct kheap *heap, void *object, uintptr_t caller, port_irq_t irq);

/* ---- slab.c: slabs come and go ---- */

/* Fill in a cache of `bytes` (its final object size, at most KMALLOC_SMALL_MAX) and enlist it. */
void cache_init(struct kmem_cache *cache, struct kheap *heap, const char *name, uint32_t bytes,
		enum kmem_cache_kind kind);
/* `current` is NULL: get a slab with a free object, from the page allocator; NULL when out of
 * memory. */
must_check cold_fn struct slab *cache_grow_locked(struct kmem_cache *cache, uintptr_t caller);
/* The last object of `current` was taken: choose another. */
void cache_current_full_locked(struct kmem_cache *cache);
/* An object came back to a slab that is not `current`. */
void cache_slab_refilled_locked(struct slab *s, uintptr_t caller);
/* Give the empty slab `current` back, if it is one. */
void cache_trim_locked(struct kmem_cache *cache, uintptr_t caller);
uint64_t kheap_trim_locked(struct kheap *heap, uintptr_t caller);

/* ---- kmalloc_large.c: runs of pages ---- */

must_check void *large_alloc(struct kheap *heap, size_t bytes, unsigned flags, uintptr_t caller);
/* Pages of the large object that starts at `object`, 0 when none does. */
uint64_t large_pages_locked(const struct kheap *heap, const void *object);
void large_free_locked(struct kheap *heap, void *object, uintptr_t caller);

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

/* Take a free object of a slab that has one. */
static inline void *slab_take_locked(struct slab *s, uintptr_t caller)
{
	unsigned word = s->word, slot;
	uint64_t bits = s->bitmap[word];

	while (unlikely(!bits)) {
		word = (word + 1) % SLAB_WORDS;
		bits = s->bitmap[word];
	}
	slot = word * 64 + (unsigned)__builtin_ctzll(bits);
	s->bitmap[word] = bits & (bits - 1);
	s->word = word;
	if (unlikely(s->track))
		s->track->allocated_by[slot] = (uint32_t)caller;
	return slab_object(s, slot);
}

/* An object of the cache, or NULL. */
static inline void *cache_take_locked(struct kmem_cache *cache, uintptr_t caller)
{
	struct slab *s = cache->current;
	void *object;

	if (unlikely(!s)) {
		s = cache_grow_locked(cache, caller);
		if (!s)
			return NULL;
	}
	object = slab_take_locked(s, caller);
	cache->allocs++;
	if (unlikely(--s->free == 0))
		cache_current_full_locked(cache);
	return object;
}

/* The live object in `slot` becomes free. */
static inline void slab_put_locked(struct slab *s, unsigned slot, uintptr_t caller)
{
	struct kmem_cache *cache = s->cache;

	s->bitmap[slot / 64] |= (uint64_t)1 << (slot % 64);
	s->word = slot / 64; /* likely still in the CPU's cache */
	if (unlikely(s->track))
		s->track->freed_by[slot] = (uint32_t)caller;
	cache->frees++;
	s->free++;
	if (unlikely(s != cache->current))
		cache_slab_refilled_locked(s, caller);
}

#endif
