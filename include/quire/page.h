/* SPDX-License-Identifier: MIT */
/*
 * The page allocator: bitmaps for the frames, free lists for the blocks.
 *
 *   frame       4 KiB   one bit in its pageblock's bitmap, 1 = free
 *   pageblock   2 MiB   512 frames: one cache line of bitmap, a summary of its runs, a count
 *   superblock  1 GiB   512 pageblocks: a 512-bit set of the wholly free ones, and one a class
 *   zone                its superblocks, on one list for each order they can serve
 *   node                three zones; the memory that is near some of the CPUs
 *
 * The class of a pageblock is the order of the largest naturally aligned free
 * run in it: 0..8, 9 when wholly free, none when full. An allocation of order
 * 0..8 takes from the smallest class that can serve it, at the lowest address
 * in the superblock: the fullest blocks fill up first, empty ones stay whole.
 * Orders 9 to 18 are aligned runs of wholly free pageblocks, found the same
 * way one level up. Free frames are never written to; freeing merges by
 * construction: what is free side by side is a run, whoever freed it when.
 *
 * In front of the bitmaps each CPU has a cache: a stack of free blocks for each
 * order up to 9. Most allocations pop from one and most frees push onto one,
 * with interrupts off, no lock and no atomic operation; the lock is for filling
 * and draining them in batches, and for everything they do not serve.
 *
 * State lives in struct page_allocator, passed to every call. Any context,
 * interrupts included; nothing here sleeps. Allocation fails with PFN_NONE;
 * freeing never fails unless the caller is wrong, which is reported through
 * port_misuse() and refused.
 */
#ifndef QUIRE_PAGE_H
#define QUIRE_PAGE_H

#include <quire/alloc_fail.h>
#include <quire/alloc_trace.h>
#include <quire/alloc_watch.h>
#include <quire/desc_plan.h>
#include <quire/spinlock.h>
#include <quire/types.h>

#define PAGE_ORDER_MAX 18

/*
 * A page descriptor, 8 bytes. The low 3 bits are the state; the rest depends on it:
 *
 *   63            32 31               9 8    4 3 2   0
 *   +---------------+------------------+------+-+-----+
 *   | freed by      |        0         |  p   |0| 0   |  NONE   free, tail, or never used
 *   | allocated by  | references       | order|0| 1   |  HEAD   first page of 2^order pages
 *   | allocated by  | pages (20 bits from 4 up) |k| 2 |  RUN    first page of a run (k: kmalloc's)
 *   |               |                  |      | | 3   |  RESERVED  described, but never free
 *   | pointer to struct slab, 8-byte aligned        4 |  SLAB   any page of a slab; the only one with
 *                                                              bit 2, so that one test tells
 *
 * p: bit 4, DESC_POISON: free, and filled with a pattern (alloc/page_pattern.c).
 * "allocated by" and "freed by" are the low 32 bits of a return address: all
 * kernel text lies in the top 2 GiB, so they identify it.
 */
enum page_state {
	PAGE_NONE,
	PAGE_HEAD,
	PAGE_RUN,
	PAGE_RESERVED,
	PAGE_SLAB,
};

struct page {
	uint64_t word;
};

_Static_assert(sizeof(struct page) == 8, "8 bytes a page");

enum page_flags {
	PAGE_ANY = 0,
	PAGE_BELOW_4G = 1, /* all of it below 4 GiB */
	PAGE_BELOW_1M = 2, /* all of it below 1 MiB */
	PAGE_ZEROED = 4,   /* cleared */
	PAGE_OBJECT = 8,   /* page_alloc_run only: this run is an object of kmalloc's */
};

enum page_zone {
	PAGE_ZONE_LOW,   /* pageblock 0: below 1 MiB (and the MiB above it), kept for those who need
			    it */
	PAGE_ZONE_DMA32, /* below 4 GiB */
	PAGE_ZONE_NORMAL, /* the rest */
	PAGE_ZONES,
};

/*
 * NUMA nodes. A superblock belongs to one node, the one that has the most of its
 * frames. A request is served by the nearest node that can, and within the node
 * by NORMAL before DMA32; LOW comes after all nodes.
 */
