/* SPDX-License-Identifier: MIT */
/*
 * Inside the page allocator. For alloc/page*.c, their tests and nobody else.
 *
 *   zone ──► superblocks, on one list for each order they can serve
 *              │  class_map[c]   its partly used pageblocks, by class c = 0..8
 *              │  spare          its wholly free pageblocks (class 9): a set of 512 bits
 *              └─► pageblock     its free frames: a set of 512 bits
 *
 * A superblock stands on list c (0..8) of its zone while class_map[c] is not
 * empty, and on one of the lists 9..18 while it has a spare pageblock: that of
 * the largest aligned run of them, or a higher one until somebody looks. So
 * whatever the order of a request, the first non-empty list from there up
 * serves it, without a search.
 *
 * A pageblock is in exactly one of these states:
 *
 *   fresh  taken  spare   its bitmap, summary and descriptors
 *   -----  -----  -----   -----------------------------------------------------------
 *   yes    no     no      do not exist yet; none of its frames was handed over
 *   yes    no     yes     do not exist yet; wholly free
 *   yes    yes    no      do not exist yet; inside an allocation of order 9 or more
 *   no     yes    no      exist, the bitmap all ones; in such an allocation
 *   no     no     yes     exist, the bitmap all ones; class 9
 *   no     no     no      exist; class 0..8, or CLASS_NONE when full
 *
 * An allocation of whole pageblocks leaves their bitmaps alone: only `spare`
 * and `taken` change. Frames below 512 (pageblock 0) have a superblock of
 * their own, so that the LOW zone needs no other rules.
 */
#ifndef QUIRE_PAGE_INTERNAL_H
#define QUIRE_PAGE_INTERNAL_H

#include "page_bits.h"
#include <quire/page.h>

#define CLASS_WHOLE   9u /* of a wholly free pageblock */
#define PARTIAL_LISTS 9u /* classes 0..8 */
#define INDEX_NONE    (~(uint32_t)0)

#define SUPERBLOCK_BLOCKS 512u

/* What is kept of a pageblock beside its bitmap. */
struct pageblock {
	uint64_t runs;       /* summary of the bitmap, see page_bits.h */
	uint16_t free;       /* = ones in the bitmap */
	uint8_t block_class; /* = runs_class(runs) */
	bool dirty;          /* in pa->dirty: runs may lack some of the bitmap's runs */
	uint8_t unused[4];
};

struct superblock {
	uint64_t spare[BITS_WORDS]; /* wholly free pageblocks */
	uint64_t spare_runs;        /* their summary */
	uint64_t first_frame;       /* the frame of bit 0 of pageblock 0; a multiple of 2^18 */
	uintptr_t bitmaps;          /* where the bitmap of pageblock 0 would be; only the */
	uintptr_t blocks;           /* span of described ones has memory behind it */
	uint64_t fresh[BITS_WORDS];
	uint64_t taken[BITS_WORDS];
	uint64_t described[BITS_WORDS];
	uint64_t rank; /* described pageblocks in all superblocks before this one */
	struct {
		uint32_t next, prev;        /* superblocks, by index */
	} link[PARTIAL_LISTS + 1];          /* of lists 0..8; the last one: of the list `top` */
	uint8_t class_words[PARTIAL_LISTS]; /* which words of class_map[c] are not zero */
	uint8_t top;                        /* list 9..18 it stands on, or CLASS_NONE */
	uint8_t zone;                       /* in pa->zones */
	_Alignas(64) uint64_t class_map[PARTIAL_LISTS][BITS_WORDS];
};

#define BITMAP_BYTES (BITS_WORDS * sizeof(uint64_t))

/* Superblocks side by side that are described from end to end: those asleep are like each other. */
struct stretch {
	uint64_t gib;          /* of the first */
	uint32_t first, count; /* superblocks, by index */
	uint32_t next;         /* no free one sleeps before this one, counted from the first */
	uint8_t zone;
	uint64_t rank;             /* the first one's */
	uintptr_t bitmaps, blocks; /* likewise; the others' follow */
};

