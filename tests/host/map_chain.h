/* SPDX-License-Identifier: MIT */
/*
 * A firmware map through everything that happens to it, on a host:
 *
 *   entries ──region_build──► regions ──desc_plan_make──► the array's place       (the loader)
 *       └──► final map, with what the loader took ──► memory_init, memory_reclaim (the kernel)
 *                                                       └──► allocate every page
 *
 * The kernel's part is core/memory.c itself. What comes out is judged by an
 * oracle that asks every entry about every frame, in 128 bits and without
 * looking at that code: no frame may be handed out that the map does not give,
 * none twice, and none that it gives may be lost.
 */
#ifndef QUIRE_HOST_MAP_CHAIN_H
#define QUIRE_HOST_MAP_CHAIN_H

#include <quire/boot_info.h>

#define CHAIN_ENTRIES_MAX 8192

struct chain_machine {
	const struct boot_mem_desc *entries;
	size_t count;
	uint32_t stride;          /* bytes an entry, at least 40 */
	unsigned physical_bits;   /* of the CPU */
	struct boot_range kernel; /* where the loader put the image; 0 pages: in usable memory */
	bool recount;             /* memory_check() before and after: most of the time it takes */
};

enum chain_end {
	CHAIN_PLANNED,   /* and every page was allocated */
	CHAIN_NO_MEMORY, /* desc_plan_make(): no usable page */
	CHAIN_NO_PLACE,  /* desc_plan_make(): the array fits nowhere */
	CHAIN_NO_POOL,   /* the firmware has no piece as large as the boot pool */
};

struct chain_result {
	enum chain_end end;
	uint64_t given;       /* frames the map gives, without what the loader took */
	uint64_t handed_out;  /* = given - undescribed */
	uint64_t undescribed; /* too sparse to be worth it */
};

/* NULL, or what went wrong: a bug, whatever the map. A panic of the kernel is one. */
const char *chain_run(const struct chain_machine *machine, struct chain_result *result);

/* How many frames may be handed out, before the loader took its own? */
uint64_t chain_map_pages(const struct chain_machine *machine);

/* May a frame be handed out? Asks every entry; nothing of the kernel's code is involved. */
bool chain_map_gives(const struct chain_machine *machine, uint64_t frame);

#endif
