/* SPDX-License-Identifier: MIT */
/*
 * The page allocator at boot: building the books, then handing frames over.
 *
 * Nothing here is proportional to RAM, but for two bits a GiB: a GiB that is RAM
 * from end to end sleeps until it is needed (page_sleep.c). The others have their
 * superblock built; a pageblock handed over whole
 * stays fresh: one bit in `spare` says that all 512 frames are free, and its
 * bitmap and descriptors wait for their first use. Only pageblocks handed over
 * in parts, at most two a region, are opened:
 *
 *   pageblocks   |   fresh   |   fresh   |   opened   |   opened   |   fresh   |
 *   added        |<-------- region ----------->|   |<------- region --------->|
 *   frames        free ...                free  rrrr free  ...               free     r = RESERVED
 *
 * A frame in an opened pageblock that was never added has a RESERVED descriptor.
 *   managed = frames added
 * Lock: page_init() none, nobody else has the allocator yet; page_add() pa->lock.
 */
#include "page_internal.h"
#include <quire/errno.h>

#define DMA32_SUPERS  4 /* GiB */
#define CACHE_LINE    64u
#define NO_SUPERBLOCK (~(uint64_t)0)

/* Described pageblocks that lie side by side: in one superblock, or a stretch of whole ones. */
struct piece {
	uint64_t super;        /* number of its (first) superblock, see below */
	uint64_t gibs;         /* whole superblocks, alike in node and zone; 0: part of one */
	unsigned first, count; /* part of one: which pageblocks */
};

struct pieces {
	const struct page_config *config;
	struct desc_cursor cursor;
	struct desc_block run; /* what is left of it */
	struct node_cursor nodes;
};

/* Pageblock 0 is superblock 0; GiB n is superblock n + 1. */
static uint64_t super_number(uint64_t block)
{
	return block ? block / SUPERBLOCK_BLOCKS + 1 : 0;
}

/* So many GiBs from pageblock `block` on are wholly described, and alike. */
static uint64_t piece_gibs(struct pieces *p)
{
	uint64_t gib = p->run.block / SUPERBLOCK_BLOCKS, gibs = p->run.run / SUPERBLOCK_BLOCKS;
	uint64_t first = gib << SUPERBLOCK_SHIFT;

	if (p->run.block % SUPERBLOCK_BLOCKS || !gib || !gibs)
		return 0;
	if (gib < DMA32_SUPERS && gibs > DMA32_SUPERS - gib)
		gibs = DMA32_SUPERS - gib;
	(void)node_of_frames(&p->nodes, first, SUPERBLOCK_PAGES);
	return node_like_gibs(&p->nodes, first, gibs);
}

static bool piece_next(struct pieces *p, struct piece *out)
{
	uint64_t room;

	if (!p->run.run && !desc_plan_walk(p->config->regions, p->config->region_count,
					   &p->config->plan, &p->cursor, &p->run))
		return false;
	out->super = super_number(p->run.block);
	out->gibs = piece_gibs(p);
	if (out->gibs) {
		p->run.block += out->gibs * SUPERBLOCK_BLOCKS;
		p->run.run -= out->gibs * SUPERBLOCK_BLOCKS;
		return true;
	}
	out->first = (unsigned)(p->run.block % SUPERBLOCK_BLOCKS);
	room = p->run.block ? SUPERBLOCK_BLOCKS - out->first : 1;
	out->count = (unsigned)(p->run.run < room ? p->run.run : room);
	p->run.block += out->count;
	p->run.run -= out->count;
	return true;
}

/* How much there will be of everything. */
struct sizes {
	uint64_t superblocks, stretches;
	uint64_t span;    /* pageblocks from the first to the last described one of each, summed */
	uint64_t entries; /* of the index */
};

