/* SPDX-License-Identifier: MIT */
/*
 * Taking and giving frames: bitmaps, classes and the lists of the zones.
 *
 * Invariants, whenever the lock is free:
 *   block.free   = ones in its bitmap
 *   block.class  = order of the largest aligned run in it
 *   class_map[c] = { open, untaken pageblocks of class c }, spare = those of class 9 and untouched ones
 *   zone.free    = sum of the free frames of its superblocks
 *   superblock on list c < 9  <=>  class_map[c] not empty
 *   superblock on list 9 + j   =>  no aligned run in spare is larger than 2^j;
 *                                  it is on one of them while spare is not empty
 *
 * A request of order k takes the first non-empty list from k up. Below 9 that
 * names a class, and any pageblock of the class will do; from 9 up it names a
 * superblock with room for whole pageblocks. Either way the tightest fit.
 *
 * Taking spare pageblocks leaves the superblock on its list, giving them back
 * moves it up at once: who takes and gives in turns moves nothing. A
 * superblock found on too high a list is moved down by the search.
 *
 * Lock: pa->lock, held by the caller of everything here.
 */
#include "page_internal.h"
#include <quire/assert.h>

/*
 * Zone lists. A superblock with a lower address than the first goes in front,
 * others behind the first: the first is the lowest that came while it stood
 * there, at the cost of one comparison.
 */
static void list_add(struct page_allocator *pa, struct superblock *sb, unsigned list)
{
	struct page_free_set *zone = &pa->zones[sb->zone];
	uint32_t self = (uint32_t)(sb - pa->superblocks);
	unsigned slot = list < PARTIAL_LISTS ? list : PARTIAL_LISTS;
	uint32_t first = zone->head[list], prev = INDEX_NONE, next = INDEX_NONE;

	if (!(zone->nonempty >> list & 1)) {
		zone->nonempty |= 1u << list;
		zone->head[list] = self;
	} else if (self < first) {
		next = first;
		zone->head[list] = self;
	} else {
		prev = first;
		next = pa->superblocks[first].link[slot].next;
		pa->superblocks[first].link[slot].next = self;
	}
	if (next != INDEX_NONE)
		pa->superblocks[next].link[slot].prev = self;
	sb->link[slot].next = next;
	sb->link[slot].prev = prev;
}

static void list_remove_superblock(struct page_allocator *pa, struct superblock *sb, unsigned list)
{
	struct page_free_set *zone = &pa->zones[sb->zone];
	unsigned slot = list < PARTIAL_LISTS ? list : PARTIAL_LISTS;
	uint32_t prev = sb->link[slot].prev, next = sb->link[slot].next;

	if (next != INDEX_NONE)
		pa->superblocks[next].link[slot].prev = prev;
	if (prev != INDEX_NONE)
		pa->superblocks[prev].link[slot].next = next;
	else if (next != INDEX_NONE)
		zone->head[list] = next;
	else
		zone->nonempty &= ~(1u << list);
}

/* The list for the spare pageblocks a superblock has now, 9..18 or CLASS_NONE. */
static unsigned spare_list(const struct superblock *sb)
{
	unsigned run = runs_class(sb->spare_runs);

	return run == CLASS_NONE ? CLASS_NONE : run + CLASS_WHOLE;
}

static void superblock_move(struct page_allocator *pa, struct superblock *sb, unsigned list)
{
	if (sb->top != CLASS_NONE)
		list_remove_superblock(pa, sb, sb->top);
	sb->top = (uint8_t)list;
	if (list != CLASS_NONE)
		list_add(pa, sb, list);
}

void superblock_raise(struct page_allocator *pa, struct superblock *sb)
{
	if (likely(sb->top == PAGE_ORDER_MAX))
		return;
	if (sb->top == CLASS_NONE || runs_words(sb->spare_runs, sb->top + 1u - CLASS_WHOLE))
		superblock_move(pa, sb, spare_list(sb));
}

/*
 * The first list from `order` up that is not empty, or PAGE_LISTS; its first
 * superblock can serve it. When there is none, one that sleeps is woken. Those whose spare pageblocks went since they were
 * put there move down on the way, each once for the allocation that took them.
 */
static inline unsigned list_choose(struct page_allocator *pa, struct page_free_set *zone,
				   unsigned order)
{
	uint32_t lists;

	do {
		while ((lists = zone->nonempty >> order) != 0) {
			unsigned list = order + (unsigned)__builtin_ctz(lists);
			struct superblock *sb;

			if (list < PARTIAL_LISTS)
				return list;
			sb = &pa->superblocks[zone->head[list]];
			if (likely(runs_words(sb->spare_runs, list - CLASS_WHOLE)))
				return list;
			superblock_move(pa, sb, spare_list(sb));
		}
	} while (superblock_wake_in(pa, (unsigned)(zone - pa->zones)));
	return PAGE_LISTS;
}

