/* SPDX-License-Identifier: MIT */
/*
 * What the types of a firmware memory map mean to Quire.
 *
 * The numbers are those of UEFI 2.10 section 7.2.1 (EFI_MEMORY_TYPE) and
 * 7.2.3 (attributes); efi/ asserts that. This is the one table that turns a
 * firmware type into a region kind, used by the loader, the kernel and memplan.
 */
#ifndef QUIRE_MEMMAP_H
#define QUIRE_MEMMAP_H

#include <quire/region.h>

enum memmap_type {
	MEMMAP_RESERVED,
	MEMMAP_LOADER_CODE,
	MEMMAP_LOADER_DATA,
	MEMMAP_BOOT_CODE,
	MEMMAP_BOOT_DATA,
	MEMMAP_RUNTIME_CODE,
	MEMMAP_RUNTIME_DATA,
	MEMMAP_CONVENTIONAL,
	MEMMAP_UNUSABLE,
	MEMMAP_ACPI_RECLAIM,
	MEMMAP_ACPI_NVS,
	MEMMAP_MMIO,
	MEMMAP_MMIO_PORTS,
	MEMMAP_PAL_CODE,
	MEMMAP_PERSISTENT,
	MEMMAP_UNACCEPTED,
	MEMMAP_TYPES,
};

#define MEMMAP_ATTR_WB      ((uint64_t)1 << 3)
#define MEMMAP_ATTR_RUNTIME ((uint64_t)1 << 63)

/* The firmware's name of a type ("BootServicesData"), "unknown" from MEMMAP_TYPES on. */
const char *memmap_type_name(uint32_t type);

/* The type with that name, or -1. */
int memmap_type_from_name(const char *name, size_t length);

/* What Quire makes of a descriptor of that type. Unknown types are reserved. */
enum region_kind memmap_kind(uint32_t type);

/* Why, in a few words for a person: "boot services: free once the firmware has let go". */
const char *memmap_reason(uint32_t type);

/*
 * Is there RAM behind it? Reserved counts when it is write-back cacheable:
 * PCIe configuration windows and flash, also reported as reserved, are not.
 */
bool memmap_is_ram(uint32_t type, uint64_t attributes);

#endif
