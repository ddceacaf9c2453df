/* SPDX-License-Identifier: MIT */
/*
 * The one table that says what a firmware memory type means to Quire: its
 * name, the kind of region it makes, whether there is RAM behind it, and the
 * reason, for a person who asks the shell or memplan.
 *
 * Invariant: every type number below MEMMAP_TYPES has a row; any other number
 * is treated as reserved. Lock: none, the table is constant.
 */
#include <quire/memmap.h>

/* Reserved covers both RAM that firmware keeps and address space without any. */
enum behind {
	BEHIND_RAM,
	BEHIND_NO_RAM,
	BEHIND_RAM_IF_CACHEABLE,
};

struct type_row {
	const char *name;
	const char *reason;
	enum region_kind kind;
	enum behind behind;
};

/* clang-format off */
static const struct type_row rows[MEMMAP_TYPES] = {
	[MEMMAP_RESERVED] = {"Reserved", "the firmware does not say for what",
		REGION_RESERVED, BEHIND_RAM_IF_CACHEABLE},
	[MEMMAP_LOADER_CODE] = {"LoaderCode", "the loader's: free once the kernel runs",
		REGION_RECLAIMABLE, BEHIND_RAM},
	[MEMMAP_LOADER_DATA] = {"LoaderData", "the loader's: free once the kernel runs",
		REGION_RECLAIMABLE, BEHIND_RAM},
	[MEMMAP_BOOT_CODE] = {"BootServicesCode", "boot services: free once the firmware has let go",
		REGION_RECLAIMABLE, BEHIND_RAM},
	[MEMMAP_BOOT_DATA] = {"BootServicesData", "boot services: free once the firmware has let go",
		REGION_RECLAIMABLE, BEHIND_RAM},
	[MEMMAP_RUNTIME_CODE] = {"RuntimeServicesCode", "runtime services: reset and power-off call into it",
		REGION_RUNTIME, BEHIND_RAM},
	[MEMMAP_RUNTIME_DATA] = {"RuntimeServicesData", "runtime services: reset and power-off use it",
		REGION_RUNTIME, BEHIND_RAM},
	[MEMMAP_CONVENTIONAL] = {"Conventional", "free RAM",
		REGION_USABLE, BEHIND_RAM},
	[MEMMAP_UNUSABLE] = {"Unusable", "RAM in which the firmware found errors",
		REGION_BAD, BEHIND_RAM},
	[MEMMAP_ACPI_RECLAIM] = {"ACPIReclaim", "ACPI tables: kept, the kernel reads them",
		REGION_ACPI, BEHIND_RAM},
	[MEMMAP_ACPI_NVS] = {"ACPINVS", "ACPI firmware's working memory: never touched",
		REGION_NVS, BEHIND_RAM},
	[MEMMAP_MMIO] = {"MMIO", "device registers",
		REGION_MMIO, BEHIND_NO_RAM},
	[MEMMAP_MMIO_PORTS] = {"MMIOPortSpace", "device registers: I/O ports seen as memory",
		REGION_MMIO, BEHIND_NO_RAM},
	[MEMMAP_PAL_CODE] = {"PalCode", "processor firmware",
		REGION_RESERVED, BEHIND_RAM_IF_CACHEABLE},
	[MEMMAP_PERSISTENT] = {"Persistent", "persistent memory: holds somebody's data",
		REGION_PERSISTENT, BEHIND_NO_RAM},
	[MEMMAP_UNACCEPTED] = {"Unaccepted", "not yet accepted from the hypervisor",
		REGION_UNACCEPTED, BEHIND_RAM},
};

static const struct type_row unknown = {"unknown", "a type Quire does not know: left alone",
	REGION_RESERVED, BEHIND_RAM_IF_CACHEABLE};
/* clang-format on */

static const struct type_row *row_of(uint32_t type)
{
	return type < MEMMAP_TYPES ? &rows[type] : &unknown;
}

const char *memmap_type_name(uint32_t type)
{
	return row_of(type)->name;
}

static bool name_is(const char *name, const char *text, size_t length)
{
	size_t i = 0;

	while (i < length && name[i] != '\0' && name[i] == text[i])
		i++;
	return i == length && name[i] == '\0';
}

int memmap_type_from_name(const char *name, size_t length)
{
	for (int type = 0; type < MEMMAP_TYPES; type++) {
		if (name_is(rows[type].name, name, length))
			return type;
	}
	return -1;
}

enum region_kind memmap_kind(uint32_t type)
{
	return row_of(type)->kind;
}

const char *memmap_reason(uint32_t type)
{
	return row_of(type)->reason;
}

bool memmap_is_ram(uint32_t type, uint64_t attributes)
{
	enum behind behind = row_of(type)->behind;

	return behind == BEHIND_RAM ||
	       (behind == BEHIND_RAM_IF_CACHEABLE && (attributes & MEMMAP_ATTR_WB) != 0);
}