static void measure(const struct page_config *config, struct sizes *out)
{
	struct pieces pieces = {.config = config, .nodes.nodes = config->nodes};
	struct piece piece;
	uint64_t super = NO_SUPERBLOCK, end = 0;

	*out = (struct sizes){0};
	while (piece_next(&pieces, &piece)) {
		if (piece.gibs) {
			out->superblocks += piece.gibs;
			out->span += piece.gibs * SUPERBLOCK_BLOCKS;
			out->stretches++;
			out->entries = piece.super + piece.gibs - 1;
			continue;
		}
		if (piece.super != super) {
			super = piece.super;
			end = piece.first;
			out->superblocks++;
		}
		out->span += piece.first + piece.count - end;
		end = piece.first + piece.count;
		out->entries = super ? super : 1;
	}
}

static void *take_bytes(struct page_allocator *pa, void *(*source)(size_t), uint64_t bytes)
{
	char *memory = source((size_t)bytes + CACHE_LINE - 1);

	if (!memory)
		return NULL;
	pa->metadata_bytes += bytes + CACHE_LINE - 1;
	return (void *)(uintptr_t)align_up((uintptr_t)memory, CACHE_LINE);
}

/* The zone of a superblock and of those in the same piece. */
static uint8_t super_zone(struct node_cursor *nodes, uint64_t super)
{
	uint64_t gib = super ? super - 1 : 0;
	uint64_t pages = super ? SUPERBLOCK_PAGES : PAGEBLOCK_PAGES;
	unsigned zone = node_of_frames(nodes, gib << SUPERBLOCK_SHIFT, pages) * PAGE_ZONES;

	if (!super)
		return (uint8_t)(zone + PAGE_ZONE_LOW);
	return (uint8_t)(zone + (gib < DMA32_SUPERS ? PAGE_ZONE_DMA32 : PAGE_ZONE_NORMAL));
}

static struct superblock *superblock_start(struct page_allocator *pa, uint64_t super,
					   struct node_cursor *nodes)
{
	struct superblock *sb = &pa->superblocks[pa->superblock_count++];
	uint64_t gib = super ? super - 1 : 0;

	*sb = (struct superblock){
		.first_frame = gib << SUPERBLOCK_SHIFT,
		.rank = pa->desc_frames_used,
		.top = CLASS_NONE,
		.zone = super_zone(nodes, super),
	};
	if (super)
		pa->superblock_of[gib] = pa->superblock_count;
	else
		pa->low_superblock = 1;
	node_add_superblocks(nodes, sb->zone, sb->first_frame, sb->first_frame + SUPERBLOCK_PAGES);
	return sb;
}

static void stretch_start(struct page_allocator *pa, const struct piece *piece,
			  struct node_cursor *nodes, uintptr_t bitmaps, uintptr_t blocks)
{
	struct stretch *s = &pa->stretches[pa->stretch_count++];
	uint64_t gib = piece->super - 1;

	*s = (struct stretch){
		.gib = gib,
		.first = pa->superblock_count,
		.count = (uint32_t)piece->gibs,
		.next = (uint32_t)piece->gibs,
		.zone = super_zone(nodes, piece->super),
		.rank = pa->desc_frames_used,
		.bitmaps = bitmaps,
		.blocks = blocks,
	};
	stretch_put_to_sleep(pa, s);
	node_add_superblocks(nodes, s->zone, gib << SUPERBLOCK_SHIFT,
			     (gib + piece->gibs) << SUPERBLOCK_SHIFT);
	pa->superblock_count += s->count;
	pa->desc_frames_used += piece->gibs * SUPERBLOCK_BLOCKS;
}