#define PAGE_NODES_MAX 16

/* Every zone of every node has a number of its own; node 0's are enum page_zone. */
#define PAGE_NODE_ZONES (PAGE_NODES_MAX * PAGE_ZONES)

struct page_node_range {
	pfn_t start;
	uint64_t pages;
	unsigned node;
};

struct page_nodes {
	unsigned count;                       /* 1..PAGE_NODES_MAX */
	const struct page_node_range *ranges; /* ascending, disjoint; what is in none is node 0's */
	size_t range_count;
	uint8_t distance[PAGE_NODES_MAX][PAGE_NODES_MAX]; /* from, to; smaller is nearer */
};

/* The zones one node's CPUs take from, by number, nearest first; 0 ends the list. */
struct page_near {
	uint8_t any[2 * PAGE_NODES_MAX + 1];
	uint8_t below_4g[PAGE_NODES_MAX + 1];
	uint64_t first, end; /* frames of the node it begins with: what its CPUs may cache */
};

#define PAGE_LISTS          (PAGE_ORDER_MAX + 1)
#define PAGE_FULLNESS_STEPS 6 /* wholly free; under 25, 50, 75, 100 % used; full */

#define PAGE_CACHE_ORDERS 10  /* orders 0..9 have per-CPU caches */
#define PAGE_DIRTY_MAX    512 /* pageblocks whose summary may be behind, see alloc/page_cpu.c */

struct superblock; /* alloc/page_internal.h */
struct stretch;    /* the same: GiBs side by side that nobody has touched */
struct page_cpu;   /* the same: what one CPU has cached */

/* One zone. Filled in by alloc/page*.c only. */
struct page_free_set {
	uint64_t managed; /* pages */
	uint64_t free;
	uint32_t asleep;           /* superblocks, wholly free, that exist as a bit only */
	uint32_t nonempty;         /* bit k: list k is not empty */
	uint32_t head[PAGE_LISTS]; /* first superblock (index) that can serve order k at best */
};

struct page_counters {
	uint64_t allocs[PAGE_ORDER_MAX + 1];
	uint64_t frees[PAGE_ORDER_MAX + 1];
	uint64_t run_allocs, run_frees; /* page_alloc_run */
	uint64_t bulk_pages;            /* of the order-0 ones, through bulk calls */
	uint64_t failures;              /* PFN_NONE returned */
	uint64_t misuses;               /* frees refused */
	uint64_t blocks_opened;         /* pageblocks whose descriptors came to life */
	uint64_t patterned, verified;   /* free pages filled with a pattern, and looked at again */
	uint64_t written_free;          /* of those: somebody had written there */
};

/* A write to a free page, to be reported. */
struct page_written {
	uint64_t address; /* physical; of the first wrong byte; 0: none */
	uint64_t found;   /* the 8 bytes around it */
	uintptr_t freed_by;
};

#define PAGE_SAMPLES 8

/*
 * The allocator's whole state. The owner supplies memory through page_config
 * and treats the fields as private, but for `descs` in page_desc().
 */
struct page_allocator {
	struct page *descs;             /* virtually indexed by pfn, see port_back_descriptors() */
	uint64_t pfn_limit;             /* one past the highest frame descs may be indexed with */
	struct superblock *superblocks; /* in address order; those asleep are not written yet */
	uint32_t superblock_count;
	uint32_t low_superblock; /* 1 + index of pageblock 0's own one, 0 = none */
	uint64_t index_entries;  /* length of superblock_of */
	uint32_t *superblock_of; /* GiB number to 1 + index into superblocks, 0 = none, or asleep */
	struct stretch *stretches; /* in address order; alloc/page_sleep.c */
	uint32_t stretch_count;
	uint64_t *asleep, *given; /* a bit a superblock */
	pfn_t desc_frames;        /* first frame of the descriptor array */
	uint64_t desc_frames_used;
	uint64_t metadata_bytes; /* taken from boot_alloc */
	struct spinlock lock;
	struct page_free_set zones[PAGE_NODE_ZONES]; /* of node n: from n * PAGE_ZONES on */
	unsigned nodes;
	uint8_t cpu_node[PORT_CPUS_MAX];
	struct page_near near[PAGE_NODES_MAX];
	struct page_counters counters; /* of what went past the caches */

