/* SPDX-License-Identifier: MIT */
/*
 * Reading the kernel ELF. It comes from our own build, but also off a stick
 * that may have lost bits: every offset is checked before it is used.
 *
 * Invariant of an accepted image, for its segments s[0..n):
 *   s[i].virt + s[i].pages * 4096 <= s[i + 1].virt, all in the top 2 GiB,
 *   none both writable and executable, entry inside an executable one.
 */
#include "elf.h"
#include <quire/compiler.h>

#define TOP_2G 0xffffffff80000000ull

enum {
	ELF_CLASS_64 = 2,
	ELF_LITTLE_ENDIAN = 1,
	ELF_TYPE_EXEC = 2,
	ELF_MACHINE_X86_64 = 62,
	ELF_SEGMENT_LOAD = 1,
	ELF_FLAG_EXECUTE = 1,
	ELF_FLAG_WRITE = 2,
	ELF_SECTION_SYMTAB = 2,
	ELF_SECTION_STRTAB = 3,
};

struct elf_header {
	uint8_t magic[4], class, data, version, abi[9];
	uint16_t type, machine;
	uint32_t version2;
	uint64_t entry, program_offset, section_offset;
	uint32_t flags;
	uint16_t header_bytes, program_bytes, program_count;
	uint16_t section_bytes, section_count, section_names;
};

struct elf_program {
	uint32_t type, flags;
	uint64_t offset, virt, phys, file_bytes, memory_bytes, alignment;
};

struct elf_section {
	uint32_t name, type;
	uint64_t flags, virt, offset, bytes;
	uint32_t link, info;
	uint64_t alignment, entry_bytes;
};

_Static_assert(sizeof(struct elf_header) == 64, "Elf64_Ehdr");
_Static_assert(sizeof(struct elf_program) == 56, "Elf64_Phdr");
_Static_assert(sizeof(struct elf_section) == 64, "Elf64_Shdr");

struct elf_file {
	const char *at;
	uint64_t bytes;
};

static bool lies_inside(const struct elf_file *f, uint64_t offset, uint64_t bytes)
{
	return offset <= f->bytes && bytes <= f->bytes - offset;
}

/* Headers may be unaligned in a damaged file: copy them out. */
static void copy_out(void *out, const struct elf_file *f, uint64_t offset, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		((char *)out)[i] = f->at[offset + i];
}

static const char *check_header(const struct elf_file *f, struct elf_header *h)
{
	if (f->bytes < sizeof *h)
		return "too short";
	copy_out(h, f, 0, sizeof *h);
	if (h->magic[0] != 0x7f || h->magic[1] != 'E' || h->magic[2] != 'L' || h->magic[3] != 'F')
		return "not an ELF file";
	if (h->class != ELF_CLASS_64 || h->data != ELF_LITTLE_ENDIAN || h->type != ELF_TYPE_EXEC ||
	    h->machine != ELF_MACHINE_X86_64)
		return "not an x86-64 executable";
	if (h->program_bytes != sizeof(struct elf_program) ||
	    !lies_inside(f, h->program_offset, (uint64_t)h->program_count * h->program_bytes))
		return "segment table outside the file";
	return NULL;
}

/* Append one loadable segment, in address order. */
static const char *add_segment(const struct elf_file *f, const struct elf_program *p,
			       struct elf_image *out)
{
	struct elf_segment *s = &out->segments[out->segment_count];
	uint64_t lowest = out->segment_count ? out->virt + out->pages * PAGE_BYTES : TOP_2G;

	if (out->segment_count == BOOT_SEGMENTS_MAX)
		return "too many segments";
	if (p->virt % PAGE_BYTES || p->virt < lowest || p->memory_bytes > 0 - p->virt - PAGE_BYTES)
		return "segment at a wrong address";
	if (p->file_bytes > p->memory_bytes || !lies_inside(f, p->offset, p->file_bytes))
		return "segment outside the file";
	if ((p->flags & ELF_FLAG_WRITE) && (p->flags & ELF_FLAG_EXECUTE))
		return "segment both writable and executable";
	s->virt = p->virt;
	s->offset = p->offset;
	s->file_bytes = p->file_bytes;
	s->pages = bytes_to_pages(p->memory_bytes);
	s->flags = (p->flags & ELF_FLAG_WRITE ? (uint32_t)BOOT_SEGMENT_WRITE : 0) |
		   (p->flags & ELF_FLAG_EXECUTE ? (uint32_t)BOOT_SEGMENT_EXECUTE : 0);
	if (out->segment_count++ == 0)
		out->virt = s->virt;
	out->pages = (s->virt - out->virt) / PAGE_BYTES + s->pages;
	return NULL;
}

static bool entry_is_code(const struct elf_image *image)
{
	for (uint32_t i = 0; i < image->segment_count; i++) {
		const struct elf_segment *s = &image->segments[i];

		if ((s->flags & BOOT_SEGMENT_EXECUTE) && image->entry >= s->virt &&
		    image->entry - s->virt < s->file_bytes)
			return true;
	}
	return false;
}

/* Symbols are a comfort: a file without usable ones is not an error. */
static void find_symbols(const struct elf_file *f, const struct elf_header *h,
			 struct elf_image *out)
{
	struct elf_section symtab, strtab;

	if (h->section_bytes != sizeof symtab ||
	    !lies_inside(f, h->section_offset, (uint64_t)h->section_count * h->section_bytes))
		return;
	for (uint64_t i = 0; i < h->section_count; i++) {
		copy_out(&symtab, f, h->section_offset + i * sizeof symtab, sizeof symtab);
		if (symtab.type != ELF_SECTION_SYMTAB || symtab.link >= h->section_count)
			continue;
		copy_out(&strtab, f, h->section_offset + symtab.link * sizeof strtab,
			 sizeof strtab);
		if (strtab.type != ELF_SECTION_STRTAB ||
		    !lies_inside(f, symtab.offset, symtab.bytes) ||
		    !lies_inside(f, strtab.offset, strtab.bytes))
			continue;
		out->symtab_offset = symtab.offset;
		out->symtab_bytes = symtab.bytes;
		out->strtab_offset = strtab.offset;
		out->strtab_bytes = strtab.bytes;
		return;
	}
}

const char *elf_parse(const void *file, size_t bytes, struct elf_image *out)
{
	struct elf_file f = {file, bytes};
	struct elf_header h;
	const char *wrong = check_header(&f, &h);

	*out = (struct elf_image){.entry = 0};
	if (wrong)
		return wrong;
	out->entry = h.entry;
	for (uint64_t i = 0; i < h.program_count; i++) {
		struct elf_program p;

		copy_out(&p, &f, h.program_offset + i * sizeof p, sizeof p);
		if (p.type != ELF_SEGMENT_LOAD || p.memory_bytes == 0)
			continue;
		wrong = add_segment(&f, &p, out);
		if (wrong)
			return wrong;
	}
	if (!entry_is_code(out))
		return "entry point outside its code";
	find_symbols(&f, &h, out);
	return NULL;
}
