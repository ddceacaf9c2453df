/* SPDX-License-Identifier: MIT */
/*
 * Superblocks nobody has touched yet: they sleep, and cost nothing.
 *
 * A GiB that is described from end to end has nothing to remember but whether it was
 * handed over. As many of them as lie side by side are one stretch:
 *
 *   stretch     gib 4 ─────────────────────────────────────────────────► gib 2047
 *   asleep      0 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 …  1 1 1 1        a bit a superblock
 *   given       0 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 …  1 1 0 0        handed over: free
 *               ▲ woken: its header exists, the sets and lists know it
 *
 *   asleep(s)  =>  its header was never written, superblock_of has no entry for it,
 *                  all or nothing of it is free: given(s) says which
 *   given(s)   =>  asleep(s)
 *   zone.asleep  = superblocks of the zone that are asleep and given
 *
 * So building the books and handing frames over costs two bits a GiB. A superblock
 * wakes when its zone has nothing else that could serve, lowest address
 * first, or when somebody asks about one of its frames.
 *
 * Lock: pa->lock; page_init() none.
 */
#include "page_internal.h"
#include <quire/assert.h>

static bool bit(const uint64_t *bits, uint64_t at)
{
	return bits[at / 64] >> (at % 64) & 1;
}

/* The bits of one word of a bitmap that lie in [at, end). */
static uint64_t bits_up_to(uint64_t at, uint64_t end)
{
	uint64_t room = 64 - at % 64, left = end - at;

	return bits_mask((unsigned)(at % 64), (unsigned)(left < room ? left : room));
}

void stretch_put_to_sleep(struct page_allocator *pa, const struct stretch *s)
{
	uint64_t at = s->first, end = at + s->count;

	for (; at < end; at = align_down(at, 64) + 64)
		pa->asleep[at / 64] |= bits_up_to(at, end);
}

/* The stretch that a GiB is in, awake or not; NULL for none. Binary search. */
static struct stretch *stretch_of(const struct page_allocator *pa, uint64_t gib)
{
	uint32_t low = 0, high = pa->stretch_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		struct stretch *s = &pa->stretches[middle];

		if (gib < s->gib)
			high = middle;
		else if (gib - s->gib >= s->count)
			low = middle + 1;
		else
			return s;
	}
	return NULL;
}

/* A header as page_init() and page_add() would have left it. */
static struct superblock *wake(struct page_allocator *pa, const struct stretch *s, uint32_t index)
{
	struct superblock *sb = &pa->superblocks[index];
	uint64_t nth = index - s->first;
	bool given = bit(pa->given, index);

	*sb = (struct superblock){
		.first_frame = (s->gib + nth) << SUPERBLOCK_SHIFT,
		.bitmaps = s->bitmaps + nth * SUPERBLOCK_BLOCKS * BITMAP_BYTES,
		.blocks = s->blocks + nth * SUPERBLOCK_BLOCKS * sizeof(struct pageblock),
		.rank = s->rank + nth * SUPERBLOCK_BLOCKS,
		.zone = s->zone,
		.top = CLASS_NONE,
	};
	bits_set_plain(sb->described, 0, BITS_FULL);
	bits_set_plain(sb->fresh, 0, BITS_FULL);
	pa->superblock_of[s->gib + nth] = index + 1;
	/* Who walks all superblocks without the lock sees its header from now on. */
	__atomic_fetch_and(&pa->asleep[index / 64], ~((uint64_t)1 << index % 64), __ATOMIC_RELEASE);
	pa->given[index / 64] &= ~((uint64_t)1 << index % 64);
	if (given) {
		bits_set_plain(sb->spare, 0, BITS_FULL);
		sb->spare_runs = RUNS_ALL_FREE;
		pa->zones[s->zone].asleep--;
		superblock_raise(pa, sb);
	}
	return sb;
}

struct superblock *superblock_for(struct page_allocator *pa, uint64_t frame)
{
	uint64_t gib = frame >> SUPERBLOCK_SHIFT;
	const struct stretch *s;
	uint32_t index;

	if (frame < PAGEBLOCK_PAGES)
		return pa->low_superblock ? &pa->superblocks[pa->low_superblock - 1] : NULL;
	if (gib >= pa->index_entries)
		return NULL;
	if (likely(pa->superblock_of[gib]))
		return &pa->superblocks[pa->superblock_of[gib] - 1];
	s = stretch_of(pa, gib);
	if (!s)
		return NULL;
	index = s->first + (uint32_t)(gib - s->gib);
	assert(bit(pa->asleep, index));
	return wake(pa, s, index);
}