	/* The caches: what the fast path of CPU n sees, its own or a closed one; and all. */
	struct page_cpu *cpu[PORT_CPUS_MAX];
	struct page_cpu *caches[PORT_CPUS_MAX];  /* NULL: not online */
	uint32_t watch;                          /* enum alloc_watch; changes under the lock */
	uint32_t closers;                        /* others who want the caches closed meanwhile */
	struct alloc_fail fail;                  /* with WATCH_FAIL */
	struct alloc_trace *trace;               /* with WATCH_TRACE */
	unsigned cpus;                           /* one past the highest that is */
	uint64_t cache_limit[PAGE_CACHE_ORDERS]; /* blocks a CPU may keep */
	uint64_t cached_twice;                   /* a frame found in two caches, to be reported */
	struct page_written written;             /* the last one found, to be reported */
	uint64_t patterned;                      /* pages with DESC_POISON, but for samples */
	pfn_t samples[PAGE_SAMPLES];             /* a ring; see alloc/page_pattern.c */
	uint32_t sample_first, sample_count;
	uint32_t sample_ticks; /* between samples, on each CPU; 0: none */
	uint32_t dirty_count;
	uint32_t dirty[PAGE_DIRTY_MAX]; /* pageblock numbers */
};

/* What page_init() needs. */
struct page_config {
	struct page *descs; /* must be there to the end of pfn_limit's pageblock */
	uint64_t pfn_limit;
	const struct region *regions; /* normal form; read during page_init() only */
	size_t region_count;
	struct desc_plan plan;          /* which pageblocks are described, and the array's frames */
	const struct page_nodes *nodes; /* read during page_init() only; NULL: one node */
	/* Zeroing memory source for superblocks and index; NULL ends the boot. */
	void *(*boot_alloc)(size_t bytes);
	/*
	 * The same without zeroing, for the bitmaps: they come to life a pageblock at a
	 * time, and clearing 40 KiB a GiB at boot is work for nothing. NULL: boot_alloc serves.
	 */
	void *(*boot_alloc_raw)(size_t bytes);
};

/*
 * Build the books for every described pageblock; no frame is free or managed yet.
 * Time O(regions), and a bit or two for each GiB. Returns 0 or -ENOMEM.
 */
must_check int page_init(struct page_allocator *pa, const struct page_config *config);

/*
 * Hand frames over at boot: they become free. Frames in undescribed pageblocks
 * are skipped, and so is frame 0, which is never handed out. Returns how many
 * frames were added. Adding a frame twice panics. Whole GiBs nobody has
 * touched are added 64 at a time, whole pageblocks too.
 */
uint64_t page_add(struct page_allocator *pa, pfn_t start, uint64_t pages);

/* The node whose memory that CPU is served from first; 0 until told. On that CPU, or before it
 * allocates. */
void page_set_cpu_node(struct page_allocator *pa, unsigned cpu, unsigned node);

/*
 * Give a CPU its cache, before it allocates. CPU 0 has one from page_init() on.
 * Until then a CPU works, but takes the lock each time. 0 or -ENOMEM.
 */
must_check int page_cpu_online(struct page_allocator *pa, unsigned cpu);

/*
 * Empty a CPU's cache into the bitmaps. Context: that CPU, interrupts off; or any, while it
 * is closed.
 */
void page_cpu_drain(struct page_allocator *pa, unsigned cpu);

/*
 * Begin and cease to watch (enum alloc_watch; `off` wins). On return every call
 * of any CPU heeds it, and while anything watches all caches are empty.
 * Context: thread, no locks; with interrupts off only while one CPU is online.
 */
void page_watch(struct page_allocator *pa, uint32_t on, uint32_t off);

/* Let calls fail as planned, counted from now on; NULL: no more. Context as for page_watch(). */
void page_fail(struct page_allocator *pa, const struct alloc_fail_plan *plan);

/* Record events there; NULL: no more, and nobody uses the old one on return. The same context. */
void page_trace(struct page_allocator *pa, struct alloc_trace *trace);

