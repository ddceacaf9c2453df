/* SPDX-License-Identifier: MIT */
/*
 * The validator: recounts everything from the bitmaps and descriptors up, and
 * compares with what the allocator believes.
 *
 *   per pageblock    free, summary and class follow from the bitmap; it is in the
 *                    sets its state says and in no other (page_internal.h)
 *   per frame        free => descriptor NONE; else RESERVED, or covered by exactly
 *                    one HEAD, RUN or SLAB descriptor
 *   per superblock   summaries and words match the sets; on exactly the right lists
 *   per cache        its blocks are NONE, used in the bitmaps, in no other cache
 *   asleep           of a superblock nobody touched there are two bits (page_sleep.c)
 *   per zone         managed = free + cached + used, recounted; lists well formed
 *
 * Allocations never leave their superblock, so one pass in address order with
 * a count of frames still covered by the last head sees them all.
 *
 * The caches work without the lock, so they are closed first (alloc/page_watch.c): who wants
 * pages waits for the lock. During the pass cached blocks
 * are marked in their descriptors, as HEAD without owners: what
 * is marked twice is in two caches, and what is neither free, marked nor owned is lost.
 *
 * Lock: pa->lock throughout.
 */
#include "page_internal.h"

/* What one pass over a superblock counts. */
struct tally {
	uint64_t free, used; /* frames */
	uint64_t cached;     /* of the used ones: marked as cached */
	uint64_t covered;    /* frames ahead that belong to the last head seen */
};

static bool summary_is_right(const uint64_t *bits, uint64_t runs)
{
	for (unsigned w = 0; w < BITS_WORDS; w++) {
		uint64_t byte = 0;

		for (unsigned k = 0; k <= 6; k++)
			byte |= (uint64_t)(word_run_starts(bits[w], k) != 0) << k;
		if (byte != (runs >> w * 8 & 0xff))
			return false;
	}
	return true;
}

/* One frame that is not free. */
static const char *check_used_frame(uint64_t frame, uint64_t word, struct tally *t)
{
	uint64_t pages = desc_pages(word), align = 1;

	if (t->covered) {
		if ((word & 7) != PAGE_NONE)
			return "a page inside a block has a descriptor of its own";
		t->covered--;
		t->used++;
		return NULL;
	}
	if ((word & 7) == PAGE_RESERVED)
		return NULL;
	if (!pages)
		return "a page is neither free nor anybody's";
	while (align < pages)
		align *= 2;
	if (frame % align)
		return "a block is not aligned to its size";
	if (frame % SUPERBLOCK_PAGES + pages > SUPERBLOCK_PAGES)
		return "a block leaves its superblock";
	if ((word & 7) == PAGE_HEAD && !desc_references(word))
		t->cached += pages;
	t->covered = pages - 1;
	t->used++;
	return NULL;
}

static const char *check_frames(const struct page_allocator *pa, const struct superblock *sb,
				unsigned block, struct tally *t)
{
	const uint64_t *bits = block_bits(sb, block);
	uint64_t first = block_frame(sb, block);
	bool taken = bits_test(sb->taken, block);

	for (unsigned i = 0; i < BITS_FULL; i++) {
		uint64_t word = pa->descs[first + i].word;
		const char *wrong;

		if (!taken && bits_test(bits, i)) {
			if (t->covered)
				return "a page inside a block is free";
			if ((word & 7) != PAGE_NONE)
				return "a free page has an owner";
			t->free++;
			continue;
		}
		wrong = check_used_frame(first + i, word, t);
		if (wrong)
			return wrong;
	}
	return NULL;
}

static const char *check_open_block(const struct page_allocator *pa, const struct superblock *sb,
				    unsigned block, struct tally *t)
{
	const struct pageblock *info = block_info(sb, block);
	const uint64_t *bits = block_bits(sb, block);
	unsigned ones = 0;

	for (unsigned w = 0; w < BITS_WORDS; w++)
		ones += (unsigned)__builtin_popcountll(bits[w]);
	if (info->free != ones)
		return "a pageblock's free count is wrong";
	if (!summary_is_right(bits, info->runs))
		return "a pageblock's summary is wrong";
	if (info->block_class != runs_class(info->runs))
		return "a pageblock's class is wrong";
	if (bits_test(sb->taken, block)) {
		if (ones != BITS_FULL || bits_test(sb->spare, block))
			return "a taken pageblock's bitmap was touched";
	} else if (bits_test(sb->spare, block) != (info->block_class == CLASS_WHOLE)) {
		return "a wholly free pageblock is not spare, or a spare one not free";
	}
	for (unsigned c = 0; c < PARTIAL_LISTS; c++)
		if (bits_test(sb->class_map[c], block) != (info->block_class == c))
			return "a pageblock is in the set of another class";
	return check_frames(pa, sb, block, t);
}

