/* SPDX-License-Identifier: MIT */
/*
 * The hand-over: what the loader (efi/) tells the kernel (core/).
 *
 * Plain data. Every address is physical and lies in memory the kernel keeps
 * until it has copied what it wants (`info` below). The layout is versioned
 * and asserted; a kernel refuses a version it does not know.
 *
 * CPU state at the kernel's entry point (x86-64): long mode, 4-level paging,
 * interrupts off, direction flag clear, CR0.WP and CET off, RDI = physical
 * address of struct boot_info, page tables of the loader in which
 *   - the lower half is the firmware's identity map,
 *   - the direct map window (DIRECT_MAP_BASE) shows the same physical memory,
 *   - the kernel image is mapped at its linked addresses.
 * The stack is the kernel's own to set. Those tables lie in reclaimable memory.
 */
#ifndef QUIRE_BOOT_INFO_H
#define QUIRE_BOOT_INFO_H

#include <quire/types.h>

#define BOOT_INFO_MAGIC   0x3145524955510a0dull /* "\r\nQUIRE1", little endian */
#define BOOT_INFO_VERSION 1

/* One descriptor of the firmware map. UEFI 2.10 section 7.2.3, EFI_MEMORY_DESCRIPTOR. */
struct boot_mem_desc {
	uint32_t type; /* enum memmap_type */
	uint32_t pad;
	uint64_t phys;
	uint64_t virt;
	uint64_t pages;
	uint64_t attributes;
};

struct boot_range {
	uint64_t base; /* physical, page aligned */
	uint64_t pages;
};

enum boot_segment_flags {
	BOOT_SEGMENT_WRITE = 1,
	BOOT_SEGMENT_EXECUTE = 2,
};

/* One loaded segment of the kernel ELF. */
struct boot_segment {
	uint64_t virt; /* page aligned */
	uint64_t phys;
	uint64_t pages;
	uint32_t flags; /* enum boot_segment_flags */
	uint32_t pad;
};

#define BOOT_SEGMENTS_MAX 8

enum boot_pixel_format {
	BOOT_PIXELS_NONE, /* no linear framebuffer */
	BOOT_PIXELS_RGBX, /* byte 0 red */
	BOOT_PIXELS_BGRX, /* byte 0 blue */
	BOOT_PIXELS_MASKS,
};

struct boot_framebuffer {
	uint64_t base;
	uint64_t bytes;
	uint32_t width; /* pixels */
	uint32_t height;
	uint32_t stride;                          /* pixels a scan line */
	uint32_t format;                          /* enum boot_pixel_format; 32 bits a pixel */
	uint32_t red_mask, green_mask, blue_mask; /* valid for every format but NONE */
	uint32_t pad;
};

/* A file the loader read for the kernel. None yet; user programs will come this way. */
struct boot_module {
	uint64_t base;
	uint64_t bytes;
	char name[48];
};

#define BOOT_MODULES_MAX 8

struct boot_info {
	uint64_t magic;
	uint32_t version;
	uint32_t bytes; /* sizeof(struct boot_info) as the loader saw it */

	/* The final firmware map: `map_bytes` of descriptors, one each `map_stride` bytes. */
	uint64_t map;
	uint64_t map_bytes;
	uint32_t map_stride;
	uint32_t map_version;

	/* Where the memory the loader reserved lies. All are LoaderData in the map. */
	struct boot_range kernel;      /* kernel image and its symbols */
	struct boot_range descriptors; /* the page descriptor array */
	struct boot_range pool;        /* boot pool: page tables, superblocks, bitmaps */
	struct boot_range info;        /* this struct, the map, strings */

	struct boot_segment segments[BOOT_SEGMENTS_MAX];
	uint32_t segment_count;
	uint32_t module_count;
	struct boot_module modules[BOOT_MODULES_MAX];

	/* ELF symbol table and its strings, inside `kernel`; 0 bytes when absent. */
	uint64_t symtab, symtab_bytes;
	uint64_t strtab, strtab_bytes;

	struct boot_framebuffer framebuffer;

	uint64_t rsdp;         /* ACPI RSDP, or 0 */
	uint64_t system_table; /* EFI_SYSTEM_TABLE */
	uint64_t reset_system; /* EFI_RESET_SYSTEM of the runtime services, or 0 */
	uint64_t cmdline;      /* NUL-terminated UTF-8, never 0 */
	uint64_t autorun; /* shell commands to run at the first prompt; NUL-terminated, never 0 */
	uint64_t firmware_vendor; /* NUL-terminated UTF-8, never 0 */
	uint32_t firmware_revision;
	uint32_t refused_places; /* places for the array the firmware refused before one was
				    accepted */

	/* Time stamp counter readings, and its rate as measured against the firmware's Stall(). */
	uint64_t tsc_entry; /* first instruction of the loader */
	uint64_t tsc_exit;  /* ExitBootServices returned */
	uint64_t tsc_hz;    /* estimate, 0 when not measured */
};

_Static_assert(sizeof(struct boot_mem_desc) == 40, "EFI_MEMORY_DESCRIPTOR is 40 bytes");
_Static_assert(sizeof(struct boot_segment) == 32, "layout is part of the hand-over");
_Static_assert(sizeof(struct boot_framebuffer) == 48, "layout is part of the hand-over");
_Static_assert(sizeof(struct boot_info) == 1040, "layout is part of the hand-over");

/* Descriptor `i` of a raw map; the stride is the firmware's, never sizeof. */
static inline const struct boot_mem_desc *boot_map_at(const void *map, uint32_t stride, size_t i)
{
	return (const struct boot_mem_desc *)(const void *)((const char *)map + i * stride);
}

#endif
