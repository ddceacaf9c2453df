/* SPDX-License-Identifier: MIT */
/*
 * map=NAME in quire.cfg: the firmware's own map, as worse firmware would write it, so that a machine
 * really boots with it (tests/guest/test_maps.py). Done to each copy of the map that is read: the
 * loader plans with it, and the kernel gets it.
 *
 *   shuffled    in no order
 *   overlapped  each entry of free memory twice, its second half a third time as boot services', and
 *               the first page of a large one reserved as well
 *   strange     entries without pages, of all pages, past 2^52, round the end, unaligned, of unknown type
 *   many        4,096 entries more: single reserved pages in the middle of free memory
 *   wide        96 bytes from entry to entry
 *   all         all of these
 *   none        no free memory
 *   crumbs      of each piece of free memory one page
 *
 * Invariant: free memory of the spoiled map, where it is in order, is free memory of the real one.
 */
#include "lib.h"
#include "loader.h"
#include "text.h"
#include <quire/memmap.h>

#define LARGE_PAGES 4096
#define TEETH       4096 /* of a comb: a reserved page, a free page */
#define WIDE_BYTES  96
#define STRANGE     8
#define FILLING     0xa5 /* what no reader of entries looks at */

static struct boot_mem_desc *entry(const struct firmware_map *map, uint64_t i)
{
	return (void *)((char *)map->at + i * map->stride);
}

static uint64_t entries(const struct firmware_map *map)
{
	return map->bytes / map->stride;
}

static bool is_free(const struct boot_mem_desc *d)
{
	return d->type == MEMMAP_CONVENTIONAL;
}

/* What there is no room for is left out. */
static void add(struct firmware_map *map, uint32_t type, uint64_t base, uint64_t pages)
{
	struct boot_mem_desc *d = entry(map, entries(map));

	if (map->stride > map->capacity - map->bytes)
		return;
	map->bytes += map->stride;
	memset(d, FILLING, map->stride);
	*d = (struct boot_mem_desc){
		.type = type, .phys = base, .pages = pages, .attributes = MEMMAP_ATTR_WB};
}

static const struct boot_mem_desc *largest(const struct firmware_map *map)
{
	const struct boot_mem_desc *best = entry(map, 0);

	for (uint64_t i = 0; i < entries(map); i++) {
		const struct boot_mem_desc *d = entry(map, i);

		if (is_free(d) && (!is_free(best) || d->pages > best->pages))
			best = d;
	}
	return best;
}

static void spoil_shuffled(struct firmware_map *map)
{
	uint64_t random = 1;

	for (uint64_t i = entries(map); i > 1; i--) {
		struct boot_mem_desc *a = entry(map, i - 1), *b, held = *a;

		random = random * 6364136223846793005u + 1442695040888963407u;
		b = entry(map, (random >> 33) % i);
		*a = *b;
		*b = held;
	}
}

static void spoil_overlapped(struct firmware_map *map)
{
	for (uint64_t i = 0, count = entries(map); i < count; i++) {
		struct boot_mem_desc d = *entry(map, i);
		uint64_t half = d.pages / 2;

		if (!is_free(&d))
			continue;
		add(map, d.type, d.phys, d.pages);
		add(map, MEMMAP_BOOT_DATA, d.phys + half * PAGE_BYTES, d.pages - half);
		if (d.pages >= LARGE_PAGES)
			add(map, MEMMAP_RESERVED, d.phys, 1);
	}
}

static void spoil_strange(struct firmware_map *map)
{
	const struct boot_mem_desc *free = largest(map);
	uint64_t middle = free->phys + free->pages / 2 * PAGE_BYTES;

	add(map, MEMMAP_CONVENTIONAL, middle, 0);
	add(map, MEMMAP_RESERVED, middle, 0);
	add(map, MEMMAP_CONVENTIONAL, middle, UINT64_MAX);
	add(map, MEMMAP_CONVENTIONAL, (uint64_t)1 << 52, 1000);
	add(map, MEMMAP_CONVENTIONAL, ~(uint64_t)0 - 3 * PAGE_BYTES + 1, 100);
	add(map, MEMMAP_CONVENTIONAL, middle + PAGE_BYTES / 2, 5);
	add(map, MEMMAP_TYPES, middle + 10 * PAGE_BYTES, 3);
	add(map, 0xdeadbeef, middle + 20 * PAGE_BYTES + 1, 1);
}

static void spoil_many(struct firmware_map *map)
{
	const struct boot_mem_desc *free = largest(map);
	uint64_t base = free->phys + free->pages / 4 * PAGE_BYTES, teeth = free->pages / 4;

	for (uint64_t i = 0; i < teeth && i < TEETH; i++)
		add(map, MEMMAP_RESERVED, base + i * 2 * PAGE_BYTES, 1);
}

static void spoil_wide(struct firmware_map *map)
{
	struct firmware_map wide = *map;
	uint64_t count = entries(map);

	wide.stride = WIDE_BYTES;
	wide.bytes = count * WIDE_BYTES;
	if (map->stride > wide.stride || wide.bytes > map->capacity)
		return;
	for (uint64_t i = count; i-- > 0;) { /* from the end, each to behind where it was */
		struct boot_mem_desc d = *entry(map, i);

		memset(entry(&wide, i), FILLING, WIDE_BYTES);
		*entry(&wide, i) = d;
	}
	*map = wide;
}

static void spoil_none(struct firmware_map *map)
{
	for (uint64_t i = 0; i < entries(map); i++)
		if (memmap_kind(entry(map, i)->type) == REGION_USABLE)
			entry(map, i)->type = MEMMAP_RESERVED;
}

static void spoil_crumbs(struct firmware_map *map)
{
	for (uint64_t i = 0; i < entries(map); i++)
		if (is_free(entry(map, i)) && entry(map, i)->pages)
			entry(map, i)->pages = 1;
}

static const struct {
	const char *name;
	void (*spoil)(struct firmware_map *map);
	bool boots; /* and is done for "all" */
} ways[] = {
	/* In this order: what is strange would be the largest. */
	{"overlapped", spoil_overlapped, true}, {"many", spoil_many, true},
	{"strange", spoil_strange, true},       {"wide", spoil_wide, true},
	{"shuffled", spoil_shuffled, true},     {"none", spoil_none, false},
	{"crumbs", spoil_crumbs, false},
};

uint64_t spoil_capacity(uint64_t bytes)
{
	/* An entry becomes four, and any stride at most twice as wide. */
	return 2 * (4 * bytes + (TEETH + STRANGE) * WIDE_BYTES);
}

bool spoil_map(const char *name, struct firmware_map *map)
{
	bool all = text_equals(name, "all"), known = all;

	for (size_t i = 0; i < array_len(ways); i++)
		if (text_equals(name, ways[i].name) || (all && ways[i].boots)) {
			ways[i].spoil(map);
			known = true;
		}
	return known;
}
