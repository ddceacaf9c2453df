/* SPDX-License-Identifier: MIT */
/* What became of an entry of the firmware's map, piece by piece. Pure reading; any context. */
#ifndef QUIRE_SHELL_MAP_PIECE_H
#define QUIRE_SHELL_MAP_PIECE_H

#include <quire/boot_info.h>
#include <quire/compiler.h>
#include <quire/region.h>

/* The part of an entry that lies in one region, or between two. */
struct map_piece {
	uint64_t base;               /* bytes, physical; as unaligned as the entry */
	uint64_t pages;              /* 0: the entry covers nothing */
	const struct region *region; /* NULL: none, nobody uses it */
	const char *why;             /* NULL where the region is the reason */
};

/* The walk is over when this is false. Start with *at = entry->phys; moves *at behind the piece. */
must_check bool map_piece_next(const struct boot_mem_desc *entry, const struct region *regions,
			       size_t count, uint64_t *at, struct map_piece *out);

#endif