/* The lowest of a stretch that is free; s->count when none is. */
static uint32_t first_given(const struct page_allocator *pa, struct stretch *s)
{
	uint64_t at = s->first + s->next, end = (uint64_t)s->first + s->count;

	for (; at < end; at = align_down(at, 64) + 64) {
		uint64_t some = pa->given[at / 64] & bits_up_to(at, end);

		if (some) {
			s->next = (uint32_t)(align_down(at, 64) + bits_lowest(some) - s->first);
			return s->next;
		}
	}
	s->next = s->count;
	return s->next;
}

bool superblock_wake_in(struct page_allocator *pa, unsigned zone)
{
	if (!pa->zones[zone].asleep)
		return false;
	for (uint32_t i = 0; i < pa->stretch_count; i++) {
		struct stretch *s = &pa->stretches[i];

		if (s->zone == zone && first_given(pa, s) < s->count) {
			(void)wake(pa, s, s->first + s->next);
			return true;
		}
	}
	port_panic("page allocator: %u superblocks of zone %u asleep, none found",
		   pa->zones[zone].asleep, zone);
}

uint64_t sleepers_add(struct page_allocator *pa, uint64_t frame, uint64_t end)
{
	uint64_t gib = frame >> SUPERBLOCK_SHIFT, count, at, stop;
	struct stretch *s = stretch_of(pa, gib);
	uint32_t first;

	if (!s || frame % SUPERBLOCK_PAGES || end - frame < SUPERBLOCK_PAGES)
		return 0;
	count = (end - frame) >> SUPERBLOCK_SHIFT;
	if (count > s->gib + s->count - gib)
		count = s->gib + s->count - gib;
	first = s->first + (uint32_t)(gib - s->gib);
	stop = first + count;
	for (at = first; at < stop; at = align_down(at, 64) + 64) {
		uint64_t mask = bits_up_to(at, stop);

		/* Awake, or handed over before: not here, one at a time. */
		if (mask & ~(pa->asleep[at / 64] & ~pa->given[at / 64]))
			break;
		pa->given[at / 64] |= mask;
	}
	count = (at < stop ? at : stop) - first;
	if (first - s->first < s->next)
		s->next = first - s->first;
	pa->zones[s->zone].asleep += (uint32_t)count;
	pa->zones[s->zone].managed += count << SUPERBLOCK_SHIFT;
	pa->zones[s->zone].free += count << SUPERBLOCK_SHIFT;
	return count << SUPERBLOCK_SHIFT;
}

bool superblock_sleeps(const struct page_allocator *pa, uint32_t index)
{
	return __atomic_load_n(&pa->asleep[index / 64], __ATOMIC_ACQUIRE) >> index % 64 & 1;
}

struct sleepers stretch_sleepers(const struct page_allocator *pa, const struct stretch *s)
{
	uint64_t end = (uint64_t)s->first + s->count;
	struct sleepers n = {0};

	for (uint64_t at = s->first; at < end; at = align_down(at, 64) + 64) {
		uint64_t mask = bits_up_to(at, end);

		n.all += (uint64_t)__builtin_popcountll(pa->asleep[at / 64] & mask);
		n.given += (uint64_t)__builtin_popcountll(pa->given[at / 64] & mask);
	}
	return n;
}

const char *check_sleepers(const struct page_allocator *pa)
{
	uint64_t given[PAGE_NODE_ZONES] = {0}, asleep = 0, indexed = 0;

	for (uint32_t i = 0; i < pa->stretch_count; i++) {
		const struct stretch *s = &pa->stretches[i];
		struct sleepers n = stretch_sleepers(pa, s);

		asleep += n.all;
		given[s->zone] += n.given;
	}
	for (uint32_t w = 0; w < (pa->superblock_count + 63) / 64; w++)
		if (pa->given[w] & ~pa->asleep[w])
			return "a superblock is awake and counted asleep";
	for (uint64_t gib = 0; gib < pa->index_entries; gib++)
		indexed += pa->superblock_of[gib] != 0;
	if (indexed + asleep + (pa->low_superblock != 0) != pa->superblock_count)
		return "a superblock is neither awake nor asleep";
	for (unsigned z = 0; z < pa->nodes * PAGE_ZONES; z++)
		if (given[z] != pa->zones[z].asleep)
			return "a zone's count of sleeping superblocks is wrong";
	return NULL;
}
