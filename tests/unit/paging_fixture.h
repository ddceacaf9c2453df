/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the page-table code share: pretend RAM from physical 0,
 * tables from its first MiB, a root, and a walk as the CPU does it.
 */
#ifndef QUIRE_PAGING_FIXTURE_H
#define QUIRE_PAGING_FIXTURE_H

#include "arch/x86_64/paging.h"
#include "cm.h"
#include "host.h"
#include <quire/memory.h>
#include <string.h>

struct cpu_features cpu_features;

static uint64_t boot_next;
static bool boot_dry;
static unsigned flushes, shootdowns;
/* What another CPU does while this one waits for all to forget. */
static void (*meanwhile)(void);

void tlb_flush_page(vaddr_t address)
{
	(void)address;
	flushes++;
}

void tlb_shootdown(void)
{
	void (*once)(void) = meanwhile;

	shootdowns++;
	meanwhile = NULL;
	if (once)
		once();
}

void *boot_alloc(size_t bytes)
{
	uint64_t at = boot_next;

	if (boot_dry)
		return NULL;
	boot_next += align_up(bytes, PAGE_BYTES);
	assert_true(boot_next <= 1 << 20);
	return memset(port_phys_to_virt(paddr(at)), 0, bytes);
}

static uint64_t *root;

static inline void paging_setup(uint64_t ram_bytes)
{
	host_ram_init(ram_bytes);
	boot_next = PAGE_BYTES;
	boot_dry = false;
	cpu_features = (struct cpu_features){.nx = true, .pat = true, .physical_bits = 40};
	root = boot_alloc(PAGE_BYTES);
	kernel_root = port_virt_to_phys(root);
	reserve_init(NULL, 0);
}

/* The leaf entry for `virt` and its level; 0 where nothing is mapped. */
static inline uint64_t leaf_of(uint64_t virt, unsigned *level)
{
	const uint64_t *table = root;

	for (*level = LEVEL_ROOT;; --*level) {
		uint64_t entry = table[level_index(virt, *level)];

		if (!(entry & PTE_PRESENT) || *level == 0 || (entry & PTE_LARGE))
			return entry;
		table = table_of(entry);
	}
}

static inline uint64_t leaf(uint64_t virt)
{
	unsigned level;

	return leaf_of(virt, &level);
}

#endif