/* 2^order frames, aligned to their size; order 0..PAGE_ORDER_MAX, else PFN_NONE. One reference. */
must_check static inline pfn_t page_alloc(struct page_allocator *pa, unsigned order,
					  unsigned flags);

/* The inverse. The order must be the one allocated. References must be 1 (see page_put). */
static inline void page_free(struct page_allocator *pa, pfn_t head, unsigned order);

/* The same out of line: what the inline functions come to, but for single pages. */
must_check pfn_t page_alloc_block(struct page_allocator *pa, unsigned order, unsigned flags);
void page_free_block(struct page_allocator *pa, pfn_t head, unsigned order);

/* Up to `count` single frames into `out`; returns how many (fewer only when memory is out). */
must_check size_t page_alloc_bulk(struct page_allocator *pa, pfn_t *out, size_t count,
				  unsigned flags);
void page_free_bulk(struct page_allocator *pa, const pfn_t *frames, size_t count);

/*
 * A contiguous run of any length, 1..2^18 pages, aligned to the next power of two; wastes nothing:
 * the tail goes back at once.
 */
must_check pfn_t page_alloc_run(struct page_allocator *pa, uint64_t pages, unsigned flags);
void page_free_run(struct page_allocator *pa, pfn_t head);

/* Pages of the run that starts at `head`, 0 when none does. */
uint64_t page_run_pages(const struct page_allocator *pa, pfn_t head);

/*
 * Another owner of a HEAD block / one owner less; the last one frees it. For
 * sharing (copy-on-write). No lock. A count that reaches 2^23 - 1 stays there:
 * such a block is never freed, which is the safe way to be wrong.
 */
void page_get(struct page_allocator *pa, pfn_t head);
void page_put(struct page_allocator *pa, pfn_t head);

/* The same as page_alloc/page_free, attributing to `caller` (for wrappers). */
must_check pfn_t page_alloc_for(struct page_allocator *pa, unsigned order, unsigned flags,
				uintptr_t caller);
void page_free_for(struct page_allocator *pa, pfn_t head, unsigned order, uintptr_t caller);
must_check pfn_t page_alloc_run_for(struct page_allocator *pa, uint64_t pages, unsigned flags,
				    uintptr_t caller);
void page_free_run_for(struct page_allocator *pa, pfn_t head, uintptr_t caller);
/* A run allocated with PAGE_OBJECT, which the others refuse. */
void page_free_object_run(struct page_allocator *pa, pfn_t head, uintptr_t caller);

/*
 * Mark the pages of a HEAD block of 2^order pages as a slab owned by `slab`
 * (8-byte aligned), and back again before it is freed. For kmalloc.
 */
void page_set_slab(struct page_allocator *pa, pfn_t head, unsigned order, void *slab);
void page_clear_slab(struct page_allocator *pa, pfn_t head, unsigned order);

/* The descriptor of any frame below pfn_limit; reads as zero where nothing is described. */
static inline const struct page *page_desc(const struct page_allocator *pa, pfn_t frame)
{
	return &pa->descs[frame.n];
}

static inline enum page_state page_state(const struct page *p)
{
	return (enum page_state)(p->word & 7);
}

/* Is this the first page of a run allocated with PAGE_OBJECT? */
static inline bool page_is_object(const struct page *p)
{
	return (p->word & 15) == (PAGE_RUN | PAGE_OBJECT);
}

/* The slab a SLAB page belongs to. */
static inline void *page_slab(const struct page *p)
{
	return (void *)(uintptr_t)(p->word & ~(uint64_t)7);
}

/* Everything known about one frame, for people. Slow; takes the lock. */
struct page_about {
	bool described; /* lies in a described pageblock */
	bool free;
	enum page_state state; /* of the head when `tail` */
	bool tail;             /* inside a block whose first frame is `head` */
	pfn_t head;
	uint64_t pages;                   /* of the block or run */
	unsigned order;                   /* HEAD only */
	uint32_t references;              /* HEAD only; see page_get() */
	uintptr_t allocated_by, freed_by; /* full addresses, 0 when not known */
	enum page_zone zone;
	unsigned node;
	uint64_t block_free; /* free frames in its pageblock */
};
void page_about(struct page_allocator *pa, pfn_t frame, struct page_about *out);

