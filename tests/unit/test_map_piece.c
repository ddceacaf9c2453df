/* SPDX-License-Identifier: MIT */
/* Entries as odd as firmware writes them, cut along the regions they became. */
#include "cm.h"
#include "shell/map_piece.h"
#include <quire/memmap.h>
#include <string.h>

#define ENTRIES_MAX 8
#define REGIONS_MAX (2 * ENTRIES_MAX + 1)

static struct region regions[REGIONS_MAX];
static size_t region_count;

static void build(const struct boot_mem_desc *entries, size_t count)
{
	struct region_input in[ENTRIES_MAX];

	for (size_t i = 0; i < count; i++)
		in[i] = (struct region_input){entries[i].phys, entries[i].pages,
					      memmap_kind(entries[i].type)};
	assert_int_equal(region_build(in, count, regions, REGIONS_MAX, &region_count), 0);
}

/* All pieces of one entry, which must follow each other without a gap. */
static size_t cut(const struct boot_mem_desc *e, struct map_piece out[REGIONS_MAX])
{
	uint64_t at = e->phys;
	size_t n = 0;

	while (map_piece_next(e, regions, region_count, &at, &out[n])) {
		assert_true(n == 0 || out[n].base > out[n - 1].base);
		assert_true(out[n].region || out[n].why);
		n++;
		assert_true(n < REGIONS_MAX);
	}
	return n;
}

static void an_overlapped_entry_has_three_pieces(void **state)
{
	const struct boot_mem_desc entries[] = {
		{.type = MEMMAP_CONVENTIONAL, .phys = 0x100000, .pages = 16},
		{.type = MEMMAP_RUNTIME_DATA, .phys = 0x104000, .pages = 2},
	};
	struct map_piece p[REGIONS_MAX];

	(void)state;
	build(entries, 2);
	assert_int_equal(cut(&entries[0], p), 3);
	assert_int_equal(p[0].pages, 4);
	assert_int_equal(p[1].base, 0x104000);
	assert_int_equal(p[1].region->kind, REGION_RUNTIME);
	assert_int_equal(p[2].pages, 10);
	assert_int_equal(cut(&entries[1], p), 1);
}

static void what_covers_nothing_is_one_piece(void **state)
{
	const struct boot_mem_desc entries[] = {
		{.type = MEMMAP_CONVENTIONAL, .phys = 0x100000, .pages = 16},
		{.type = MEMMAP_CONVENTIONAL, .phys = 0x200000, .pages = 0},
		/* pages * 4096 wraps to 3 pages, and base + that does not wrap at all */
		{.type = MEMMAP_CONVENTIONAL, .phys = 0x200000, .pages = ((uint64_t)1 << 52) + 3},
		{.type = MEMMAP_MMIO, .phys = 0xfffffffffffff000, .pages = 1},
	};
	struct map_piece p[REGIONS_MAX];

	(void)state;
	build(entries, 4);
	for (size_t i = 1; i < 4; i++) {
		assert_int_equal(cut(&entries[i], p), 1);
		assert_int_equal(p[0].pages, 0);
		assert_null(p[0].region);
		assert_non_null(strstr(p[0].why, "ignored"));
	}
}

static void a_torn_page_is_no_page(void **state)
{
	const struct boot_mem_desc entries[] = {
		{.type = MEMMAP_CONVENTIONAL, .phys = 0x100800, .pages = 2},
		{.type = MEMMAP_CONVENTIONAL, .phys = 0x200800, .pages = 1},
	};
	struct map_piece p[REGIONS_MAX];

	(void)state;
	build(entries, 2);
	assert_int_equal(cut(&entries[0], p), 3);
	assert_null(p[0].region);
	assert_int_equal(p[1].region->kind, REGION_USABLE);
	assert_int_equal(p[1].base, 0x101000);
	assert_string_equal(p[2].why, "less than a whole page");
	assert_int_equal(cut(&entries[1], p), 1);
	assert_string_equal(p[0].why, "less than a whole page");
}

/* Dropped whole by region_build(): 2^40 pages of nothing are one row, not 2^40. */
static void memory_past_every_address_is_one_piece(void **state)
{
	const struct boot_mem_desc entries[] = {
		{.type = MEMMAP_CONVENTIONAL, .phys = 0, .pages = PFN_LIMIT + 1},
		{.type = MEMMAP_RESERVED, .phys = (PFN_LIMIT - 1) << PAGE_SHIFT, .pages = 5},
		{.type = MEMMAP_CONVENTIONAL, .phys = ~(uint64_t)0 << 16, .pages = 15},
	};
	struct map_piece p[REGIONS_MAX];

	(void)state;
	build(entries, 3);
	assert_int_equal(cut(&entries[0], p), 3); /* up to the reserved page, it, the rest */
	assert_int_equal(cut(&entries[1], p), 2);
	assert_int_equal(p[0].region->kind, REGION_RESERVED);
	assert_int_equal(p[1].pages, 4);
	assert_int_equal(cut(&entries[2], p), 1);
	assert_int_equal(p[0].pages, 15);
	assert_non_null(strstr(p[0].why, "past every address"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_overlapped_entry_has_three_pieces),
		cmocka_unit_test(what_covers_nothing_is_one_piece),
		cmocka_unit_test(a_torn_page_is_no_page),
		cmocka_unit_test(memory_past_every_address_is_one_piece),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