static const char *check_fresh_block(const struct superblock *sb, unsigned block, struct tally *t)
{
	for (unsigned c = 0; c < PARTIAL_LISTS; c++)
		if (bits_test(sb->class_map[c], block))
			return "an untouched pageblock has a class";
	if (bits_test(sb->taken, block)) {
		if (bits_test(sb->spare, block))
			return "a pageblock is both taken and spare";
		if (t->covered < PAGEBLOCK_PAGES)
			return "an untouched pageblock is taken by nobody";
		t->covered -= PAGEBLOCK_PAGES;
		t->used += PAGEBLOCK_PAGES;
		return NULL;
	}
	if (t->covered)
		return "a block reaches into an untouched pageblock";
	if (bits_test(sb->spare, block))
		t->free += PAGEBLOCK_PAGES;
	return NULL;
}

static const char *check_undescribed(const struct superblock *sb, unsigned block,
				     const struct tally *t)
{
	if (t->covered)
		return "a block reaches into an undescribed pageblock";
	if (bits_test(sb->fresh, block) || bits_test(sb->spare, block) ||
	    bits_test(sb->taken, block))
		return "an undescribed pageblock is in use";
	for (unsigned c = 0; c < PARTIAL_LISTS; c++)
		if (bits_test(sb->class_map[c], block))
			return "an undescribed pageblock has a class";
	return NULL;
}

/* Is the superblock on this list of its zone? Follows the list: only for checking. */
static bool on_list(const struct page_allocator *pa, const struct superblock *sb, unsigned list)
{
	const struct page_free_set *zone = &pa->zones[sb->zone];
	unsigned slot = list < PARTIAL_LISTS ? list : PARTIAL_LISTS;
	uint32_t self = (uint32_t)(sb - pa->superblocks);

	if (!(zone->nonempty >> list & 1))
		return false;
	if (zone->head[list] == self)
		return sb->link[slot].prev == INDEX_NONE;
	return sb->link[slot].prev < pa->superblock_count &&
	       pa->superblocks[sb->link[slot].prev].link[slot].next == self;
}

static const char *check_lists_of(const struct page_allocator *pa, const struct superblock *sb)
{
	unsigned top = runs_class(sb->spare_runs);

	for (unsigned c = 0; c < PARTIAL_LISTS; c++) {
		unsigned words = 0;

		for (unsigned w = 0; w < BITS_WORDS; w++)
			words |= (unsigned)(sb->class_map[c][w] != 0) << w;
		if (words != sb->class_words[c])
			return "a class's set and its summary differ";
		if (words && !on_list(pa, sb, c))
			return "a superblock is missing from the list of a class";
	}
	if (!summary_is_right(sb->spare, sb->spare_runs))
		return "a superblock's summary is wrong";
	/* It may stand on too high a list, never on too low a one. */
	if (top != CLASS_NONE && (sb->top == CLASS_NONE || sb->top < top + CLASS_WHOLE))
		return "a superblock's largest run is wrong";
	if (sb->top != CLASS_NONE && !on_list(pa, sb, sb->top))
		return "a superblock is missing from the list of its largest run";
	return NULL;
}

static const char *check_superblock(const struct page_allocator *pa, const struct superblock *sb,
				    struct tally *t)
{
	for (unsigned block = 0; block < SUPERBLOCK_BLOCKS; block++) {
		const char *wrong;

		if (!bits_test(sb->described, block))
			wrong = check_undescribed(sb, block, t);
		else if (bits_test(sb->fresh, block))
			wrong = check_fresh_block(sb, block, t);
		else
			wrong = check_open_block(pa, sb, block, t);
		if (wrong)
			return wrong;
	}
	if (t->covered)
		return "a block leaves its superblock";
	return check_lists_of(pa, sb);
}

