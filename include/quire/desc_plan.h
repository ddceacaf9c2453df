/* SPDX-License-Identifier: MIT */
/*
 * The seed problem: the page allocator needs a descriptor for every page, and
 * memory for the descriptors before there is an allocator. The plan sizes the
 * array from the regions and finds its place. The loader carries it out, the
 * kernel reads it back, memplan prints it.
 *
 * The array is virtually indexed by pfn and backed a pageblock at a time: the
 * 512 descriptors (8 bytes each) of one 2 MiB pageblock fill exactly one page.
 * A pageblock is described when it holds at least one usable or reclaimable
 * page. Where pages are so sparse that this would cost more than 9 bytes a
 * usable or reclaimable page, the emptiest pageblocks are left undescribed
 * until it does not; their pages stay unused, and are counted.
 *
 *   pages * 4096 <= max(9 * (usable + reclaimable pages), 4096)
 */
#ifndef QUIRE_DESC_PLAN_H
#define QUIRE_DESC_PLAN_H

#include <quire/region.h>

struct desc_plan {
	pfn_t start;          /* where the array goes */
	uint64_t pages;       /* its length >= number of described pageblocks (= from make) */
	uint64_t page_count;  /* usable + reclaimable pages in the map */
	uint64_t undescribed; /* of those, pages left out as too sparse */
	/*
	 * Which pageblocks are described: those with more than `floor` usable or
	 * reclaimable pages, and of those with exactly `floor` the `at_floor` lowest ones.
	 */
	uint32_t floor;
	uint64_t at_floor;
};

/*
 * Plan for `regions` (normal form). The place is the lowest usable region, from
 * 1 MiB up, that holds the whole array; its first page is the array's.
 * Returns 0; -ENOENT when nothing is usable; -ENOSPC when no region holds it
 * (`plan->pages` is set all the same, to tell how much was wanted).
 */
must_check int desc_plan_make(const struct region *regions, size_t count, struct desc_plan *plan);

/*
 * The firmware refused plan->start: move on to the next place that fits and
 * shares no page with that one, at a higher address. 0 or -ENOSPC. Sizes do not change.
 */
must_check int desc_plan_next(const struct region *regions, size_t count, struct desc_plan *plan);

/*
 * The kernel's side: the array has `pages` already; decide floor and at_floor
 * so that the (possibly changed) final map fits. Never fails; 0 pages describe nothing.
 * Leaves `start` alone.
 */
void desc_plan_fit(const struct region *regions, size_t count, uint64_t pages,
		   struct desc_plan *plan);

/* One described pageblock and how many usable or reclaimable pages it holds. */
struct desc_block {
	uint64_t block; /* pageblock number = pfn / 512 */
	uint64_t run; /* so many consecutive pageblocks, all alike; the next run may be alike too */
	uint32_t pages; /* usable or reclaimable pages in each */
};

/*
 * Walk the described pageblocks in address order, as runs: O(regions), not O(RAM).
 * Zero-initialise the cursor; returns false at the end.
 */
struct desc_cursor {
	size_t region;
	uint64_t block;
	uint64_t at_floor_used;
};
bool desc_plan_walk(const struct region *regions, size_t count, const struct desc_plan *plan,
		    struct desc_cursor *cursor, struct desc_block *out);

/*
 * Upper bound, in pages, of what the kernel takes from the boot pool for a map
 * of `entries` firmware descriptors that make these regions: superblock
 * headers, block bitmaps, page tables for the direct map (without 1 GiB pages)
 * and for the descriptor window, the kernel's own tables of entries and
 * regions. O(count). The formula is in alloc/boot_pool.c.
 */
uint64_t boot_pool_pages(const struct region *regions, size_t count, size_t entries);

#endif
