/* SPDX-License-Identifier: MIT */
/*
 * The loader's one state and its stages.
 *
 * Every stage takes the loader as the stage before left it and returns
 * EFI_SUCCESS, or prints one plain sentence (loader_fail) and returns the
 * status. Nothing is freed by a stage: what it took stands in `memory[]`, and
 * efi_main() gives all of it back.
 *
 * UEFI types end in this folder.
 */
#ifndef QUIRE_EFI_LOADER_H
#define QUIRE_EFI_LOADER_H

#include "config.h"
#include "elf.h"
#include <quire/boot_info.h>
#include <quire/compiler.h>
#include <quire/desc_plan.h>

#include <efi.h>
/* GNU-EFI takes this compiler for Microsoft's and makes attributes vanish: printf_like and all. */
#undef __attribute__

/*
 * What memory is taken for. All LoaderData. The first lives only until the
 * descriptor array is placed; the tables only until the kernel has its own;
 * the other four are named in struct boot_info.
 */
enum memory_use {
	MEMORY_SCRATCH, /* firmware map and regions, for planning */
	MEMORY_DESCRIPTORS,
	MEMORY_POOL,
	MEMORY_KERNEL,
	MEMORY_TABLES,
	MEMORY_INFO,
	MEMORY_USES,
};

/* A firmware map as GetMemoryMap left it, and the buffer it lies in. */
struct firmware_map {
	void *at;
	uint64_t capacity; /* bytes */
	uint64_t bytes;
	uint64_t stride;
	UINT32 version;
	UINTN key;
	bool spoiled; /* as map= asks for */
};

struct loader {
	EFI_HANDLE handle;
	EFI_SYSTEM_TABLE *system;
	EFI_BOOT_SERVICES *boot;
	struct config config;
	struct boot_range memory[MEMORY_USES]; /* 0 pages: not taken */
	struct elf_image kernel;
	uint64_t root; /* page tables for the kernel's first instructions */
	struct firmware_map map;
	struct boot_info info; /* collected here, copied into MEMORY_INFO at the end */
	struct boot_info *info_out;
};

/* ---- the stages, in order (main.c) ---- */
must_check EFI_STATUS machine_check(struct loader *l);
must_check EFI_STATUS options_read(struct loader *l);
must_check EFI_STATUS place_descriptors(struct loader *l);
must_check EFI_STATUS kernel_load(struct loader *l);
must_check EFI_STATUS tables_make(struct loader *l);
must_check EFI_STATUS facts_collect(struct loader *l);
must_check EFI_STATUS info_make(struct loader *l);
must_check EFI_STATUS leave(struct loader *l);

/* ---- memory.c ---- */
/* Take pages, not below 1 MiB; aligned to 2 MiB when `align_2m` and possible. Says why it failed.
 */
must_check EFI_STATUS memory_take(struct loader *l, enum memory_use use, uint64_t pages,
				  bool align_2m);
/* Take exactly these. Silent: the caller may know another place. */
must_check EFI_STATUS memory_take_at(struct loader *l, enum memory_use use, uint64_t base,
				     uint64_t pages);
void memory_give_back(struct loader *l, enum memory_use use);
/* Everything still held, last taken first. Returns the pages. */
uint64_t memory_give_back_all(struct loader *l);
static inline void *memory_at(const struct loader *l, enum memory_use use)
{
	return (void *)(uintptr_t)l->memory[use].base;
}

/* ---- map.c ---- */
/* A buffer size that the map fits in with real slack, however it grows. 0 when the firmware fails.
 */
must_check EFI_STATUS map_capacity(struct loader *l, uint64_t *bytes);
/* Read the map into map->at. Calls the firmware once and nothing else. */
must_check EFI_STATUS map_read(struct loader *l, struct firmware_map *map);

/* ---- spoil.c ---- */
/* The room that any spoiled map of so many bytes takes. */
uint64_t spoil_capacity(uint64_t bytes);
/* Spoil a map that was read, in the way of that name. False, and the map as it was, for an unknown one. */
bool spoil_map(const char *name, struct firmware_map *map);

/* ---- graphics.c ---- */
void graphics_find(struct loader *l, struct boot_framebuffer *out);

/* ---- console.c ---- */
void console_init(EFI_SYSTEM_TABLE *system);
/* One line on the firmware's console, prefixed "Quire loader: ". */
void say(const char *format, ...) printf_like(1, 2);
/* "Quire cannot start: <sentence> (EFI_OUT_OF_RESOURCES)". Returns `status`. */
cold_fn EFI_STATUS loader_fail(EFI_STATUS status, const char *format, ...) printf_like(2, 3);
/* "EFI_NOT_FOUND"; "an unknown status" for what UEFI 2.10 appendix D does not know. */
const char *status_name(EFI_STATUS status);

/* A bug of our own: say so, give everything back, and leave for the firmware; or stand still,
 * once there is none. */
noreturn_fn cold_fn void loader_give_up(const char *why);

/* ---- guard.c ---- */
void guard_init(const struct loader *l);
void guard_provoke(void);

/* Does quire.cfg ask for the failure of that name? */
bool loader_pretend(const struct loader *l, const char *name);

#endif