static void class_leave(struct page_allocator *pa, struct superblock *sb, unsigned block,
			unsigned block_class)
{
	unsigned word = block / 64;

	if (block_class == CLASS_NONE)
		return;
	if (block_class == CLASS_WHOLE) {
		bits_clear(sb->spare, &sb->spare_runs, block, 1);
		return;
	}
	sb->class_map[block_class][word] &= ~((uint64_t)1 << block % 64);
	if (sb->class_map[block_class][word])
		return;
	sb->class_words[block_class] &= (uint8_t) ~(1u << word);
	if (!sb->class_words[block_class])
		list_remove_superblock(pa, sb, block_class);
}

static void class_enter(struct page_allocator *pa, struct superblock *sb, unsigned block,
			unsigned block_class)
{
	unsigned word = block / 64;

	if (block_class == CLASS_NONE)
		return;
	if (block_class == CLASS_WHOLE) {
		bits_set(sb->spare, &sb->spare_runs, block, 1);
		superblock_raise(pa, sb);
		return;
	}
	if (!sb->class_words[block_class])
		list_add(pa, sb, block_class);
	sb->class_words[block_class] |= (uint8_t)(1u << word);
	sb->class_map[block_class][word] |= (uint64_t)1 << block % 64;
}

void block_reclass(struct page_allocator *pa, struct superblock *sb, unsigned block)
{
	struct pageblock *info = block_info(sb, block);
	unsigned now = runs_class(info->runs), before = info->block_class;

	if (now == before)
		return;
	info->block_class = (uint8_t)now;
	class_leave(pa, sb, block, before);
	class_enter(pa, sb, block, now);
}

static unsigned described_below(const struct superblock *sb, unsigned block)
{
	unsigned count = 0;

	for (unsigned w = 0; w < block / 64; w++)
		count += (unsigned)__builtin_popcountll(sb->described[w]);
	if (block % 64)
		count += (unsigned)__builtin_popcountll(sb->described[block / 64] &
							bits_mask(0, block % 64));
	return count;
}

void block_open(struct page_allocator *pa, struct superblock *sb, unsigned block)
{
	struct pageblock *info = block_info(sb, block);
	uint64_t *bits = block_bits(sb, block);

	assert(bits_test(sb->fresh, block));
	for (unsigned w = 0; w < BITS_WORDS; w++)
		bits[w] = ~(uint64_t)0;
	info->runs = RUNS_ALL_FREE;
	info->free = BITS_FULL;
	info->block_class = CLASS_WHOLE;
	info->dirty = false;
	sb->fresh[block / 64] &= ~((uint64_t)1 << block % 64);
	pa->counters.blocks_opened++;
	port_back_descriptors(&pa->descs[block_frame(sb, block)],
			      pfn_add(pa->desc_frames, sb->rank + described_below(sb, block)));
}

/* Where frames of order 0..8 come from: an opened pageblock of that class or larger. */
static unsigned block_choose(struct page_allocator *pa, struct superblock *sb, unsigned list)
{
	unsigned block, word;

	if (list < PARTIAL_LISTS) {
		word = bits_lowest(sb->class_words[list]);
		return word * 64 + bits_lowest(sb->class_map[list][word]);
	}
	block = bits_find(sb->spare, runs_words(sb->spare_runs, 0), 0);
	if (bits_test(sb->fresh, block))
		block_open(pa, sb, block);
	return block;
}

bool block_for_single(struct page_allocator *pa, unsigned zone, struct superblock **sb,
		      unsigned *block)
{
	struct page_free_set *set = &pa->zones[zone];
	unsigned list = list_choose(pa, set, 0);

	if (list == PAGE_LISTS)
		return false;
	*sb = &pa->superblocks[set->head[list]];
	*block = block_choose(pa, *sb, list);
	return true;
}

/* Take `pages` frames at an aligned run of 2^k, k <= 8, in one of `words` (not 0). */
static uint64_t take_in_block(struct page_allocator *pa, struct superblock *sb, unsigned block,
			      uint64_t words, unsigned k, unsigned pages)
{
	struct pageblock *info = block_info(sb, block);
	uint64_t *bits = block_bits(sb, block);
	unsigned at = bits_find(bits, words, k);
	uint64_t runs = info->runs;

	bits_clear(bits, &info->runs, at, pages);
	info->free = (uint16_t)(info->free - pages);
	pa->zones[sb->zone].free -= pages;
	block_reclass_from(pa, sb, block, runs);
	return block_frame(sb, block) + at;
}

