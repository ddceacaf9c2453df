/* SPDX-License-Identifier: MIT */
/* The page tables the kernel starts on. Pure code: tables are arrays in memory given. */
#ifndef QUIRE_EFI_PAGING_H
#define QUIRE_EFI_PAGING_H

#include <quire/boot_info.h>

/* An upper bound of the tables for an image of so many pages in the top 2 GiB. */
uint64_t paging_pages(uint64_t image_pages);

/*
 * Build tables in `memory` (paging_pages() pages, identity mapped) over a copy of
 * the firmware's root. Returns the address of the new root.
 */
uint64_t paging_build(void *memory, const uint64_t *firmware_root,
		      const struct boot_segment *segments, uint32_t count, bool nx);

#endif
