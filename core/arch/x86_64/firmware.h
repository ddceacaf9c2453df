/* SPDX-License-Identifier: MIT */
/* Calling UEFI runtime services after the hand-over. */
#ifndef QUIRE_X86_FIRMWARE_H
#define QUIRE_X86_FIRMWARE_H

#include <quire/compiler.h>

/* EFI_RESET_TYPE, UEFI 2.10 section 8.5.1. */
enum firmware_reset {
	FIRMWARE_RESET_COLD,
	FIRMWARE_RESET_WARM,
	FIRMWARE_RESET_SHUTDOWN,
};

/*
 * ResetSystem; `otherwise` goes on when the firmware has none, returns or
 * faults. Interrupts go off for good. Threads and boot, after memory_init().
 */
noreturn_fn void firmware_reset(enum firmware_reset type, void (*otherwise)(void));

#endif
