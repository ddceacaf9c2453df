/* SPDX-License-Identifier: MIT */
/*
 * kmalloc: objects of any size on top of the page allocator.
 *
 * Small requests come from slabs: 2^n pages cut into objects of one size, with
 * a byte of state for each in a header kept outside the slab. No byte of a free
 * object is used for bookkeeping, and its state says for certain whether an
 * object is live: double, interior and foreign frees are caught always.
 * kfree() finds the slab through the page descriptor and needs no size.
 *
 * In front of the slabs each CPU has a magazine of free objects a cache: most
 * calls take from one or put into one, between two interrupts, without a lock.
 * Requests over half the largest slab go to the page allocator, to the page.
 *
 * State lives in struct kheap; the kernel owns one (kernel_heap), which the
 * short names below use. Any context, interrupts included; never sleeps.
 */
#ifndef QUIRE_KMALLOC_H
#define QUIRE_KMALLOC_H

#include <quire/alloc_watch.h>
#include <quire/list.h>
#include <quire/page.h>

#define KMALLOC_SMALL_MAX 8192 /* larger requests are runs of pages */
#define KMALLOC_CLASSES   57   /* 8, 16, 32 .. 128 in steps of 16, then 8 a doubling */
#define KMALLOC_ALIGN_MAX ((size_t)1 << 30)
/* Objects are aligned to 8, from 9 bytes on to 16; powers of two to their size, up to a page. */
#define KMALLOC_MIN_ALIGN 8

enum kmalloc_flags {
	KMALLOC_ZERO = 1, /* every usable byte is 0 */
};

struct slab; /* alloc/kmalloc_internal.h */
struct magazine;

#define KHEAP_MAGAZINES 128 /* caches that have magazines: the classes and the first typed ones */
#define KMEM_FULLNESS   8   /* lists of partly used slabs */
#define KHEAP_HEADERS   4   /* sizes of slab headers */

/* Large objects: what one CPU allocated and freed. `pages` held is the sum over all CPUs. */
struct kheap_large {
	uint64_t allocs, frees, pages;
};

/*
 * Slabs of one cache in the hands of one CPU, so that each CPU has its own to fill from; or
 * of nobody in particular (kmem_cache.common). alloc/arena.c.
 */
struct arena {
	struct spinlock lock;
	struct kmem_cache *cache;
	struct slab *current;   /* where the next object comes from; NULL: every slab is full */
	uint64_t allocs, frees; /* without those that the CPU's magazine still counts */
	/* Slabs with objects free, but for `current`, by how many: least full last. */
	struct list partial[KMEM_FULLNESS];
	struct list full;
	struct list empty; /* kept for the next burst */
	uint32_t owner;    /* CPU, or ARENA_COMMON */
	uint32_t filled;   /* a bit for each list of `partial` that is not empty, or was */
};

/* What one CPU keeps: for each cache a magazine, never NULL, and an arena; the last magazine is
 * nobody's. */
struct kheap_cpu {
	struct magazine *magazines[KHEAP_MAGAZINES + 1];
	struct kheap_large large;
	struct arena *arenas; /* KHEAP_MAGAZINES */
};

enum kmem_cache_kind {
	KMEM_CLASS,    /* a size class of kmalloc's */
	KMEM_TYPED,    /* made by kmem_cache_create() */
	KMEM_INTERNAL, /* holds kmalloc's own books: its objects are nobody else's to free */
};

/* A cache of objects of one size. All fields private to alloc/; they change under heap->lock. */
struct kmem_cache {
	struct kheap *heap;
	uint32_t object_bytes; /* distance between objects */
	uint32_t magazine;     /* index into kheap_cpu's; KHEAP_MAGAZINES: has none */
	uint32_t reciprocal;   /* division by object_bytes without dividing */
	uint16_t slots;        /* in a slab */
	uint16_t objects;      /* a slab has to give: slots - first */
	uint8_t first; /* slot of the first one: 1 where slot 0 is the slab's header, or a redzone */
	uint8_t order;     /* of a slab */
	uint8_t kind;      /* enum kmem_cache_kind */
	uint8_t header;    /* which of kheap.headers its slabs have */
	uint8_t room;      /* objects a magazine of it may hold */
	uint16_t fullness; /* free objects of a slab * this >> 16 = its list */
	const char *name;
	uint32_t wanted_bytes;    /* what the creator asked for */
	uint64_t slabs, failures; /* atomic */
	struct arena common;      /* of CPUs without an arena, and what others left */
	struct list link;         /* in kheap.caches */
};

