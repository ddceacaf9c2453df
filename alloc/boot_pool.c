/* SPDX-License-Identifier: MIT */
/*
 * An upper bound of what the kernel takes from the boot pool, so that the
 * loader can reserve it while the firmware still can.
 *
 * Per unit of address space that holds ...                               pages
 *   described RAM    a GiB       superblock header (at most 4 KiB)           1
 *                                block bitmaps (512 x 64 bytes)              8
 *                                block records (512 x 16 bytes)              2
 *                                page table of the descriptor window         1
 *                    512 GiB     page directory of the window                1
 *                    256 TiB     page directory pointer table of the window  1
 *   mapped memory    a GiB       page directory of the direct map            1
 *                    512 GiB     page directory pointer table                1
 *                    2 MiB       page table, where RAM ends or begins        1
 *                                (in at most 2 for each firmware map entry)
 *   below the top of described RAM, a GiB: 4 bytes of superblock index
 *   a firmware map entry: 512 bytes of tables (core/memory.c: it and its pieces, twice as
 *   many regions, all regions a second time for RAM)
 *   once: PML4, the window's shared zero tables (4), slack (64)
 *
 * The direct map is counted in 2 MiB pages, as if the CPU had none of 1 GiB.
 * Mapped is everything below the top of described RAM that may be memory: a
 * region does not tell whether reserved address space has RAM behind it, or
 * where in it RAM begins.
 * The slack pays for rounding, for a final map with more entries than this
 * one, and for the kernel's own mappings (image, stacks, devices).
 * The time depends on the number of regions only. Lock: none.
 */
#include <quire/desc_plan.h>

#define SHIFT_1G   SUPERBLOCK_SHIFT /* from frames to GiB */
#define SHIFT_512G 27
#define SHIFT_256T 36

#define SUPERBLOCK_HEADER_PAGES 1
#define BITMAP_PAGES            8
#define BLOCK_RECORD_PAGES      2
#define INDEX_ENTRY_BYTES       4
#define ENTRY_TABLE_BYTES       512
#define FIXED_PAGES             (1 + 4 + 64)

/* Counts the 2^shift-frame units that regions, given in ascending order, lie in. */
struct touched {
	unsigned shift;
	uint64_t units;
	uint64_t next; /* all units below this one have been counted */
};

static void touch(struct touched *t, const struct region *r)
{
	uint64_t first = r->start.n >> t->shift;
	uint64_t last = (region_end(r) - 1) >> t->shift;

	if (first < t->next)
		first = t->next;
	if (last >= first) {
		t->units += last - first + 1;
		t->next = last + 1;
	}
}

static bool may_be_mapped(const struct region *r)
{
	return r->kind != REGION_MMIO && r->kind != REGION_PERSISTENT;
}

/* How many regions lie below or at the highest one to be described. */
static size_t described_prefix(const struct region *regions, size_t count)
{
	while (count > 0 && !region_is_managed(&regions[count - 1]))
		count--;
	return count;
}

uint64_t boot_pool_pages(const struct region *regions, size_t count, size_t entries)
{
	struct touched block_gib = {.shift = SHIFT_1G}, block_512g = {.shift = SHIFT_512G};
	struct touched block_256t = {.shift = SHIFT_256T};
	struct touched map_gib = {.shift = SHIFT_1G}, map_512g = {.shift = SHIFT_512G};
	struct touched map_blocks = {.shift = PAGEBLOCK_SHIFT};
	size_t below_top = described_prefix(regions, count);
	uint64_t pages = FIXED_PAGES, table_bytes = entries * ENTRY_TABLE_BYTES;

	for (size_t i = 0; i < below_top; i++) {
		if (region_is_managed(&regions[i])) {
			touch(&block_gib, &regions[i]);
			touch(&block_512g, &regions[i]);
			touch(&block_256t, &regions[i]);
		}
		if (may_be_mapped(&regions[i])) {
			touch(&map_gib, &regions[i]);
			touch(&map_512g, &regions[i]);
			touch(&map_blocks, &regions[i]);
		}
	}
	/* After the loop, `next` is one past the highest GiB described. */
	table_bytes += block_gib.next * INDEX_ENTRY_BYTES;
	pages +=
		block_gib.units * (SUPERBLOCK_HEADER_PAGES + BITMAP_PAGES + BLOCK_RECORD_PAGES + 1);
	pages += block_512g.units + block_256t.units;
	pages += map_gib.units + map_512g.units;
	pages += map_blocks.units < 2 * entries ? map_blocks.units : 2 * entries;
	return pages + bytes_to_pages(table_bytes);
}
