/* SPDX-License-Identifier: MIT */
/*
 * The loader's page tables (4-level, Intel SDM 3A section 4.5). The firmware's
 * own tables are only read: they may be write-protected, and are still in use.
 *
 *   root   0 ... 255   the firmware's lower half: identity map
 *        256 ... 447   entries 0 ... 191 again: the direct map window, 96 TiB
 *        448 ... 510   as the firmware had them
 *              511     a table of our own: the kernel, 4 KiB pages, W^X
 *
 * Sharing the firmware's lower tables through a second root entry makes the
 * direct map without building one.
 */
#include "paging.h"

#define ENTRIES      512u
#define PRESENT      ((uint64_t)1 << 0)
#define WRITABLE     ((uint64_t)1 << 1)
#define NO_EXECUTE   ((uint64_t)1 << 63)
#define ADDRESS_MASK 0x000ffffffffff000ull
#define DIRECT_FIRST 256u
#define DIRECT_COUNT 192u
#define KERNEL_ENTRY 511u
#define LEVEL_BITS   9
#define ROOT_LEVEL   3
#define FIXED_TABLES 4u /* root, one below it, two below that */

struct tables {
	uint64_t *root;
	uint64_t *next; /* the next unused table */
};

uint64_t paging_pages(uint64_t image_pages)
{
	/* The image may start and end in the middle of a lowest table. */
	return FIXED_TABLES + image_pages / ENTRIES + 2;
}

static uint64_t *table_new(struct tables *t)
{
	uint64_t *table = t->next;

	t->next += ENTRIES;
	for (unsigned i = 0; i < ENTRIES; i++)
		table[i] = 0;
	return table;
}

/* The entry for `virt` in the lowest table, making the tables on the way. */
static uint64_t *entry_of(struct tables *t, uint64_t virt)
{
	uint64_t *table = t->root;

	for (unsigned level = ROOT_LEVEL;; level--) {
		uint64_t *entry = &table[virt >> (PAGE_SHIFT + level * LEVEL_BITS) & (ENTRIES - 1)];

		if (level == 0)
			return entry;
		if (!(*entry & PRESENT))
			*entry = (uintptr_t)table_new(t) | PRESENT | WRITABLE;
		table = (uint64_t *)(uintptr_t)(*entry & ADDRESS_MASK);
	}
}

static void map_segment(struct tables *t, const struct boot_segment *s, bool nx)
{
	uint64_t bits = PRESENT;

	if (s->flags & BOOT_SEGMENT_WRITE)
		bits |= WRITABLE;
	if (nx && !(s->flags & BOOT_SEGMENT_EXECUTE))
		bits |= NO_EXECUTE;
	for (uint64_t i = 0; i < s->pages; i++)
		*entry_of(t, s->virt + i * PAGE_BYTES) = (s->phys + i * PAGE_BYTES) | bits;
}

uint64_t paging_build(void *memory, const uint64_t *firmware_root,
		      const struct boot_segment *segments, uint32_t count, bool nx)
{
	struct tables t = {.next = memory};

	t.root = table_new(&t);
	for (unsigned i = 0; i < KERNEL_ENTRY; i++)
		t.root[i] = firmware_root[i];
	for (unsigned i = 0; i < DIRECT_COUNT; i++)
		t.root[DIRECT_FIRST + i] = firmware_root[i];
	for (uint32_t i = 0; i < count; i++)
		map_segment(&t, &segments[i], nx);
	return (uintptr_t)t.root;
}
