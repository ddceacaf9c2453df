/* SPDX-License-Identifier: MIT */
/*
 * NUMA: the nodes the firmware names, for the page allocator and for people.
 * A machine whose firmware says nothing has one node. Read once at boot, then
 * constant; any context.
 */
#ifndef QUIRE_NUMA_H
#define QUIRE_NUMA_H

#include <quire/page.h>

/* Read SRAT and SLIT. Boot only: after arch_paging_init(), before page_init(). */
const struct page_nodes *numa_init(paddr_t rsdp);

/* The CPU with that id in the firmware's tables allocates from its own node first. After
 * page_init(), before the CPU allocates. */
void numa_cpu_online(unsigned cpu, uint32_t id);

const struct page_nodes *numa_nodes(void);
/* The firmware's number of a node. */
uint32_t numa_domain(unsigned node);

#endif