/* Fill in the superblocks; bitmaps and block records are dealt out in address order. */
static void lay_out(struct page_allocator *pa, const struct page_config *config, uintptr_t bitmaps,
		    uintptr_t blocks)
{
	struct pieces pieces = {.config = config, .nodes.nodes = config->nodes};
	struct piece piece;
	struct superblock *sb = NULL;
	uint64_t super = NO_SUPERBLOCK;
	uint64_t span = 0; /* pageblocks dealt out so far */
	unsigned end = 0;

	while (piece_next(&pieces, &piece)) {
		if (piece.gibs) {
			stretch_start(pa, &piece, &pieces.nodes, bitmaps + span * BITMAP_BYTES,
				      blocks + span * sizeof(struct pageblock));
			span += piece.gibs * SUPERBLOCK_BLOCKS;
			continue;
		}
		if (piece.super != super) {
			super = piece.super;
			sb = superblock_start(pa, super, &pieces.nodes);
			end = piece.first;
			sb->bitmaps = bitmaps + (uintptr_t)(span - end) * BITMAP_BYTES;
			sb->blocks = blocks + (uintptr_t)(span - end) * sizeof(struct pageblock);
		}
		span += piece.first + piece.count - end;
		end = piece.first + piece.count;
		bits_set_plain(sb->described, piece.first, piece.count);
		bits_set_plain(sb->fresh, piece.first, piece.count);
		pa->desc_frames_used += piece.count;
	}
	nodes_rank(pa, &pieces.nodes);
}

int page_init(struct page_allocator *pa, const struct page_config *config)
{
	void *(*raw)(size_t) = config->boot_alloc_raw ? config->boot_alloc_raw : config->boot_alloc;
	struct sizes sizes;
	uint64_t bitmap;
	void *bitmaps, *blocks, *cache;

	*pa = (struct page_allocator){
		.descs = config->descs,
		.pfn_limit = align_up(config->pfn_limit, PAGEBLOCK_PAGES),
		.desc_frames = config->plan.start,
		.lock = SPINLOCK_INIT(LOCK_RANK_PAGES),
	};
	for (unsigned cpu = 0; cpu < PORT_CPUS_MAX; cpu++)
		pa->cpu[cpu] = &page_cpu_closed;
	measure(config, &sizes);
	pa->index_entries = sizes.entries;
	pa->superblock_of =
		take_bytes(pa, config->boot_alloc, sizes.entries * sizeof(*pa->superblock_of));
	pa->superblocks = take_bytes(pa, raw, sizes.superblocks * sizeof(*pa->superblocks));
	pa->stretches =
		take_bytes(pa, config->boot_alloc, sizes.stretches * sizeof(*pa->stretches));
	bitmap = (sizes.superblocks + 63) / 64 * sizeof(uint64_t);
	pa->asleep = take_bytes(pa, config->boot_alloc, bitmap);
	pa->given = take_bytes(pa, config->boot_alloc, bitmap);
	bitmaps = take_bytes(pa, raw, sizes.span * BITMAP_BYTES);
	blocks = take_bytes(pa, raw, sizes.span * sizeof(struct pageblock));
	cache = take_bytes(pa, config->boot_alloc, sizeof(struct page_cpu));
	/* What was taken stays taken: the boot ends here anyway. */
	if (!pa->superblock_of || !pa->superblocks || !pa->stretches || !pa->asleep || !pa->given)
		return -ENOMEM;
	if (!bitmaps || !blocks || !cache)
		return -ENOMEM;
	lay_out(pa, config, (uintptr_t)bitmaps, (uintptr_t)blocks);
	page_cpu_start(pa, 0, cache);
	return 0;
}

noreturn_fn cold_fn static void added_twice(const struct superblock *sb, unsigned block)
{
	port_panic("page_add: pages at %#llx handed over twice",
		   (unsigned long long)(block_frame(sb, block) << PAGE_SHIFT));
}

/* Open a pageblock none of whose frames was added yet: nothing free, all RESERVED. */
static void block_open_reserved(struct page_allocator *pa, struct superblock *sb, unsigned block)
{
	struct pageblock *info = block_info(sb, block);
	struct page *descs = &pa->descs[block_frame(sb, block)];

	block_open(pa, sb, block);
	bits_clear(block_bits(sb, block), &info->runs, 0, BITS_FULL);
	info->free = 0;
	info->block_class = CLASS_NONE;
	for (unsigned i = 0; i < PAGEBLOCK_PAGES; i++)
		descs[i].word = PAGE_RESERVED;
}

