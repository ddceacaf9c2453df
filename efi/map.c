/* SPDX-License-Identifier: MIT */
/*
 * The firmware's memory map (UEFI 2.10 section 7.2.3).
 *
 * The stride between descriptors is the firmware's DescriptorSize, never
 * sizeof: 40 and 48 both occur. Anything may change the map, so every
 * buffer has real slack.
 */
#include "loader.h"
#include <quire/memmap.h>

#define STRIDE_DEFAULT    48 /* some firmware tells its stride only with the map */
#define SLACK_DESCRIPTORS 64

/* quire/memmap.h and quire/boot_info.h describe UEFI without its headers; hold them to it. */
#define SAME_TYPE(ours, theirs)                                                                    \
	_Static_assert((int)(ours) == (int)(theirs), "UEFI 2.10 section 7.2.1, EFI_MEMORY_TYPE")
SAME_TYPE(MEMMAP_RESERVED, EfiReservedMemoryType);
SAME_TYPE(MEMMAP_LOADER_CODE, EfiLoaderCode);
SAME_TYPE(MEMMAP_LOADER_DATA, EfiLoaderData);
SAME_TYPE(MEMMAP_BOOT_CODE, EfiBootServicesCode);
SAME_TYPE(MEMMAP_BOOT_DATA, EfiBootServicesData);
SAME_TYPE(MEMMAP_RUNTIME_CODE, EfiRuntimeServicesCode);
SAME_TYPE(MEMMAP_RUNTIME_DATA, EfiRuntimeServicesData);
SAME_TYPE(MEMMAP_CONVENTIONAL, EfiConventionalMemory);
SAME_TYPE(MEMMAP_UNUSABLE, EfiUnusableMemory);
SAME_TYPE(MEMMAP_ACPI_RECLAIM, EfiACPIReclaimMemory);
SAME_TYPE(MEMMAP_ACPI_NVS, EfiACPIMemoryNVS);
SAME_TYPE(MEMMAP_MMIO, EfiMemoryMappedIO);
SAME_TYPE(MEMMAP_MMIO_PORTS, EfiMemoryMappedIOPortSpace);
SAME_TYPE(MEMMAP_PAL_CODE, EfiPalCode);
_Static_assert(MEMMAP_ATTR_WB == EFI_MEMORY_WB, "UEFI 2.10 section 7.2.3");
_Static_assert(MEMMAP_ATTR_RUNTIME == EFI_MEMORY_RUNTIME, "UEFI 2.10 section 7.2.3");

#define SAME_PLACE(ours, theirs)                                                                   \
	_Static_assert(offsetof(struct boot_mem_desc, ours) ==                                     \
			       offsetof(EFI_MEMORY_DESCRIPTOR, theirs),                            \
		       "EFI_MEMORY_DESCRIPTOR")
SAME_PLACE(type, Type);
SAME_PLACE(phys, PhysicalStart);
SAME_PLACE(virt, VirtualStart);
SAME_PLACE(pages, NumberOfPages);
SAME_PLACE(attributes, Attribute);
_Static_assert(sizeof(struct boot_mem_desc) == sizeof(EFI_MEMORY_DESCRIPTOR),
	       "EFI_MEMORY_DESCRIPTOR");

EFI_STATUS map_capacity(struct loader *l, uint64_t *bytes)
{
	UINTN needed = 0, key = 0, stride = 0;
	UINT32 version = 0;
	EFI_STATUS status = l->boot->GetMemoryMap(&needed, NULL, &key, &stride, &version);

	if (status != EFI_BUFFER_TOO_SMALL || loader_pretend(l, "map"))
		return loader_fail(EFI_DEVICE_ERROR,
				   "the firmware does not tell the size of its memory map");
	if (stride < STRIDE_DEFAULT)
		stride = STRIDE_DEFAULT;
	*bytes = 2 * needed + SLACK_DESCRIPTORS * stride;
	if (l->config.map[0])
		*bytes = spoil_capacity(*bytes);
	return EFI_SUCCESS;
}

EFI_STATUS map_read(struct loader *l, struct firmware_map *map)
{
	UINTN bytes = map->capacity, stride = 0;
	EFI_STATUS status =
		l->boot->GetMemoryMap(&bytes, map->at, &map->key, &stride, &map->version);

	map->bytes = bytes;
	map->stride = stride;
	if (EFI_ERROR(status))
		return status;
	if (stride < sizeof(struct boot_mem_desc))
		return EFI_INCOMPATIBLE_VERSION;
	/* More than there was room for? Then it wrote past our memory, or lies. */
	if (bytes > map->capacity)
		return EFI_BUFFER_TOO_SMALL;
	if (l->config.map[0])
		map->spoiled = spoil_map(l->config.map, map);
	return EFI_SUCCESS;
}
