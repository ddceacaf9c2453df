/* SPDX-License-Identifier: MIT */
/* What the loader asks of the CPU. One implementation a CPU, in efi/<cpu>/. */
#ifndef QUIRE_EFI_ARCH_H
#define QUIRE_EFI_ARCH_H

#include <quire/boot_info.h>
#include <quire/compiler.h>

/* NULL, or why Quire cannot run on the machine as the firmware set it up. */
const char *arch_refusal(void);

/* A counter that runs at a constant rate. */
uint64_t arch_counter(void);

/* Pages that arch_tables_make() needs for an image of so many pages. */
uint64_t arch_tables_pages(uint64_t image_pages);

/*
 * Build in `memory` the page tables described in quire/boot_info.h: the
 * firmware's lower half, the same again in the direct map window, and the
 * segments where they are linked. Returns what arch_enter() wants as `root`.
 */
uint64_t arch_tables_make(void *memory, const struct boot_segment *segments, uint32_t count);

/*
 * The firmware is gone: no interrupt from here on, and no page is read-only. Some firmware
 * write-protects the loader's memory when it leaves, and struct boot_info is not finished yet.
 */
void arch_take_over(void);

/* Switch to the tables and jump to the kernel's first instruction. `info` is physical. */
noreturn_fn void arch_enter(uint64_t root, uint64_t entry, uint64_t info);

#endif