/*
 * Take `pages` frames at an aligned run of 2^k wholly free pageblocks: whole
 * pageblocks, and the beginning of one more when pages is no multiple of 512.
 */
static uint64_t take_blocks(struct page_allocator *pa, struct superblock *sb, unsigned k,
			    uint64_t pages)
{
	unsigned first = bits_find(sb->spare, runs_words(sb->spare_runs, k), k);
	unsigned whole = (unsigned)(pages / PAGEBLOCK_PAGES);
	unsigned rest = (unsigned)(pages % PAGEBLOCK_PAGES), last = first + whole;

	/* The descriptor of the first frame is about to be written. */
	if (bits_test(sb->fresh, first))
		block_open(pa, sb, first);
	if (whole) {
		bits_clear(sb->spare, &sb->spare_runs, first, whole);
		bits_set_plain(sb->taken, first, whole);
	}
	if (rest) {
		struct pageblock *info = block_info(sb, last);

		if (bits_test(sb->fresh, last))
			block_open(pa, sb, last);
		bits_clear(block_bits(sb, last), &info->runs, 0, rest);
		info->free = (uint16_t)(BITS_FULL - rest);
		block_reclass(pa, sb, last);
	}
	pa->zones[sb->zone].free -= pages;
	return block_frame(sb, first);
}

static inline uint64_t take_from_list(struct page_allocator *pa, struct superblock *sb,
				      unsigned list, unsigned order, uint64_t pages)
{
	unsigned block;

	if (order >= CLASS_WHOLE)
		return take_blocks(pa, sb, order - CLASS_WHOLE, pages);
	block = block_choose(pa, sb, list);
	return take_in_block(pa, sb, block, runs_words(block_info(sb, block)->runs, order), order,
			     (unsigned)pages);
}

/*
 * The LOW zone is one pageblock in all, and frame 0 is never free: nothing of order 9
 * or more is ever in it. Who needs memory below 1 MiB gets the lower half;
 * everyone else comes last and takes from the upper half while it lasts.
 */
static uint64_t take_low(struct page_allocator *pa, unsigned order, uint64_t pages, unsigned flags)
{
	const uint64_t lower_half = 0xffffffff;
	struct superblock *sb;
	uint64_t words, upper;

	if (!pa->low_superblock || order >= CLASS_WHOLE)
		return PFN_NONE.n;
	sb = &pa->superblocks[pa->low_superblock - 1];
	if (!pa->zones[sb->zone].free)
		return PFN_NONE.n;
	words = runs_words(block_info(sb, 0)->runs, order);
	upper = words & ~lower_half;
	if (flags & PAGE_BELOW_1M)
		words &= lower_half;
	else if (upper)
		words = upper;
	if (!words)
		return PFN_NONE.n;
	return take_in_block(pa, sb, 0, words, order, (unsigned)pages);
}

uint64_t page_take_zone(struct page_allocator *pa, unsigned zone, unsigned order, uint64_t pages)
{
	struct page_free_set *set = &pa->zones[zone];
	unsigned list = list_choose(pa, set, order);

	if (list == PAGE_LISTS)
		return PFN_NONE.n;
	return take_from_list(pa, &pa->superblocks[set->head[list]], list, order, pages);
}

uint64_t page_take(struct page_allocator *pa, unsigned order, uint64_t pages, unsigned flags)
{
	page_settle(pa);
	if (unlikely(flags & PAGE_BELOW_1M))
		return take_low(pa, order, pages, flags);
	for (const uint8_t *near = zones_near(pa, flags); *near; near++) {
		uint64_t frame = page_take_zone(pa, *near, order, pages);

		if (frame != PFN_NONE.n)
			return frame;
	}
	return take_low(pa, order, pages, flags);
}

void page_give(struct page_allocator *pa, uint64_t frame, uint64_t pages)
{
	struct superblock *sb = superblock_at(pa, frame);
	unsigned block = frame_block(frame);
	unsigned whole = (unsigned)(pages / PAGEBLOCK_PAGES);
	unsigned rest = (unsigned)(pages % PAGEBLOCK_PAGES);

	pa->zones[sb->zone].free += pages;
	if (whole) {
		bits_clear_plain(sb->taken, block, whole);
		bits_set(sb->spare, &sb->spare_runs, block, whole);
		superblock_raise(pa, sb);
		block += whole;
	}
	if (rest) {
		struct pageblock *info = block_info(sb, block);
		uint64_t runs = info->runs;

		bits_set(block_bits(sb, block), &info->runs, (unsigned)(frame % PAGEBLOCK_PAGES),
			 rest);
		info->free = (uint16_t)(info->free + rest);
		block_reclass_from(pa, sb, block, runs);
	}
}
