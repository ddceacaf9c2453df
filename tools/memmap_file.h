/* SPDX-License-Identifier: MIT */
/*
 * A firmware memory map as a text file, one descriptor a line:
 *
 *   TYPE phys_start_hex num_pages attribute_hex_or_-
 *   Conventional 0x100000 39423 0xf
 *
 * TYPE is the UEFI name (quire/memmap.h). The page count is decimal, or
 * hexadecimal after 0x. Blank lines, and '#' to the end of a line, are
 * skipped; lines may end in CR LF. The order is kept, nothing is repaired.
 */
#ifndef QUIRE_MEMMAP_FILE_H
#define QUIRE_MEMMAP_FILE_H

#include <quire/compiler.h>
#include <stddef.h>
#include <stdint.h>

struct memmap_entry {
	size_t line; /* from 1 */
	uint32_t type;
	uint64_t base;
	uint64_t pages;
	uint64_t attributes; /* 0 when the file says '-' */
};

struct memmap_file {
	struct memmap_entry *entries;
	size_t count, capacity;
	size_t error_line; /* 0 when the error is not about one line */
	char error[160];   /* a sentence without a full stop */
};

/*
 * Parse `length` bytes of text. Returns 0, -EINVAL for malformed text or text
 * without any entry, -ENOMEM. On failure `error` and `error_line` are set.
 * Either way the caller ends with memmap_file_free().
 */
must_check int memmap_file_parse(struct memmap_file *map, const char *text, size_t length);

void memmap_file_free(struct memmap_file *map);

#endif