/* Every superblock on a list belongs there; the lists end. */
static const char *check_zone_lists(const struct page_allocator *pa, unsigned zone)
{
	const struct page_free_set *set = &pa->zones[zone];

	for (unsigned list = 0; list < PAGE_LISTS; list++) {
		unsigned slot = list < PARTIAL_LISTS ? list : PARTIAL_LISTS;
		uint32_t at = set->nonempty >> list & 1 ? set->head[list] : INDEX_NONE;
		uint32_t length = 0;

		for (; at != INDEX_NONE; at = pa->superblocks[at].link[slot].next) {
			const struct superblock *sb;

			if (at >= pa->superblock_count || ++length > pa->superblock_count ||
			    superblock_sleeps(pa, at))
				return "a zone's list does not end";
			sb = &pa->superblocks[at];
			if (sb->zone != zone)
				return "a zone's list holds another zone's superblock";
			if (list < PARTIAL_LISTS ? !sb->class_words[list] : sb->top != list)
				return "a zone's list holds a superblock that cannot serve it";
		}
	}
	return NULL;
}

/* One cached block: put the mark in its descriptor, or take it off again. */
static const char *mark_block(struct page_allocator *pa, uint64_t frame, unsigned order, bool on)
{
	const struct superblock *sb = superblock_find(pa, frame);
	uint64_t *word;

	if (!sb || frame_is_free(sb, frame))
		return "a cached page is free, or no RAM";
	word = &pa->descs[frame].word;
	if ((uint32_t)*word != (on ? PAGE_NONE : DESC_HEAD(order)))
		return "a cached page has an owner, or is cached twice";
	*word ^= DESC_HEAD(order);
	return NULL;
}

/* At most `blocks` cached blocks; `pages` counts what was visited, in all. */
static const char *mark_cached(struct page_allocator *pa, bool on, uint64_t *blocks,
			       uint64_t *pages)
{
	uint64_t most = *blocks;

	*blocks = 0;
	for (unsigned cpu = 0; cpu < pa->cpus; cpu++) {
		const struct page_cpu *pc = pa->caches[cpu];

		for (unsigned k = 0; pc && k < PAGE_CACHE_ORDERS; k++) {
			const pfn_t *frames = &pc->frames[page_cache_first(k)];

			if (pc->stack[k].count > page_cache_first(k + 1) - page_cache_first(k))
				return "a CPU's cache holds more than there is room for";
			for (uint64_t i = 0; i < pc->stack[k].count; i++) {
				const char *wrong;

				if (*blocks == most)
					return NULL;
				wrong = mark_block(pa, frames[i].n, k, on);
				if (wrong)
					return wrong;
				*blocks += 1;
				*pages += (uint64_t)1 << k;
			}
		}
	}
	return NULL;
}

static const char *check_locked(const struct page_allocator *pa, uint64_t cached)
{
	struct tally zone[PAGE_NODE_ZONES] = {0};
	const char *wrong;

	wrong = check_sleepers(pa);
	if (wrong)
		return wrong;
	for (uint32_t i = 0; i < pa->superblock_count; i++) {
		struct superblock *sb = &pa->superblocks[i];

		if (superblock_sleeps(pa, i))
			continue;
		wrong = check_superblock(pa, sb, &zone[sb->zone]);
		if (wrong)
			return wrong;
	}
	for (unsigned z = 0; z < pa->nodes * PAGE_ZONES; z++) {
		wrong = check_zone_lists(pa, z);
		if (wrong)
			return wrong;
		zone[z].free += (uint64_t)pa->zones[z].asleep << SUPERBLOCK_SHIFT;
		if (pa->zones[z].free != zone[z].free)
			return "a zone's free count is wrong";
		if (pa->zones[z].managed != zone[z].free + zone[z].used)
			return "managed pages are not free + used";
		cached -= zone[z].cached;
	}
	return cached ? "a block without owners" : NULL;
}

const char *page_check(struct page_allocator *pa)
{
	uint64_t blocks = ~(uint64_t)0, pages = 0;
	const char *wrong;
	port_irq_t irq;

	irq = page_close(pa);
	page_settle(pa);
	wrong = samples_mark(pa, true);
	if (!wrong)
		wrong = mark_cached(pa, true, &blocks, &pages);
	if (!wrong)
		wrong = check_locked(pa, pages + pa->sample_count);
	(void)samples_mark(pa, false);
	(void)mark_cached(pa, false, &blocks, &pages);
	page_open_locked(pa);
	spin_unlock(&pa->lock, irq);
	return wrong;
}
