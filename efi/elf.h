/* SPDX-License-Identifier: MIT */
/*
 * The kernel ELF as the loader needs it: what to copy where. Pure code.
 * ELF-64 Object File Format; System V ABI, AMD64 supplement.
 */
#ifndef QUIRE_EFI_ELF_H
#define QUIRE_EFI_ELF_H

#include <quire/boot_info.h>

struct elf_segment {
	uint64_t virt;       /* page aligned */
	uint64_t offset;     /* in the file */
	uint64_t file_bytes; /* to copy */
	uint64_t pages;      /* to occupy; the rest is zeroes */
	uint32_t flags;      /* enum boot_segment_flags */
};

struct elf_image {
	uint64_t entry; /* virtual, in an executable segment */
	uint64_t virt;  /* of the first segment */
	uint64_t pages; /* from there to the end of the last */
	struct elf_segment segments[BOOT_SEGMENTS_MAX];
	uint32_t segment_count;
	uint64_t symtab_offset, symtab_bytes; /* 0 bytes when there is none */
	uint64_t strtab_offset, strtab_bytes;
};

/* Read `file`. NULL, or what is wrong with it (static text). */
const char *elf_parse(const void *file, size_t bytes, struct elf_image *out);

#endif