/* Add `n` frames from `at` on in one pageblock. */
static unsigned block_add(struct page_allocator *pa, struct superblock *sb, unsigned block,
			  unsigned at, unsigned n)
{
	struct page *descs = &pa->descs[block_frame(sb, block) + at];
	struct pageblock *info = block_info(sb, block);

	if (!bits_test(sb->described, block))
		return 0;
	if (bits_test(sb->fresh, block)) {
		if (bits_test(sb->spare, block) || bits_test(sb->taken, block))
			added_twice(sb, block);
		block_open_reserved(pa, sb, block);
	}
	for (unsigned i = 0; i < n; i++) {
		if (descs[i].word != PAGE_RESERVED)
			added_twice(sb, block);
		descs[i].word = PAGE_NONE;
	}
	bits_set(block_bits(sb, block), &info->runs, at, n);
	info->free = (uint16_t)(info->free + n);
	block_reclass(pa, sb, block);
	return n;
}

/* Add `count` whole pageblocks: the untouched ones a word at a time. */
static uint64_t blocks_add(struct page_allocator *pa, struct superblock *sb, unsigned block,
			   unsigned count)
{
	uint64_t pages = 0;

	while (count) {
		unsigned word = block / 64, room = 64 - block % 64, m = count < room ? count : room;
		uint64_t wanted = bits_mask(block % 64, m) & sb->described[word];
		uint64_t untouched = wanted & sb->fresh[word] & ~sb->spare[word] & ~sb->taken[word];
		uint64_t others = wanted & ~untouched;

		bits_store(sb->spare, &sb->spare_runs, word, sb->spare[word] | untouched);
		pages += (uint64_t)__builtin_popcountll(untouched) * PAGEBLOCK_PAGES;
		for (; others; others &= others - 1)
			pages += block_add(pa, sb, word * 64 + bits_lowest(others), 0, BITS_FULL);
		block += m;
		count -= m;
	}
	superblock_raise(pa, sb);
	return pages;
}

static uint64_t superblock_add(struct page_allocator *pa, struct superblock *sb, unsigned offset,
			       unsigned pages)
{
	unsigned end = offset + pages, added = 0;
	uint64_t whole = 0;

	if (offset % PAGEBLOCK_PAGES) {
		unsigned room = (unsigned)(PAGEBLOCK_PAGES - offset % PAGEBLOCK_PAGES);
		unsigned n = pages < room ? pages : room;

		added += block_add(pa, sb, frame_block(offset), offset % PAGEBLOCK_PAGES, n);
		offset += n;
	}
	if (end - offset >= PAGEBLOCK_PAGES) {
		unsigned count = (unsigned)((end - offset) / PAGEBLOCK_PAGES);

		whole = blocks_add(pa, sb, frame_block(offset), count);
		offset += count * (unsigned)PAGEBLOCK_PAGES;
	}
	if (offset < end)
		added += block_add(pa, sb, frame_block(offset), 0, end - offset);
	pa->zones[sb->zone].managed += added + whole;
	pa->zones[sb->zone].free += added + whole;
	return added + whole;
}

uint64_t page_add(struct page_allocator *pa, pfn_t start, uint64_t pages)
{
	uint64_t frame = start.n, end, added = 0;
	port_irq_t irq;

	if (frame >= pa->pfn_limit)
		return 0;
	end = pages < pa->pfn_limit - frame ? frame + pages : pa->pfn_limit;
	if (frame == 0)
		frame = 1;
	irq = spin_lock(&pa->lock);
	while (frame < end) {
		uint64_t gib = frame >> SUPERBLOCK_SHIFT;
		uint64_t stop =
			frame < PAGEBLOCK_PAGES ? PAGEBLOCK_PAGES : (gib + 1) << SUPERBLOCK_SHIFT;
		uint64_t whole = sleepers_add(pa, frame, end);
		struct superblock *sb;

		if (whole) {
			added += whole;
			frame += whole;
			continue;
		}
		if (stop > end)
			stop = end;
		sb = superblock_for(pa, frame);
		if (sb)
			added += superblock_add(pa, sb, (unsigned)(frame % SUPERBLOCK_PAGES),
						(unsigned)(stop - frame));
		frame = stop;
	}
	page_cpu_limits(pa);
	spin_unlock(&pa->lock, irq);
	return added;
}
