/* SPDX-License-Identifier: MIT */
/*
 * Memory taken from the firmware.
 *
 * Invariant: memory[use] names exactly the pages held for that use, so that
 * whatever happens before the exit, giving back every entry leaves the
 * firmware as it was found.
 */
#include "loader.h"

#define LOW_MEMORY_END 0x100000u
#define HELD_MAX       8
#define BLOCK_BYTES    (PAGEBLOCK_PAGES * PAGE_BYTES)

static const struct {
	const char *name; /* for fail=NAME */
	const char *text;
} uses[MEMORY_USES] = {
	[MEMORY_SCRATCH] = {"scratch", "a copy of the firmware's memory map"},
	[MEMORY_DESCRIPTORS] = {"descriptors", "the descriptor array"},
	[MEMORY_POOL] = {"pool", "the boot pool"},
	[MEMORY_KERNEL] = {"kernel", "the kernel"},
	[MEMORY_TABLES] = {"tables", "the first page tables"},
	[MEMORY_INFO] = {"info", "the boot information"},
};

static EFI_STATUS allocate(struct loader *l, uint64_t pages, uint64_t *base)
{
	EFI_PHYSICAL_ADDRESS address = 0;
	EFI_STATUS status =
		l->boot->AllocatePages(AllocateAnyPages, EfiLoaderData, pages, &address);

	*base = address;
	return status;
}

/*
 * The first MiB belongs to the machine's past (and to starting other CPUs).
 * Firmware that answers with it is asked again while its answer is held.
 */
static EFI_STATUS allocate_high(struct loader *l, uint64_t pages, uint64_t *base)
{
	uint64_t held[HELD_MAX];
	size_t held_count = 0;
	EFI_STATUS status = allocate(l, pages, base);

	while (!EFI_ERROR(status) && *base < LOW_MEMORY_END) {
		if (held_count == HELD_MAX) {
			l->boot->FreePages(*base, pages);
			status = EFI_OUT_OF_RESOURCES;
			break;
		}
		held[held_count++] = *base;
		status = allocate(l, pages, base);
	}
	while (held_count)
		l->boot->FreePages(held[--held_count], pages);
	return status;
}

/* Take a pageblock too much, and give back what lies before and behind the aligned part. */
static EFI_STATUS allocate_aligned(struct loader *l, uint64_t pages, uint64_t *base)
{
	uint64_t all = pages + PAGEBLOCK_PAGES - 1;
	uint64_t start, before, behind;
	EFI_STATUS status = allocate_high(l, all, &start);

	if (EFI_ERROR(status))
		return status;
	*base = align_up(start, BLOCK_BYTES);
	before = (*base - start) / PAGE_BYTES;
	behind = all - before - pages;
	if (before)
		l->boot->FreePages(start, before);
	if (behind)
		l->boot->FreePages(*base + pages * PAGE_BYTES, behind);
	return EFI_SUCCESS;
}

EFI_STATUS memory_take(struct loader *l, enum memory_use use, uint64_t pages, bool align_2m)
{
	EFI_STATUS status = EFI_OUT_OF_RESOURCES;
	uint64_t base;

	if (loader_pretend(l, uses[use].name))
		goto out;
	if (align_2m)
		status = allocate_aligned(l, pages, &base);
	if (EFI_ERROR(status))
		status = allocate_high(l, pages, &base);
	if (!EFI_ERROR(status))
		l->memory[use] = (struct boot_range){base, pages};
out:
	if (EFI_ERROR(status))
		return loader_fail(status, "no memory for %s, %llu pages", uses[use].text, pages);
	return EFI_SUCCESS;
}

EFI_STATUS memory_take_at(struct loader *l, enum memory_use use, uint64_t base, uint64_t pages)
{
	EFI_PHYSICAL_ADDRESS address = base;
	EFI_STATUS status =
		loader_pretend(l, uses[use].name)
			? EFI_OUT_OF_RESOURCES
			: l->boot->AllocatePages(AllocateAddress, EfiLoaderData, pages, &address);

	if (!EFI_ERROR(status))
		l->memory[use] = (struct boot_range){base, pages};
	return status;
}

void memory_give_back(struct loader *l, enum memory_use use)
{
	struct boot_range *held = &l->memory[use];

	if (held->pages)
		l->boot->FreePages(held->base, held->pages);
	*held = (struct boot_range){0, 0};
}

uint64_t memory_give_back_all(struct loader *l)
{
	uint64_t pages = 0;

	for (unsigned use = MEMORY_USES; use-- > 0;) {
		pages += l->memory[use].pages;
		memory_give_back(l, (enum memory_use)use);
	}
	return pages;
}