struct kheap {
	struct page_allocator *pages;
	/* What each CPU's fast path sees: its own, or `nobody`; see kheap_cpu_publish(). */
	struct kheap_cpu *cpu[PORT_CPUS_MAX];
	struct kheap_cpu *online[PORT_CPUS_MAX]; /* its own; `nobody` where none is online */
	struct spinlock lock;
	uint32_t watch;                /* enum alloc_watch; changes under the lock */
	struct kheap_debug *debug;     /* alloc/kmalloc_debug.h; NULL: none */
	struct guard *guard;           /* quire/kheap_guard.h; NULL: none */
	bool guard_due[PORT_CPUS_MAX]; /* the CPU's next object is to be guarded; its own */
	uint32_t closers;              /* others who want the magazines closed meanwhile */
	struct alloc_fail fail;        /* with WATCH_FAIL */
	struct alloc_trace *trace;     /* with WATCH_TRACE */
	struct list caches;            /* every cache: classes, the internal ones, typed ones */
	uint8_t class_of[KMALLOC_SMALL_MAX + 1]; /* index into classes, by bytes */
	struct kmem_cache classes[KMALLOC_CLASSES];
	struct kmem_cache headers[KHEAP_HEADERS];   /* the caches of slab headers */
	struct kmem_cache magazines;                /* of magazines */
	struct kmem_cache cache_cache;              /* the cache of struct kmem_cache */
	struct kheap_cpu first_cpu, nobody;         /* CPU 0's; one without magazines */
	struct arena first_arenas[KHEAP_MAGAZINES]; /* CPU 0's */
	unsigned cpus;                              /* one past the highest online */
	uint64_t cpu_pages;                         /* of struct kheap_cpu and its arenas */
	uint64_t typed_magazines[2];                /* indices of typed caches in use, a bit each */
	/* Atomic: arenas change them under locks of their own. */
	uint64_t empty_pages, empty_most; /* of slabs in `empty` lists, and the limit */
	uint64_t slab_pages_held;         /* pages of all slabs */
	uint64_t track_pages_held;        /* and of their records of callers */
	uint64_t large_failures;
	uint64_t misuses;
};

/* Make `heap` serve from `pages`; one heap a page allocator. Cannot fail; takes no memory yet. */
void kheap_init(struct kheap *heap, struct page_allocator *pages);

/*
 * Give a CPU magazines, before it allocates. CPU 0 has them from kheap_init() on. Until
 * then a CPU works, but takes the lock each time. 0 or -ENOMEM. Takes 28 KiB for good.
 */
must_check int kheap_cpu_online(struct kheap *heap, unsigned cpu);

/*
 * Put all a CPU's magazines hold back into the slabs. Context: that CPU, interrupts off; or
 * any, while it is closed.
 */
void kheap_cpu_drain(struct kheap *heap, unsigned cpu);

/*
 * Begin and cease to watch (enum alloc_watch; `off` wins). On return every call
 * of any CPU heeds it, and while anything watches all magazines are empty.
 * Context: thread, no locks; with interrupts off only while one CPU is online.
 */
void kheap_watch(struct kheap *heap, uint32_t on, uint32_t off);

/* Let calls fail as planned, counted from now on; NULL: no more. Context as for kheap_watch(). */
void kheap_fail(struct kheap *heap, const struct alloc_fail_plan *plan);

/* Record events there; NULL: no more, and nobody uses the old one on return. The same context. */
void kheap_trace(struct kheap *heap, struct alloc_trace *trace);

/*
 * Redzones behind objects, poison in free ones, and quarantine: WATCH_DEBUG, with WATCH_TRACK. Right
 * after kheap_init() or not at all. Takes a page for good. -ENOMEM.
 */
must_check int kheap_debug_init(struct kheap *heap);

/* The one place that decides what a CPU's fast path sees. heap->lock held. */
void kheap_cpu_publish(struct kheap *heap, unsigned cpu);

/*
 * `caller` is recorded where tracking is on, and named in reports. Freeing what
 * is not a live object of this heap is reported through port_misuse() and refused.
 */
must_check void *kheap_alloc(struct kheap *heap, size_t bytes, unsigned flags, uintptr_t caller);
must_check void *kheap_alloc_aligned(struct kheap *heap, size_t bytes, size_t align, unsigned flags,
				     uintptr_t caller);
must_check void *kheap_realloc(struct kheap *heap, void *object, size_t bytes, uintptr_t caller);
void kheap_free(struct kheap *heap, void *object, uintptr_t caller);

/* Usable bytes behind a live object (at least what was asked); 0 for anything else, without a
 * report. */
size_t kheap_size(struct kheap *heap, const void *object);

/*
 * Empty this CPU's magazines and give back all empty slabs. The kernel calls it
 * when idle; kmalloc itself before it fails. Returns pages given back.
 */
uint64_t kheap_trim(struct kheap *heap);

/*
 * A typed cache. `name` must outlive it. align 0 or a power of two up to a
 * page. NULL when out of memory, or when bytes (rounded up to align) is not 1..KMALLOC_SMALL_MAX.
 * Its objects may also be given to kfree(); objects of another cache given to
 * kmem_cache_free() are refused.
 */
must_check struct kmem_cache *kmem_cache_create(struct kheap *heap, const char *name, size_t bytes,
						size_t align);
