/* SPDX-License-Identifier: MIT */
/*
 * Cutting a range into pages: the arithmetic of page tables, without any table.
 * Pure; the host tests run it.
 *
 *   level   page      one table covers   index bits
 *     0     4 KiB     2 MiB              20:12
 *     1     2 MiB     1 GiB              29:21
 *     2     1 GiB     512 GiB            38:30
 *     3     -         256 TiB            47:39
 */
#ifndef QUIRE_X86_SPAN_H
#define QUIRE_X86_SPAN_H

#include <quire/types.h>

#define TABLE_ENTRIES 512u
#define LEVEL_ROOT    3u

/* Bytes behind one entry of a table at `level`. */
static inline uint64_t level_bytes(unsigned level)
{
	return PAGE_BYTES << (9 * level);
}

static inline unsigned level_index(uint64_t virt, unsigned level)
{
	return (unsigned)(virt >> (PAGE_SHIFT + 9 * level)) & (TABLE_ENTRIES - 1);
}

/* What is still to be mapped. */
struct span {
	uint64_t virt, phys, bytes;
};

/* The largest page, up to `max_level`, that can stand at the start of the span. */
static inline unsigned span_level(const struct span *s, unsigned max_level)
{
	unsigned level = max_level;

	while (level > 0 && (((s->virt | s->phys) & (level_bytes(level) - 1)) != 0 ||
			     s->bytes < level_bytes(level)))
		level--;
	return level;
}

static inline void span_advance(struct span *s, uint64_t bytes)
{
	s->virt += bytes;
	s->phys += bytes;
	s->bytes -= bytes;
}

/* How many units of `unit` bytes the range [base, base + bytes) touches beyond `*next`, the first
 * unit not yet counted; moves `*next` on. For counting tables over sorted ranges. */
static inline uint64_t span_units(uint64_t base, uint64_t bytes, uint64_t unit, uint64_t *next)
{
	uint64_t first = base / unit, last, count;

	if (!bytes)
		return 0;
	last = (base + bytes - 1) / unit;
	if (first < *next)
		first = *next;
	count = last >= first ? last - first + 1 : 0;
	if (last + 1 > *next)
		*next = last + 1;
	return count;
}

#endif
