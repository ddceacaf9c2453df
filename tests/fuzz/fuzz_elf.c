/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as the kernel ELF: refused, or an image that keeps the reader's
 * invariant and lies inside the file. The input is laid over a header that
 * is good so far, or hardly any would get past the magic number.
 */
#include "../../efi/elf.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
	if (!condition)
		abort();
}

static void check(const struct elf_image *image, size_t bytes)
{
	uint64_t end = 0xffffffff80000000;
	int entry_found = 0;

	require(image->segment_count >= 1 && image->segment_count <= BOOT_SEGMENTS_MAX);
	require(image->virt == image->segments[0].virt);
	for (uint32_t i = 0; i < image->segment_count; i++) {
		const struct elf_segment *s = &image->segments[i];

		require(s->virt % PAGE_BYTES == 0 && s->virt >= end && s->pages > 0);
		require(s->pages * PAGE_BYTES <= 0 - s->virt);
		require(s->file_bytes <= s->pages * PAGE_BYTES);
		require(s->offset <= bytes && s->file_bytes <= bytes - s->offset);
		require(s->flags != (BOOT_SEGMENT_WRITE | BOOT_SEGMENT_EXECUTE));
		entry_found |= (s->flags & BOOT_SEGMENT_EXECUTE) && image->entry >= s->virt &&
			       image->entry - s->virt < s->file_bytes;
		end = s->virt + s->pages * PAGE_BYTES;
	}
	require(entry_found);
	require(image->virt + image->pages * PAGE_BYTES == end);
	require(image->symtab_bytes <= bytes &&
		image->symtab_offset <= bytes - image->symtab_bytes);
	require(image->strtab_bytes <= bytes &&
		image->strtab_offset <= bytes - image->strtab_bytes);
}

/* Make the file good where chance never would: header, segments near the top, entry in the first. */
static void nudge(uint8_t *file, size_t size)
{
	/* Identification, ET_EXEC, EM_X86_64; at 32 the segment table's place, behind the header. */
	static const uint8_t start[] = {0x7f, 'E', 'L', 'F', 2, 1, 1, [16] = 2, 0, 62, 0, 1};
	static const uint8_t table[8] = {64}, sizes[] = {64, 0, 56, 0, 3, 0, 64, 0};

	memcpy(file, start, sizeof start);
	memcpy(file + 32, table, sizeof table);
	memcpy(file + 52, sizes, sizeof sizes);
	for (size_t at = 64; at < 64 + 3 * 56 && at + 56 <= size; at += 56) {
		file[at] &= 1;
		memset(file + at + 1, 0, 3);
		memset(file + at + 10, 0, 6); /* offset: 16 bits */
		file[at + 17] &= 0xf0;        /* address: page aligned, ... */
		file[at + 16] = file[at + 19] = 0;
		memset(file + at + 20, 0xff, 4); /* ... near the top */
		file[at + 19] = 0x80;
		memset(file + at + 34, 0, 6); /* sizes: 16 bits */
		memset(file + at + 42, 0, 6);
	}
	memcpy(file + 25, file + 64 + 17, 7);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf_image image;
	uint8_t *file = malloc(size ? size : 1);

	require(file != NULL);
	memcpy(file, data, size);
	if (size >= 128 && data[0] < 0xf0)
		nudge(file, size);
	if (!elf_parse(file, size, &image))
		check(&image, size);
	free(file);
	return 0;
}
