/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: any text is either a map or an error with a sentence; a map's
 * entries, written out again, parse to the same entries.
 */
#include "must.h"
#include <errno.h>
#include <memmap_file.h>
#include <quire/memmap.h>
#include <string.h>

static void round_trip(const struct memmap_file *map)
{
	size_t capacity = map->count * 96, length = 0;
	char *text = malloc(capacity);
	struct memmap_file again;

	for (size_t i = 0; i < map->count; i++) {
		const struct memmap_entry *e = &map->entries[i];

		length += (size_t)snprintf(
			text + length, capacity - length, "%s 0x%llx %llu 0x%llx\n",
			memmap_type_name(e->type), (unsigned long long)e->base,
			(unsigned long long)e->pages, (unsigned long long)e->attributes);
	}
	must(memmap_file_parse(&again, text, length) == 0, "own output refused");
	must(again.count == map->count, "entries lost");
	for (size_t i = 0; i < map->count; i++) {
		again.entries[i].line = map->entries[i].line;
		must(memcmp(&again.entries[i].base, &map->entries[i].base, 24) == 0 &&
			     again.entries[i].type == map->entries[i].type,
		     "an entry changed");
	}
	memmap_file_free(&again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of exactly that size, so that reading one byte too far is seen. */
	char *text = malloc(size ? size : 1);
	struct memmap_file map;
	int error;

	memcpy(text, data, size);
	error = memmap_file_parse(&map, text, size);
	must(error == 0 || error == -EINVAL, "an unknown error");
	if (error)
		must(map.error[0] != '\0' && strlen(map.error) < sizeof map.error - 1,
		     "no sentence");
	else
		round_trip(&map);
	memmap_file_free(&map);
	free(text);
	return 0;
}
