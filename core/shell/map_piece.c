/* SPDX-License-Identifier: MIT */
/*
 * Cutting an entry of the firmware's map along the regions. The entry may be
 * anything: unaligned, empty, wrapping, past every physical address.
 *
 *   entry       |------------------------------------|
 *   regions  |-----|     |-------|-----------|
 *   pieces      |--|.....|-------|-----------|.......|      (dots: in no region)
 *
 *   Each piece starts where the last one ended, and takes at least a byte from what is
 *   left: at most 2 * count + 1 pieces.
 *
 * Lock: none. The code touches nothing but its arguments.
 */
#include "map_piece.h"

/* The frame at which the first region behind `frame` starts, or PFN_LIMIT. */
static uint64_t next_start(const struct region *regions, size_t count, uint64_t frame)
{
	for (size_t i = 0; i < count; i++)
		if (regions[i].start.n > frame)
			return regions[i].start.n;
	return PFN_LIMIT;
}

bool map_piece_next(const struct boot_mem_desc *entry, const struct region *regions, size_t count,
		    uint64_t *at, struct map_piece *out)
{
	bool ignored = entry->pages == 0 || entry->pages > (UINT64_MAX - entry->phys) >> PAGE_SHIFT;
	uint64_t end, frame = *at >> PAGE_SHIFT, stop;

	*out = (struct map_piece){.base = *at};
	if (ignored) {
		out->why = entry->pages ? "wraps past the last address: ignored" : "empty: ignored";
		return (*at)++ == entry->phys;
	}
	end = entry->phys + entry->pages * PAGE_BYTES;
	if (*at >= end)
		return false;
	out->region = region_find(regions, count, pfn(frame));
	if (out->region)
		stop = region_end(out->region);
	else
		stop = next_start(regions, count, frame);
	/* Regions end at PFN_LIMIT, so `stop` shifts into 64 bits; what lies past it is one piece. */
	stop <<= PAGE_SHIFT;
	*at = stop > *at && stop < end ? stop : end;
	out->pages = bytes_to_pages(*at - out->base);
	if (!out->region)
		out->why = end > PFN_LIMIT << PAGE_SHIFT ? "past every address a CPU has: ignored"
							 : "less than a whole page";
	return true;
}
