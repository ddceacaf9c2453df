/* SPDX-License-Identifier: MIT */
/*
 * Page tables of the kernel: 4 levels. All tables lie in RAM the direct map shows.
 *
 *   PML4 entry   what                          made
 *   0   - 255    user (empty)                  -
 *   256 - 447    direct map, 96 TiB            at boot
 *   448 - 463    page descriptors, 8 TiB       at boot, filled in on first use
 *   480          kernel stacks                 PDs at boot, PTs with the stacks
 *   481          devices                       at boot, filled in by arch_map_physical()
 *   482          guarded objects               at boot, pages come and go (guard_window.c)
 *   511          kernel image                  at boot
 */
#ifndef QUIRE_X86_PAGING_H
#define QUIRE_X86_PAGING_H

#include "cpu.h"
#include "span.h"
#include <quire/arch.h>

#define PTE_PRESENT       ((uint64_t)1 << 0)
#define PTE_WRITE         ((uint64_t)1 << 1)
#define PTE_USER          ((uint64_t)1 << 2)
#define PTE_WRITE_THROUGH ((uint64_t)1 << 3) /* alone: PAT entry 1, write-combining */
#define PTE_CACHE_DISABLE ((uint64_t)1 << 4)
#define PTE_ACCESSED      ((uint64_t)1 << 5)
#define PTE_LARGE         ((uint64_t)1 << 7)
#define PTE_GLOBAL        ((uint64_t)1 << 8)
#define PTE_NX            ((uint64_t)1 << 63)
#define PTE_ADDRESS       0x000ffffffffff000ull

#define DEVICE_WINDOW_BASE (STACK_WINDOW_BASE + level_bytes(3))
#define GUARD_WINDOW_BASE  (DEVICE_WINDOW_BASE + level_bytes(3))

extern paddr_t kernel_root; /* of the PML4; CR3 */
extern bool paging_is_ours; /* arch_paging_init() is through */

/* NX where the CPU has it, else nothing. */
static inline uint64_t pte_nx(void)
{
	return cpu_features.nx ? PTE_NX : 0;
}

static inline uint64_t *table_of(uint64_t entry)
{
	return port_phys_to_virt(paddr(entry & PTE_ADDRESS));
}

/* An entry that points to a table; what is allowed is decided in the leaves. */
static inline uint64_t table_entry(const uint64_t *table)
{
	return port_virt_to_phys(table).a | PTE_PRESENT | PTE_WRITE;
}

/* Where the tables of a mapping come from: one zeroed page, or NULL. */
typedef uint64_t *(*table_source)(void);

/*
 * Map a span with pages up to `max_level` and the leaf bits `flags`. Nothing
 * of it may be mapped yet. False when `source` ran dry: part of it is mapped then.
 */
bool map_span(uint64_t *root, struct span s, unsigned max_level, uint64_t flags,
	      table_source source);

/* The entry for `virt` at `level`, making the tables above it. NULL when out of tables. */
uint64_t *table_walk(uint64_t *root, uint64_t virt, unsigned level, table_source source);

/* Tables set aside at boot for what comes later: the descriptor window and devices. A table
 * comes zeroed; NULL when all are used. */
void reserve_init(void *tables, uint64_t count);
uint64_t *reserve_table(void);

/* After an entry for `address` was removed or changed, before its memory is used otherwise. */
void tlb_flush_page(vaddr_t address);
/*
 * After entries were changed that another CPU may have looked at: returns when every CPU has
 * forgotten all it knew of stacks and of the shared zero page of descriptors (everything not
 * global). This CPU too. Any context, also under a spinlock; not from an NMI.
 */
void tlb_shootdown(void);
void tlb_init(void);

void desc_window_init(uint64_t *root);
/* Tables it will take from the reserve when all that is, or can become, the page allocator's is in
 * use. */
uint64_t desc_window_tables(const struct region *regions, size_t count);
void stack_window_init(uint64_t *root);
void device_window_init(uint64_t *root);

/* Bounds of the window and the number of the slot an address in it belongs to; for reports. */
bool stack_window_slot(uint64_t address, uint64_t *slot);

#endif