_Static_assert(sizeof(struct pageblock) == 16, "boot_pool_pages() counts on it");
_Static_assert(sizeof(struct superblock) == 1024, "boot_pool_pages() counts on it");
_Static_assert(SUPERBLOCK_PAGES == BITS_FULL * PAGEBLOCK_PAGES, "512 pageblocks a superblock");

static inline uint64_t *block_bits(const struct superblock *sb, unsigned block)
{
	return (uint64_t *)(sb->bitmaps + block * (BITS_WORDS * sizeof(uint64_t)));
}

static inline struct pageblock *block_info(const struct superblock *sb, unsigned block)
{
	return (struct pageblock *)(sb->blocks + block * sizeof(struct pageblock));
}

static inline uint64_t block_frame(const struct superblock *sb, unsigned block)
{
	return sb->first_frame + block * PAGEBLOCK_PAGES;
}

static inline unsigned frame_block(uint64_t frame)
{
	return (unsigned)(frame / PAGEBLOCK_PAGES % SUPERBLOCK_BLOCKS);
}

/* The superblock of a frame known to be managed. */
static inline struct superblock *superblock_at(const struct page_allocator *pa, uint64_t frame)
{
	uint32_t entry = pa->superblock_of[frame >> SUPERBLOCK_SHIFT];

	if (unlikely(frame < PAGEBLOCK_PAGES))
		entry = pa->low_superblock;
	return &pa->superblocks[entry - 1];
}

/* The superblock of any frame, or NULL where its pageblock is not described. Wakes it. Lock held. */
struct superblock *superblock_find(struct page_allocator *pa, uint64_t frame);

/* More of descriptor words; see quire/page_fast.h and the layout in quire/page.h. */
#define DESC_REF_MAX 0x7fffffu

static inline unsigned desc_order(uint64_t word)
{
	return word >> DESC_ORDER_SHIFT & 31;
}

static inline uint32_t desc_references(uint64_t word)
{
	return (uint32_t)word >> DESC_REF_SHIFT;
}

/* Pages of the block or run a descriptor heads; 1 for a page of a slab, 0 for anything else. */
uint64_t desc_pages(uint64_t word);

/* Zero the pages. No lock. */
void page_clear(pfn_t frame, uint64_t pages);

/* alloc/page_cpu.c */

/* Empty this CPU's cache; false when it was empty. Lock held. */
bool page_cpu_drain_own(struct page_allocator *pa);
/* How many blocks a CPU may keep: after memory or CPUs came. Lock held. */
void page_cpu_limits(struct page_allocator *pa);
/* A CPU belongs to another node: that decides what it may cache. */
void page_cpu_moved(const struct page_allocator *pa, unsigned cpu);
/* Prepare a cache in zeroed memory. */
void page_cpu_start(struct page_allocator *pa, unsigned cpu, struct page_cpu *pc);
/* Bring the summaries of dirty pageblocks up to date. Lock held. */
void page_settle_dirty(struct page_allocator *pa);

static inline void page_settle(struct page_allocator *pa)
{
	if (unlikely(pa->dirty_count))
		page_settle_dirty(pa);
}

/* alloc/page_watch.c */

/* The one place that decides what a CPU's fast path sees. Lock held. */
void page_cpu_publish(struct page_allocator *pa, unsigned cpu);
/*
 * From here on nobody uses a cache without the lock, until page_open_locked(). Returns with
 * the lock taken. Context as for page_watch().
 */
must_check port_irq_t page_close(struct page_allocator *pa);
void page_open_locked(struct page_allocator *pa);

/* Shall this call fail, although there is memory? Lock held. */
static inline bool page_must_fail(struct page_allocator *pa, uintptr_t caller)
{
	return unlikely(pa->watch & WATCH_FAIL) && alloc_fail_hits(&pa->fail, caller);
}