/*
 * A snapshot: O(superblocks + partly used pageblocks), under the lock: for
 * people and tests. page_free_pages() is for everyone else. What is cached
 * counts as free. Bitmaps and caches agree, because nothing moves between them
 * without the lock; each CPU's cache is read once, so the figures are exact
 * for every CPU that did not allocate or free at that moment.
 */
struct page_stats {
	uint64_t managed, free, used; /* pages; managed = free + used */
	uint64_t cached;              /* of the free ones, in the caches of CPUs */
	struct page_zone_stats {
		uint64_t managed, free;
	} zone[PAGE_ZONES]; /* of all nodes */
	unsigned nodes;
	struct page_zone_stats node[PAGE_NODES_MAX][PAGE_ZONES];
	uint64_t free_blocks[PAGE_ORDER_MAX + 1]; /* free memory as a buddy allocator would list it:
						     maximal aligned blocks; cached ones as cached */
	uint64_t pageblocks;                      /* described */
	uint64_t fullness[PAGE_FULLNESS_STEPS];   /* pageblocks by how full they are; adds up to
						     pageblocks */
	uint64_t superblocks;
	uint64_t metadata_bytes; /* superblocks, bitmaps, index; without the descriptor array */
	struct page_counters counters;
};
void page_stats(struct page_allocator *pa, struct page_stats *out);

/*
 * Samples of free pages: each CPU fills one with a pattern every so many ticks (0: none), and
 * has it verified when it has drained its cache or eight others followed. The tick runs
 * on each CPU with interrupts off. _next: the next single page this CPU frees.
 */
void page_sample_rate(struct page_allocator *pa, uint32_t ticks);
void page_sample_tick(struct page_allocator *pa);
void page_sample_next(struct page_allocator *pa);

/* What one CPU has done and keeps; zeros for one that is not online. No lock. */
struct page_cpu_stats {
	uint64_t pages;                     /* cached */
	uint64_t cached[PAGE_CACHE_ORDERS]; /* blocks */
	uint64_t limit[PAGE_CACHE_ORDERS];
	uint64_t allocs[PAGE_CACHE_ORDERS], frees[PAGE_CACHE_ORDERS];
	uint64_t refills, drains; /* batches moved */
};
void page_cpu_stats(const struct page_allocator *pa, unsigned cpu, struct page_cpu_stats *out);

/* Free frames now, cached ones too. O(CPUs), no lock: a figure, not a promise. */
uint64_t page_free_pages(const struct page_allocator *pa);

/*
 * The validator: recounts everything from the bitmaps up. NULL, or what is
 * wrong (static text). O(described pageblocks); holds the lock, and closes the
 * caches of all CPUs meanwhile. Context: threads; with interrupts off only
 * while one CPU is online.
 */
const char *page_check(struct page_allocator *pa);

/* Something allocated: a block, a run, or one page of a slab. */
struct page_owned {
	pfn_t frame;
	uint64_t pages;
	enum page_state state;
	bool is_object;         /* a run that is a large object of kmalloc's */
	uintptr_t allocated_by; /* 0 for slabs */
};
typedef void (*page_visitor)(void *context, const struct page_owned *owned);
/* Visit all that is allocated, lowest first. No lock: what comes and goes meanwhile may be missed. */
void page_walk(struct page_allocator *pa, page_visitor visit, void *context);
/* Who allocated the block or run that starts at `head`. */
uintptr_t page_caller(const struct page_allocator *pa, pfn_t head);

#include <quire/page_fast.h>

static inline pfn_t page_alloc(struct page_allocator *pa, unsigned order, unsigned flags)
{
	if (__builtin_constant_p(order == 0 && flags == PAGE_ANY) && order == 0 &&
	    flags == PAGE_ANY)
		return page_alloc_inline(pa, 0, PAGE_ANY, port_here());
	return page_alloc_block(pa, order, flags);
}

static inline void page_free(struct page_allocator *pa, pfn_t head, unsigned order)
{
	if (__builtin_constant_p(order) && order == 0)
		page_free_inline(pa, head, 0, port_here());
	else
		page_free_block(pa, head, order);
}

#endif
