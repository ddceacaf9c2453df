/* SPDX-License-Identifier: MIT */
/*
 * A pretended UEFI firmware for the loader's code on a host: a memory map, an
 * allocator over a real arena, a console that remembers, and whatever ill
 * temper a test asks for. Identity mapped, as UEFI is.
 */
#ifndef QUIRE_HOST_FIRMWARE_H
#define QUIRE_HOST_FIRMWARE_H

#include "../../efi/loader.h"
#include <setjmp.h>

#define FIRMWARE_MAP_MAX  8192
#define FIRMWARE_HELD_MAX 32

struct firmware {
	EFI_SYSTEM_TABLE system;
	EFI_BOOT_SERVICES boot;
	EFI_RUNTIME_SERVICES runtime;
	SIMPLE_TEXT_OUTPUT_INTERFACE console;
	char said[8192]; /* everything printed, as ASCII */

	/* Its map. Allocating does not change it, but makes its key stale. */
	struct boot_mem_desc map[FIRMWARE_MAP_MAX];
	size_t map_count;
	UINTN stride;
	UINTN key;
	bool tells_no_stride;  /* with the size */
	EFI_STATUS map_status; /* instead of a map, when not 0 */

	/* What is allocated now. */
	struct boot_range held[FIRMWARE_HELD_MAX];
	size_t held_count;
	unsigned low_answers;   /* so many answers to AllocateAnyPages lie below 1 MiB */
	uint64_t largest;       /* it has no more pages in one piece, when not 0 */
	unsigned refuse_places; /* so many AllocateAddress are refused */

	/* What its handles offer: a protocol, or NULL. */
	void *(*protocol)(EFI_HANDLE handle, const EFI_GUID *guid);
	EFI_HANDLE handles[4]; /* what LocateHandleBuffer finds, whatever is asked for */
	UINTN handle_count;
	unsigned pools; /* buffers handed out and not freed */

	/* Leaving. */
	unsigned exit_refusals; /* so many attempts find the map changed */
	unsigned map_grows;     /* by so many descriptors, each time */
	unsigned exits;
	bool gone;        /* boot services are no more */
	bool broke_rules; /* something else was called after the first attempt */
};

extern struct firmware firmware;

/* A loader just started by a friendly firmware with this map. */
void firmware_start(struct loader *l, const struct boot_mem_desc *map, size_t count);
/* A group's teardown, as cmocka wants one. */
int firmware_end(void **state);

/* The jump, as the CPU saw it. arch_enter() comes back here. */
extern struct firmware_jump {
	jmp_buf back;
	uint64_t root, entry, info;
	bool taken_over;
} firmware_jump;

#endif
