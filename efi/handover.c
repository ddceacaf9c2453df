/* SPDX-License-Identifier: MIT */
/*
 * The hand-over: gather what the kernel cannot ask for later, lay it out in
 * one piece of memory, and leave.
 *
 *   MEMORY_INFO:  | struct boot_info | cmdline | autorun | vendor | firmware map, with slack |
 *                                                                  ^ 64-byte aligned
 */
#include "arch.h"
#include "lib.h"
#include "loader.h"
#include "text.h"

#define MEASURE_US       10000u
#define EXIT_ATTEMPTS    32
#define VENDOR_MAX       128
#define VENDOR_UNITS_MAX 100

static uint64_t find_rsdp(const EFI_SYSTEM_TABLE *system)
{
	static const EFI_GUID acpi20 = ACPI_20_TABLE_GUID;
	static const EFI_GUID acpi10 = ACPI_TABLE_GUID;
	uint64_t old = 0;

	for (UINTN i = 0; i < system->NumberOfTableEntries; i++) {
		const EFI_CONFIGURATION_TABLE *t = &system->ConfigurationTable[i];

		if (memcmp(&t->VendorGuid, &acpi20, sizeof acpi20) == 0)
			return (uintptr_t)t->VendorTable;
		if (memcmp(&t->VendorGuid, &acpi10, sizeof acpi10) == 0)
			old = (uintptr_t)t->VendorTable;
	}
	return old;
}

static uint64_t measure_counter(struct loader *l)
{
	uint64_t start = arch_counter();

	if (EFI_ERROR(l->boot->Stall(MEASURE_US)))
		return 0;
	return (arch_counter() - start) * (1000000u / MEASURE_US);
}

EFI_STATUS facts_collect(struct loader *l)
{
	struct boot_info *info = &l->info;

	info->rsdp = find_rsdp(l->system);
	info->system_table = (uintptr_t)l->system;
	info->reset_system = (uintptr_t)l->system->RuntimeServices->ResetSystem;
	info->firmware_revision = l->system->FirmwareRevision;
	info->tsc_hz = measure_counter(l);
	graphics_find(l, &info->framebuffer);
	return EFI_SUCCESS;
}

static size_t text_bytes(const char *text)
{
	size_t n = 0;

	while (text[n])
		n++;
	return n + 1;
}

/* Put a text at *at, step over it, and return where it now is. */
static uint64_t put_text(char **at, const char *text)
{
	uint64_t place = (uintptr_t)*at;
	size_t bytes = text_bytes(text);

	memcpy(*at, text, bytes);
	*at += bytes;
	return place;
}

EFI_STATUS info_make(struct loader *l)
{
	char vendor[VENDOR_MAX] = "";
	struct boot_info *info = &l->info;
	uint64_t map_bytes, texts;
	EFI_STATUS status;
	char *at;

	if (l->system->FirmwareVendor)
		text_from_ucs2(vendor, sizeof vendor, l->system->FirmwareVendor, VENDOR_UNITS_MAX);
	texts = text_bytes(l->config.cmdline) + text_bytes(l->config.autorun) + text_bytes(vendor);
	status = map_capacity(l, &map_bytes);
	if (EFI_ERROR(status))
		return status;
	status = memory_take(l, MEMORY_INFO,
			     bytes_to_pages(align_up(sizeof *info + texts, 64) + map_bytes), false);
	if (EFI_ERROR(status))
		return status;

	l->info_out = memory_at(l, MEMORY_INFO);
	at = (char *)(l->info_out + 1);
	info->cmdline = put_text(&at, l->config.cmdline);
	info->autorun = put_text(&at, l->config.autorun);
	info->firmware_vendor = put_text(&at, vendor);
	info->map = align_up((uintptr_t)at, 64);
	l->map.at = (void *)(uintptr_t)info->map;
	l->map.capacity =
		l->memory[MEMORY_INFO].base + l->memory[MEMORY_INFO].pages * PAGE_BYTES - info->map;

	info->magic = BOOT_INFO_MAGIC;
	info->version = BOOT_INFO_VERSION;
	info->bytes = sizeof *info;
	info->kernel = l->memory[MEMORY_KERNEL];
	info->descriptors = l->memory[MEMORY_DESCRIPTORS];
	info->pool = l->memory[MEMORY_POOL];
	info->info = l->memory[MEMORY_INFO];
	return EFI_SUCCESS;
}

/*
 * UEFI 2.10 section 7.4.6: the key must be that of the current map, and after a
 * first refusal only the memory services and another try are safe. So: nothing between
 * the two calls, not even a line on the console, and many tries, because on some machines the map
 * changes under the first ones.
 */
static EFI_STATUS exit_boot_services(struct loader *l)
{
	EFI_STATUS status = EFI_ABORTED;
	uint32_t stale = loader_pretend(l, "exit") ? EXIT_ATTEMPTS : l->config.stale;

	for (uint32_t i = 0; i < EXIT_ATTEMPTS; i++) {
		status = map_read(l, &l->map);
		if (EFI_ERROR(status))
			continue;
		status = l->boot->ExitBootServices(l->handle, l->map.key - (i < stale));
		if (!EFI_ERROR(status))
			return status;
	}
	return status;
}

/* Returns only when the firmware would not let go. */
EFI_STATUS leave(struct loader *l)
{
	EFI_STATUS status;

	say("leaving boot services");
	status = exit_boot_services(l);
	if (EFI_ERROR(status))
		return loader_fail(status, "the firmware refuses to leave boot services");
	/* From here on there is no firmware to call and nowhere to return to. */
	l->boot = NULL;
	arch_take_over();
	l->info.tsc_exit = arch_counter();
	l->info.map_bytes = l->map.bytes;
	l->info.map_stride = (uint32_t)l->map.stride;
	l->info.map_version = l->map.version;
	*l->info_out = l->info;
	arch_enter(l->root, l->kernel.entry, (uintptr_t)l->info_out);
}
