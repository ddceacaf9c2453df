/* SPDX-License-Identifier: MIT */
/*
 * The kernel: out of this file's own section, into pages of its own.
 *
 *   | text | rodata | data, bss | symbol table | names |
 *   ^ base, the layout of its virtual addresses   ^ page aligned, read by the kernel only
 */
#include "arch.h"
#include "lib.h"
#include "loader.h"

/* payload.S */
extern const char payload_start[], payload_end[];

/* A pointer the firmware has to relocate: the image must have a non-empty .reloc. */
static const char *volatile payload = payload_start;

static void copy_segments(struct loader *l, const char *file)
{
	uint64_t base = l->memory[MEMORY_KERNEL].base;

	for (uint32_t i = 0; i < l->kernel.segment_count; i++) {
		const struct elf_segment *s = &l->kernel.segments[i];
		uint64_t phys = base + (s->virt - l->kernel.virt);
		char *to = (char *)(uintptr_t)phys;

		memcpy(to, file + s->offset, s->file_bytes);
		memset(to + s->file_bytes, 0, s->pages * PAGE_BYTES - s->file_bytes);
		l->info.segments[i] = (struct boot_segment){
			.virt = s->virt, .phys = phys, .pages = s->pages, .flags = s->flags};
	}
	l->info.segment_count = l->kernel.segment_count;
}

static void copy_symbols(struct loader *l, const char *file)
{
	uint64_t at = l->memory[MEMORY_KERNEL].base + l->kernel.pages * PAGE_BYTES;

	if (l->kernel.symtab_bytes == 0)
		return;
	l->info.symtab = at;
	l->info.symtab_bytes = l->kernel.symtab_bytes;
	l->info.strtab = at + l->kernel.symtab_bytes;
	l->info.strtab_bytes = l->kernel.strtab_bytes;
	memcpy((void *)(uintptr_t)l->info.symtab, file + l->kernel.symtab_offset,
	       l->kernel.symtab_bytes);
	memcpy((void *)(uintptr_t)l->info.strtab, file + l->kernel.strtab_offset,
	       l->kernel.strtab_bytes);
}

EFI_STATUS kernel_load(struct loader *l)
{
	const char *file = payload;
	size_t bytes = loader_pretend(l, "elf") ? 1 : (size_t)(payload_end - payload_start);
	const char *wrong = elf_parse(file, bytes, &l->kernel);
	EFI_STATUS status;

	if (wrong)
		return loader_fail(EFI_LOAD_ERROR, "the kernel in this file is damaged: %s", wrong);
	/* Whole pageblocks of its own, where there is room: it is never freed. */
	status = memory_take(
		l, MEMORY_KERNEL,
		l->kernel.pages + bytes_to_pages(l->kernel.symtab_bytes + l->kernel.strtab_bytes),
		true);
	if (EFI_ERROR(status))
		return status;
	copy_segments(l, file);
	copy_symbols(l, file);
	say("kernel: %llu pages at 0x%llx", l->memory[MEMORY_KERNEL].pages,
	    l->memory[MEMORY_KERNEL].base);
	return EFI_SUCCESS;
}

EFI_STATUS tables_make(struct loader *l)
{
	EFI_STATUS status =
		memory_take(l, MEMORY_TABLES, arch_tables_pages(l->kernel.pages), false);

	if (EFI_ERROR(status))
		return status;
	l->root = arch_tables_make(memory_at(l, MEMORY_TABLES), l->info.segments,
				   l->info.segment_count);
	return EFI_SUCCESS;
}
