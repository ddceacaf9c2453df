/* SPDX-License-Identifier: MIT */
/*
 * The named bad maps (bad_maps.h), one by one: through the loader's own stage
 * against a pretended firmware, for the sentence it ends with or the place it
 * finds; and through the whole chain to the last page (map_chain.h).
 */
#include "../host/firmware.h"
#include "../host/map_chain.h"
#include "bad_maps.h"
#include "cm.h"

#include <stdio.h>
#include <string.h>

static struct loader loader;
static struct boot_mem_desc entries[CHAIN_ENTRIES_MAX];
static struct chain_machine machine;

static void prepare(const struct bad_map *map)
{
	size_t count = map->count;

	if (count)
		memcpy(entries, map->entries, count * sizeof *entries);
	if (map->grow)
		map->grow(entries, &count);
	machine = (struct chain_machine){
		.entries = entries,
		.count = count,
		.stride = map->stride ? map->stride : 48,
		.physical_bits = map->bits ? map->bits : 46,
		.kernel = map->kernel,
		.recount = true,
	};
}

static uint64_t largest_usable(void)
{
	uint64_t largest = 1;

	for (size_t i = 0; i < machine.count; i++)
		if (entries[i].type == MEMMAP_CONVENTIONAL && entries[i].pages > largest)
			largest = entries[i].pages;
	return largest;
}

/* The loader says why it gives up, and gives everything back. */
static void check_loader(const struct bad_map *map)
{
	EFI_STATUS status;

	firmware_start(&loader, entries, machine.count);
	firmware.stride = machine.stride;
	/* It has no larger piece than the map shows; a buffer for the map is always found. */
	firmware.largest = largest_usable();
	if (firmware.largest < 1000 && !(map->sentence && strstr(map->sentence, "boot pool")))
		firmware.largest = 1000;
	status = place_descriptors(&loader);
	if (map->sentence) {
		char line[256];

		assert_true(EFI_ERROR(status));
		snprintf(line, sizeof line, "Quire cannot start: %s", map->sentence);
		if (!strstr(firmware.said, line))
			fail_msg("said:\n%s\nnot: %s", firmware.said, line);
	} else if (EFI_ERROR(status)) {
		fail_msg("the loader gave up: %s", firmware.said);
	}
	memory_give_back_all(&loader);
	assert_int_equal(firmware.held_count, 0);
}

static void check_chain(const struct bad_map *map)
{
	struct chain_result result;
	const char *wrong = chain_run(&machine, &result);

	if (map->check) {
		assert_string_equal(wrong ? wrong : "", map->check);
		return;
	}
	if (wrong)
		fail_msg("%s", wrong);
	assert_int_equal(result.end == CHAIN_PLANNED, !map->sentence);
	if (map->sentence)
		return;
	assert_int_equal(chain_map_pages(&machine), map->gives);
	if (result.undescribed > map->undescribed)
		fail_msg("%llu pages undescribed", (unsigned long long)result.undescribed);
	assert_true(result.handed_out > 0 && result.handed_out < map->gives);
}

static void check_map(void **state)
{
	const struct bad_map *map = *state;

	prepare(map);
	check_loader(map);
	/* The rest never sees descriptors that are none. */
	if (machine.stride >= sizeof(struct boot_mem_desc))
		check_chain(map);
}

int main(void)
{
	struct CMUnitTest tests[array_len(bad_maps)];

	for (size_t i = 0; i < array_len(bad_maps); i++)
		tests[i] = (struct CMUnitTest){bad_maps[i].name, check_map, NULL, NULL,
					       (void *)(uintptr_t)&bad_maps[i]};
	return cmocka_run_group_tests_name("test_bad_maps", tests, NULL, NULL);
}