must_check void *kmem_cache_take(struct kmem_cache *cache); /* uninitialised */
must_check void *kmem_cache_take_zeroed(struct kmem_cache *cache);
must_check static inline void *kmem_cache_alloc(struct kmem_cache *cache, unsigned flags)
{
	return flags & KMALLOC_ZERO ? kmem_cache_take_zeroed(cache) : kmem_cache_take(cache);
}
void kmem_cache_free(struct kmem_cache *cache, void *object);
/* -EBUSY, no change and a report of the leak while objects are live; -EINVAL and a report for what
 * is no such cache (any more). Context: thread, no locks; with interrupts off only while one CPU is
 * online. */
must_check int kmem_cache_destroy(struct kmem_cache *cache);

/* Everything known about an address, for people. Slow; takes locks. */
enum kheap_where {
	KHEAP_NOWHERE,     /* not this heap's */
	KHEAP_OBJECT,      /* in a live object */
	KHEAP_FREE_OBJECT, /* in a free slot of a slab */
	KHEAP_SLACK, /* in a slab, behind its last object or before the first; beside a guarded one */
	KHEAP_LARGE, /* in a run of pages */
};
struct kheap_about {
	enum kheap_where where;
	bool guarded;      /* in the pages for guarded objects (quire/kheap_guard.h) */
	const char *cache; /* name; NULL for large */
	uint64_t object;   /* start address */
	uint64_t object_bytes;
	uint64_t slab; /* start address of the slab or run */
	uint64_t slab_pages;
	pfn_t frame;          /* of a guarded object: its address does not tell */
	uint32_t slot, slots; /* index of the object, objects in the slab */
	uint32_t slab_live;   /* live objects in that slab */
	bool internal;        /* one of the allocator's own books */
	uintptr_t allocated_by, freed_by;
};
void kheap_about(struct kheap *heap, const void *address, struct kheap_about *out);

/* One live object of a slab, or a guarded one. */
struct kheap_live {
	uint64_t object;
	uint64_t bytes; /* of its slot; guarded: as asked */
	const char *cache;
	uintptr_t allocated_by; /* 0: not known */
};
typedef void (*kheap_visitor)(void *context, const struct kheap_live *live);
/*
 * Visit all live objects, or those of one cache; large ones are the page allocator's to tell
 * (page_walk). The heap is locked: `visit` must neither allocate nor print. Context as for
 * kheap_watch().
 */
void kheap_walk(struct kheap *heap, const struct kmem_cache *cache, kheap_visitor visit,
		void *context);

struct kmem_cache_stats {
	const char *name;
	bool size_class; /* one of kmalloc's own */
	uint32_t object_bytes, objects_per_slab, slab_pages;
	uint32_t waste_bytes; /* behind the last object of a slab */
	uint64_t slabs, live, allocs, frees, failures;
	uint64_t quarantined; /* freed, and kept from use for a while (kheap_debug_init()) */
};
/* The i-th cache, in a fixed order (classes by size, then the others). False past the end. */
bool kheap_cache_stats(struct kheap *heap, size_t i, struct kmem_cache_stats *out);

struct kheap_stats {
	uint64_t slab_pages, header_pages,
		large_pages;                   /* what kmalloc holds of the page allocator */
	uint64_t guard_pages;                  /* the same for guarded objects, for good */
	uint64_t empty_pages;                  /* of the slab pages, those without a live object */
	uint64_t cached_objects, cached_bytes; /* in the CPUs' magazines */
	uint64_t live_objects, live_bytes;     /* bytes counted as object sizes */
	uint64_t quarantined_objects, quarantined_bytes; /* no longer live, not yet free */
	uint64_t large_live, large_allocs, large_frees, large_failures;
	uint64_t misuses;
};
void kheap_stats(struct kheap *heap, struct kheap_stats *out);

/* What one CPU's magazines hold, its share of cached_*; zeros for one that is not online. */
struct kheap_cpu_stats {
	uint64_t magazines, objects, bytes;
};
void kheap_cpu_stats(struct kheap *heap, unsigned cpu, struct kheap_cpu_stats *out);

/*
 * The validator: NULL or what is wrong. O(slabs); holds the lock, and closes the magazines of
 * all CPUs meanwhile. Context: threads; with interrupts off only while one CPU is online.
 */
const char *kheap_check(struct kheap *heap);

/* ---- the kernel's heap under its usual names ---- */

extern struct kheap kernel_heap;

/* `bytes` uninitialised (kzalloc: zeroed) bytes, or NULL. 0 bytes gives a distinct pointer. */
must_check void *kmalloc(size_t bytes);
must_check void *kzalloc(size_t bytes);
must_check void *kmalloc_array(size_t count, size_t bytes); /* overflow-checked */
must_check void *kcalloc(size_t count, size_t bytes);       /* the same, zeroed */
/*
 * align: a power of two up to KMALLOC_ALIGN_MAX, else NULL; above a page it is
 * the alignment in physical memory, and in the direct map as far as that is aligned.
 * Takes at least `align` bytes of memory.
 */
must_check void *kmalloc_aligned(size_t bytes, size_t align);
/* NULL object = kmalloc; on NULL the old object is untouched. */
must_check void *krealloc(void *object, size_t bytes);
void kfree(void *object); /* NULL is a no-op */
size_t kmalloc_size(const void *object);

#endif
