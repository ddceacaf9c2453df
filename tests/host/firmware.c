/* SPDX-License-Identifier: MIT */
/* See firmware.h. Invariant: held[] are disjoint and exactly what was allocated and not freed. */
#include "firmware.h"
#include "../../efi/arch.h"
#include <stdlib.h>
#include <string.h>

#define ARENA_BYTES (64u << 20)
#define BLOCK_BYTES ((uint64_t)2 << 20)

struct firmware firmware;
struct firmware_jump firmware_jump;
static char *arena;
static uint64_t arena_used;

/* After the first ExitBootServices only the memory map and another attempt are allowed. */
static void note_call(void)
{
	if (firmware.exits)
		firmware.broke_rules = true;
}

static EFI_STATUS hold(uint64_t base, uint64_t pages)
{
	if (firmware.held_count == FIRMWARE_HELD_MAX)
		return EFI_OUT_OF_RESOURCES;
	firmware.held[firmware.held_count++] = (struct boot_range){base, pages};
	firmware.key++;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI allocate_pages(EFI_ALLOCATE_TYPE how, EFI_MEMORY_TYPE type, UINTN pages,
					EFI_PHYSICAL_ADDRESS *address)
{
	note_call();
	if (type != EfiLoaderData || pages == 0)
		return EFI_INVALID_PARAMETER;
	if (how == AllocateAddress) {
		if (firmware.refuse_places) {
			firmware.refuse_places--;
			return EFI_NOT_FOUND;
		}
		return hold(*address, pages);
	}
	if (firmware.largest && pages > firmware.largest)
		return EFI_OUT_OF_RESOURCES;
	if (firmware.low_answers) {
		*address = 0x1000 + 0x1000 * --firmware.low_answers;
		return hold(*address, pages);
	}
	if (arena_used + pages * PAGE_BYTES > ARENA_BYTES)
		return EFI_OUT_OF_RESOURCES;
	*address = (uintptr_t)arena + arena_used;
	arena_used += pages * PAGE_BYTES;
	return hold(*address, pages);
}

/* Part of an allocation may be freed: up to two pieces remain. */
static EFI_STATUS EFIAPI free_pages(EFI_PHYSICAL_ADDRESS base, UINTN pages)
{
	uint64_t end = base + pages * PAGE_BYTES;

	note_call();
	for (size_t i = 0; i < firmware.held_count; i++) {
		struct boot_range was = firmware.held[i];
		uint64_t was_end = was.base + was.pages * PAGE_BYTES;

		if (base < was.base || end > was_end)
			continue;
		firmware.held[i] = firmware.held[--firmware.held_count];
		if (base > was.base)
			hold(was.base, (base - was.base) / PAGE_BYTES);
		if (end < was_end)
			hold(end, (was_end - end) / PAGE_BYTES);
		firmware.key++;
		return EFI_SUCCESS;
	}
	firmware.broke_rules = true; /* nobody has that */
	return EFI_NOT_FOUND;
}

static EFI_STATUS EFIAPI get_memory_map(UINTN *bytes, EFI_MEMORY_DESCRIPTOR *out, UINTN *key,
					UINTN *stride, UINT32 *version)
{
	UINTN needed = firmware.map_count * firmware.stride;

	if (firmware.map_status)
		return firmware.map_status;
	if (*bytes < needed) {
		*bytes = needed;
		*stride = firmware.tells_no_stride ? 0 : firmware.stride;
		return EFI_BUFFER_TOO_SMALL;
	}
	for (size_t i = 0; i < firmware.map_count; i++)
		memcpy((char *)out + i * firmware.stride, &firmware.map[i],
		       firmware.stride < sizeof firmware.map[i] ? firmware.stride
								: sizeof firmware.map[i]);
	*bytes = needed;
	*key = firmware.key;
	*stride = firmware.stride;
	*version = 1;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI exit_boot_services(EFI_HANDLE handle, UINTN key)
{
	firmware.exits++;
	if (handle != &firmware || firmware.gone)
		firmware.broke_rules = true;
	if (firmware.exits <= firmware.exit_refusals) {
		firmware.key++;
		for (unsigned i = 0; i < firmware.map_grows; i++)
			firmware.map[firmware.map_count++ % FIRMWARE_MAP_MAX] = firmware.map[0];
	}
	if (key != firmware.key)
		return EFI_INVALID_PARAMETER;
	firmware.gone = true;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI stall(UINTN microseconds)
{
	note_call();
	return microseconds ? EFI_SUCCESS : EFI_INVALID_PARAMETER;
}

static EFI_STATUS EFIAPI output_string(SIMPLE_TEXT_OUTPUT_INTERFACE *console, CHAR16 *text)
{
	size_t used = strlen(firmware.said);

	/* A failed exit may be told: there is nothing left to lose then. */
	if (console != &firmware.console || firmware.gone)
		firmware.broke_rules = true;
	for (; *text && used + 1 < sizeof firmware.said; text++)
		firmware.said[used++] = (char)*text;
	firmware.said[used] = '\0';
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI handle_protocol(EFI_HANDLE handle, EFI_GUID *guid, VOID **interface)
{
	note_call();
	*interface = firmware.protocol ? firmware.protocol(handle, guid) : NULL;
	return *interface ? EFI_SUCCESS : EFI_UNSUPPORTED;
}

static EFI_STATUS EFIAPI locate_handle_buffer(EFI_LOCATE_SEARCH_TYPE how, EFI_GUID *guid, VOID *key,
					      UINTN *count, EFI_HANDLE **handles)
{
	note_call();
	if (how != ByProtocol || !guid || key)
		return EFI_INVALID_PARAMETER;
	if (!firmware.handle_count)
		return EFI_NOT_FOUND;
	*handles = malloc(sizeof firmware.handles);
	memcpy(*handles, firmware.handles, sizeof firmware.handles);
	*count = firmware.handle_count;
	firmware.pools++;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI free_pool(VOID *buffer)
{
	note_call();
	free(buffer);
	firmware.pools--;
	return EFI_SUCCESS;
}

void firmware_start(struct loader *l, const struct boot_mem_desc *map, size_t count)
{
	memset(&firmware, 0, sizeof firmware);
	memset(&firmware_jump, 0, sizeof firmware_jump);
	if (!arena)
		arena = aligned_alloc(BLOCK_BYTES, ARENA_BYTES);
	arena_used = 3 * PAGE_BYTES; /* so that nothing is 2 MiB aligned by chance */
	if (count)
		memcpy(firmware.map, map, count * sizeof *map);
	firmware.map_count = count;
	firmware.stride = 48;
	firmware.boot.AllocatePages = allocate_pages;
	firmware.boot.FreePages = free_pages;
	firmware.boot.GetMemoryMap = get_memory_map;
	firmware.boot.ExitBootServices = exit_boot_services;
	firmware.boot.Stall = stall;
	firmware.boot.HandleProtocol = handle_protocol;
	firmware.boot.LocateHandleBuffer = locate_handle_buffer;
	firmware.boot.FreePool = free_pool;
	firmware.console.OutputString = output_string;
	firmware.system.ConOut = &firmware.console;
	firmware.system.BootServices = &firmware.boot;
	firmware.system.RuntimeServices = &firmware.runtime;
	memset(l, 0, sizeof *l);
	l->handle = &firmware;
	l->system = &firmware.system;
	l->boot = &firmware.boot;
	console_init(&firmware.system);
}

int firmware_end(void **state)
{
	(void)state;
	free(arena);
	arena = NULL;
	return 0;
}

/* ---- the CPU, and what main.c supplies ---- */

bool loader_pretend(const struct loader *l, const char *name)
{
	return strcmp(l->config.fail, name) == 0;
}

uint64_t arch_counter(void)
{
	static uint64_t counter;

	return counter += 1000;
}

void arch_take_over(void)
{
	firmware_jump.taken_over = true;
}

void arch_enter(uint64_t root, uint64_t entry, uint64_t info)
{
	firmware_jump.root = root;
	firmware_jump.entry = entry;
	firmware_jump.info = info;
	longjmp(firmware_jump.back, 1);
}
