/* SPDX-License-Identifier: MIT */
/*
 * How large the page descriptor array is, which pageblocks it describes, and
 * where it goes.
 *
 *   frames     |<- pageblock 0 ->|<- pageblock 1 ->|   a hole   |<- pageblock n ->|
 *   map          uuuuuuu  rrrrrrr uuuuuuuuuuuuuuuuu               rr       rr
 *                       \_______________ \ ___________________________/
 *   array                |  page 0  |  page 1  |  page 2  |   512 descriptors each
 *
 * Invariants (u, r: usable and reclaimable pages of the map; B(b): how many of
 * them lie in pageblock b):
 *   pages = #{b : B(b) > floor} + at_floor,  at_floor <= #{b : B(b) = floor}
 *   pages * 4096 <= max(9 * (u + r), 4096)
 *   undescribed = u + r - sum of B over the described pageblocks
 * Everything is computed from runs of equal pageblocks, so that the time
 * depends on the number of regions and never on the amount of RAM.
 * Lock: none. The code touches nothing but its arguments.
 */
#include <quire/desc_plan.h>
#include <quire/errno.h>

/* What the array may cost, per usable or reclaimable page. Eight bytes is a descriptor; a ninth
 * pays for pageblocks that RAM does not fill. */
#define BYTES_PER_PAGE_MAX 9

/* Below 1 MiB live the trampoline of other CPUs, the BIOS data area, and surprises. */
#define PLACE_MIN ((1ull << 20) >> PAGE_SHIFT)

static uint64_t managed_pages(const struct region *regions, size_t count)
{
	return region_pages(regions, count, REGION_USABLE) +
	       region_pages(regions, count, REGION_RECLAIMABLE);
}

/* Managed pages in pageblock `block`, to which regions[i] is the first to reach. */
static uint32_t block_pages(const struct region *regions, size_t count, size_t i, uint64_t block)
{
	uint64_t start = block << PAGEBLOCK_SHIFT, end = start + PAGEBLOCK_PAGES;
	uint64_t pages = 0;

	for (; i < count && regions[i].start.n < end; i++) {
		if (region_is_managed(&regions[i]))
			pages += region_overlap_pages(&regions[i], 1, pfn(start), PAGEBLOCK_PAGES);
	}
	return (uint32_t)pages;
}

/*
 * The next run of pageblocks with managed pages, described or not. A pageblock
 * is either wholly inside one region (then so are its neighbours: one run) or
 * shared by several, which are added up (a run of one).
 */
static bool next_run(const struct region *regions, size_t count, struct desc_cursor *cursor,
		     struct desc_block *out)
{
	const struct region *r;
	uint64_t first, end;

	while (cursor->region < count &&
	       (!region_is_managed(&regions[cursor->region]) ||
		region_end(&regions[cursor->region]) <= cursor->block << PAGEBLOCK_SHIFT))
		cursor->region++;
	if (cursor->region == count)
		return false;

	r = &regions[cursor->region];
	first = r->start.n >> PAGEBLOCK_SHIFT;
	if (first < cursor->block)
		first = cursor->block;
	end = region_end(r) >> PAGEBLOCK_SHIFT;
	out->block = first;
	if (r->start.n <= first << PAGEBLOCK_SHIFT && first < end) {
		out->run = end - first;
		out->pages = PAGEBLOCK_PAGES;
	} else {
		out->run = 1;
		out->pages = block_pages(regions, count, cursor->region, first);
	}
	cursor->block = first + out->run;
	return true;
}

/* Pageblocks with more than `floor` managed pages; how many pages lie in them goes to `*pages`. */
static uint64_t blocks_above(const struct region *regions, size_t count, uint32_t floor,
			     uint64_t *pages)
{
	struct desc_cursor cursor = {0};
	struct desc_block run;
	uint64_t blocks = 0;

	*pages = 0;
	while (next_run(regions, count, &cursor, &run)) {
		if (run.pages > floor) {
			blocks += run.run;
			*pages += run.run * run.pages;
		}
	}
	return blocks;
}

/*
 * Choose the fullest pageblocks so that at most `budget` are described: the
 * lowest floor that leaves few enough above it, by bisection. Returns how many
 * are described.
 */
static uint64_t choose_floor(const struct region *regions, size_t count, uint64_t budget,
			     struct desc_plan *plan)
{
	uint32_t low = 0, high = PAGEBLOCK_PAGES; /* none has more than 512 pages: high fits */
	uint64_t pages, above;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (blocks_above(regions, count, middle, &pages) <= budget)
			high = middle;
		else
			low = middle + 1;
	}
	above = blocks_above(regions, count, low, &pages);
	plan->floor = low;
	/* With a floor of 0 everything is in. Else more than `budget` have `floor` or more. */
	plan->at_floor = low == 0 ? 0 : budget - above;
	plan->page_count = managed_pages(regions, count);
	plan->undescribed = plan->page_count - pages - plan->at_floor * low;
	return above + plan->at_floor;
}

/* The lowest `pages` frames at or above `from` that lie in one usable region, or PFN_NONE. */
static pfn_t find_place(const struct region *regions, size_t count, uint64_t from, uint64_t pages)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t start = regions[i].start.n, end = region_end(&regions[i]);

		if (start < from)
			start = from;
		if (regions[i].kind == REGION_USABLE && start < end && end - start >= pages)
			return pfn(start);
	}
	return PFN_NONE;
}

static int place(const struct region *regions, size_t count, uint64_t from, struct desc_plan *plan)
{
	pfn_t start = find_place(regions, count, from, plan->pages);

	if (pfn_is_none(start))
		return -ENOSPC;
	plan->start = start;
	return 0;
}

int desc_plan_make(const struct region *regions, size_t count, struct desc_plan *plan)
{
	uint64_t budget;

	*plan = (struct desc_plan){.start = PFN_NONE};
	if (region_pages(regions, count, REGION_USABLE) == 0)
		return -ENOENT;
	budget = managed_pages(regions, count) * BYTES_PER_PAGE_MAX >> PAGE_SHIFT;
	if (budget == 0)
		budget = 1;
	plan->pages = choose_floor(regions, count, budget, plan);
	return place(regions, count, PLACE_MIN, plan);
}

int desc_plan_next(const struct region *regions, size_t count, struct desc_plan *plan)
{
	/* Some page of the refused place is taken, nobody says which: clear it altogether. */
	return place(regions, count, plan->start.n + plan->pages, plan);
}

void desc_plan_fit(const struct region *regions, size_t count, uint64_t pages,
		   struct desc_plan *plan)
{
	(void)choose_floor(regions, count, pages, plan);
	plan->pages = pages;
}

bool desc_plan_walk(const struct region *regions, size_t count, const struct desc_plan *plan,
		    struct desc_cursor *cursor, struct desc_block *out)
{
	while (next_run(regions, count, cursor, out)) {
		uint64_t left = plan->at_floor - cursor->at_floor_used;

		if (out->pages > plan->floor)
			return true;
		if (out->pages == plan->floor && left > 0) {
			if (out->run > left)
				out->run = left;
			cursor->at_floor_used += out->run;
			return true;
		}
	}
	return false;
}
