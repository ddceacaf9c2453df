/* SPDX-License-Identifier: MIT */
/*
 * Page tables as data: walking and filling them, whoever's they are. Nothing
 * here touches the CPU, so the host tests run it. The callers' locks cover it.
 */
#include "paging.h"
#include <quire/assert.h>
#include <quire/string.h>

paddr_t kernel_root;

static uint64_t *reserve_next;
static uint64_t reserve_left;

void reserve_init(void *tables, uint64_t count)
{
	reserve_next = tables;
	reserve_left = count;
}

uint64_t *reserve_table(void)
{
	uint64_t *table = reserve_next;

	if (!reserve_left)
		return NULL;
	reserve_left--;
	reserve_next += TABLE_ENTRIES;
	return memset(table, 0, PAGE_BYTES);
}

uint64_t *table_walk(uint64_t *root, uint64_t virt, unsigned level, table_source source)
{
	uint64_t *table = root;

	for (unsigned at = LEVEL_ROOT; at > level; at--) {
		uint64_t *entry = &table[level_index(virt, at)];

		if (!*entry) {
			uint64_t *below = source();

			if (!below)
				return NULL;
			*entry = table_entry(below);
		}
		assert(!(*entry & PTE_LARGE));
		table = table_of(*entry);
	}
	return &table[level_index(virt, level)];
}

bool map_span(uint64_t *root, struct span s, unsigned max_level, uint64_t flags,
	      table_source source)
{
	while (s.bytes) {
		unsigned level = span_level(&s, max_level);
		uint64_t *entry = table_walk(root, s.virt, level, source);
		uint64_t value = s.phys | flags | PTE_PRESENT | (level ? PTE_LARGE : 0);
		uint64_t run = TABLE_ENTRIES - level_index(s.virt, level);

		if (!entry)
			return false;
		/* To the table's end the page size stays: larger ones start where a table does. */
		if (run > s.bytes / level_bytes(level))
			run = s.bytes / level_bytes(level);
		span_advance(&s, run * level_bytes(level));
		for (; run; run--, value += level_bytes(level)) {
			assert(!*entry);
			*entry++ = value;
		}
	}
	return true;
}