/* Pages came (from PFN_NONE's n on: they did not) or went: for the trace. Lock held. */
cold_fn void page_record_watched(struct page_allocator *pa, enum alloc_operation operation,
				 uint64_t frame, uint64_t pages, uintptr_t caller, bool injected);

static inline void page_record(struct page_allocator *pa, enum alloc_operation operation,
			       uint64_t frame, uint64_t pages, uintptr_t caller, bool injected)
{
	if (unlikely(pa->watch & WATCH_TRACE))
		page_record_watched(pa, operation, frame, pages, caller, injected);
}

/* Drop the lock, and report what was found under it. */
void page_unlock_and_report(struct page_allocator *pa, port_irq_t irq, uintptr_t caller);

/* alloc/page_pattern.c: writes to free pages. The lock is held. */

/* These pages, no bitmap's yet, become free: with WATCH_DEBUG fill them. */
void pattern_give(struct page_allocator *pa, uint64_t frame, uint64_t pages, uintptr_t caller);
/* They were taken out of the bitmaps: verify those that hold the pattern. */
void pattern_take_marked(struct page_allocator *pa, uint64_t frame, uint64_t pages);
static inline void pattern_take(struct page_allocator *pa, uint64_t frame, uint64_t pages)
{
	if (unlikely(pa->patterned))
		pattern_take_marked(pa, frame, pages);
}
/* WATCH_DEBUG is over: verify all. */
void pattern_end(struct page_allocator *pa);
/* This CPU's cache is closed for a sample: here it is; or not yet. */
void sample_take(struct page_allocator *pa, struct page_cpu *pc, uint64_t frame, uintptr_t caller);
void sample_missed(struct page_allocator *pa, struct page_cpu *pc);
/* Verify all samples and make them free; false when there were none. */
bool samples_release(struct page_allocator *pa);
/* For the validator: as page_check.c does with cached blocks. */
const char *samples_mark(struct page_allocator *pa, bool on);
/* After the lock is dropped. */
cold_fn void page_report_written(const struct page_written *w, uintptr_t caller);

/* alloc/page_bulk.c: up to `room` single pages of one zone, descriptors left alone. Lock held. */
size_t page_take_singles(struct page_allocator *pa, unsigned zone, pfn_t *out, size_t room);

/* alloc/page_block.c: taking and giving frames. The lock is held throughout. */

/* `pages` frames where 2^order aligned ones are free (pages <= 2^order); PFN_NONE's n when none. */
uint64_t page_take(struct page_allocator *pa, unsigned order, uint64_t pages, unsigned flags);
/* 2^order frames of one zone, not LOW. */
uint64_t page_take_zone(struct page_allocator *pa, unsigned zone, unsigned order, uint64_t pages);
/* The inverse of both, for frames checked to be taken. */
void page_give(struct page_allocator *pa, uint64_t frame, uint64_t pages);

/* Bring bitmap, summary and descriptors of a fresh pageblock to life, all frames free. */
void block_open(struct page_allocator *pa, struct superblock *sb, unsigned block);
/* The summary changed: put the pageblock where it belongs now. */
void block_reclass(struct page_allocator *pa, struct superblock *sb, unsigned block);

/* The same when the summary may not have changed at all, as it mostly has not. */
static inline void block_reclass_from(struct page_allocator *pa, struct superblock *sb,
				      unsigned block, uint64_t runs_before)
{
	if (block_info(sb, block)->runs != runs_before)
		block_reclass(pa, sb, block);
}

/* The zones a request without PAGE_BELOW_1M tries, nearest first, up to a 0. Interrupts off. */
static inline const uint8_t *zones_near(const struct page_allocator *pa, unsigned flags)
{
	const struct page_near *near = &pa->near[pa->cpu_node[port_cpu()]];

	return flags & PAGE_BELOW_4G ? near->below_4g : near->any;
}

