/* SPDX-License-Identifier: MIT */
/*
 * The kernel's memory, as a whole: what the firmware gave, what became of it,
 * and the equation that must balance:
 *
 *   RAM = free + used + kernel + metadata + firmware      (pages)
 *
 * RAM       every frame of the firmware map with RAM behind it
 * free/used the page allocator's
 * kernel    kernel image, symbols, hand-over data
 * metadata  descriptor array, superblocks, bitmaps, page tables made at boot
 * firmware  kept by the firmware or unusable: runtime, ACPI, NVS, reserved RAM, page 0, ...
 */
#ifndef QUIRE_MEMORY_H
#define QUIRE_MEMORY_H

#include <quire/boot_info.h>
#include <quire/page.h>
#include <quire/region.h>

extern struct page_allocator kernel_pages;

/* From the hand-over to a working page allocator on our own page tables. Panics with a sentence.
 * Boot only. */
void memory_init(const struct boot_info *bi);

/* Boot services' and the loader's memory becomes free (unless reclaim=off). After the switch to own
 * tables. */
void memory_reclaim(void);

/* core/guard.c: make the pool for guarded objects as the command line says. After memory_reclaim(). */
void guard_init(void);
/* Milliseconds, "on", "off" or "every". -EINVAL for anything else, -ENOMEM without a pool. */
must_check int guard_set_rate(const char *text);
uint64_t guard_rate_ms(uint32_t ticks);

/* Zeroed memory that is never freed, from the boot pool; NULL when exhausted. Until memory_init()
 * ends. */
void *boot_alloc(size_t bytes);
/* The same without zeroing, for what is written before it is read: zeroing costs an instruction
 * for every 8 bytes, and the tables for 2 TiB of RAM are 80 MiB. */
void *boot_alloc_raw(size_t bytes);

struct memory_stats {
	uint64_t ram_pages, free_pages, used_pages, kernel_pages, metadata_pages, firmware_pages;
	uint64_t kernel_image_pages, symbol_pages, handover_pages; /* parts of kernel_pages */
	uint64_t descriptor_pages, pool_pages;                     /* parts of metadata_pages */
	uint64_t undescribed_pages; /* part of firmware_pages: too sparse to manage */
	uint64_t unreclaimed_pages; /* part of firmware_pages: reclaim=off */
};
void memory_stats(struct memory_stats *out);

/* Give back what kmalloc keeps in reserve, so that counters tell exactly what is in use. */
void memory_settle(void);

/* NULL when the equation holds and the page allocator and kmalloc agree with it; else what is
 * wrong. */
const char *memory_check(void);

/* The firmware map as given, entry by entry. False past the end. */
bool memory_firmware_entry(size_t i, struct boot_mem_desc *out);
/* The regions after normalisation with the kernel's own laid over. */
const struct region *memory_regions(size_t *count);
/* "kernel image", "descriptor array", ... for a frame of a KERNEL or METADATA region; else NULL. */
const char *memory_reserved_for(pfn_t frame);

#endif