/* `spare` grew: put the superblock on a higher list if it belongs there now. */
void superblock_raise(struct page_allocator *pa, struct superblock *sb);
/* The pageblock an order-0 request of that zone is served from, opened; false when none is left. */
bool block_for_single(struct page_allocator *pa, unsigned zone, struct superblock **sb,
		      unsigned *block);

/* alloc/page_sleep.c: superblocks nobody has touched. The lock is held, but in page_init(). */

/* That of a frame below pfn_limit, or NULL; wakes it. */
struct superblock *superblock_for(struct page_allocator *pa, uint64_t frame);
/* Wake the lowest of a zone that is free; false when none is. */
must_check bool superblock_wake_in(struct page_allocator *pa, unsigned zone);
/* Hand over whole sleeping GiBs from `frame` on; how many frames that was, 0 when none. */
must_check uint64_t sleepers_add(struct page_allocator *pa, uint64_t frame, uint64_t end);
void stretch_put_to_sleep(struct page_allocator *pa, const struct stretch *s);
bool superblock_sleeps(const struct page_allocator *pa, uint32_t index);
struct sleepers {
	uint64_t all, given;
};
struct sleepers stretch_sleepers(const struct page_allocator *pa, const struct stretch *s);
/* The validator's part. */
const char *check_sleepers(const struct page_allocator *pa);

/* alloc/page_node.c: for page_init(). */

/* What is known of the nodes while superblocks are laid out, in ascending order. */
struct node_cursor {
	const struct page_nodes *nodes;
	size_t range;   /* the first that may matter to the next superblock */
	uint64_t zones; /* bit n: zone n has a superblock */
	struct {
		uint64_t first, end;
	} extent[PAGE_NODES_MAX]; /* from its first superblock to its last */
};
_Static_assert(PAGE_NODE_ZONES <= 64, "a bit for each in node_cursor");

/* The node that has most of the frames [first, first + pages). */
unsigned node_of_frames(struct node_cursor *cursor, uint64_t first, uint64_t pages);
/* How many GiBs from that of the last question on, at most `gibs`, are alike in that. */
uint64_t node_like_gibs(const struct node_cursor *cursor, uint64_t first, uint64_t gibs);
/* The next superblocks, all frames from `first` to `end`, have their zone. */
void node_add_superblocks(struct node_cursor *cursor, unsigned zone, uint64_t first, uint64_t end);
/* All superblocks are laid out: in which order the CPUs of each node try their zones. */
void nodes_rank(struct page_allocator *pa, const struct node_cursor *cursor);

/* alloc/page_misuse.c */

/* The caller in a descriptor, as a full address; 0 when not recorded. */
uintptr_t caller_expand(uint64_t word);
/* The head whose block, run or slab page covers `frame`; false when none does. Lock held. */
bool page_find_head(const struct page_allocator *pa, uint64_t frame, uint64_t *head);
/* Is it free? Lock held. */
bool frame_is_free(const struct superblock *sb, uint64_t frame);
/*
 * A free of `frame` was refused, whose descriptor should have read `expected`
 * in its low half (PAGE_RUN alone: any run). Say what is wrong, and count it.
 * Lock held; the caller reports after dropping it.
 */
cold_fn void page_diagnose(struct page_allocator *pa, uint64_t frame, uint64_t expected,
			   uintptr_t caller, struct misuse *out);

/* ---- for builds that check every access; see quire/shadow.h ---- */

static inline void page_poison(pfn_t frame, uint64_t pages)
{
	if (PORT_REDZONE)
		port_poison(port_phys_to_virt(pfn_to_paddr(frame)), pages * PAGE_BYTES,
			    POISON_PAGE);
}

static inline void page_unpoison(pfn_t frame, uint64_t pages)
{
	if (PORT_REDZONE)
		port_unpoison(port_phys_to_virt(pfn_to_paddr(frame)), pages * PAGE_BYTES,
			      pages * PAGE_BYTES);
}

#endif
