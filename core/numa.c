/* SPDX-License-Identifier: MIT */
/*
 * From the firmware's tables to the page allocator's nodes, and each CPU to its own.
 * The tables come before the first page can be had, so they are read through
 * the direct map, or not at all: then there is one node, which is slower and right.
 */
#define LOG_TAG "numa"
#include "acpi.h"
#include <quire/arch.h>
#include <quire/log.h>
#include <quire/memory.h>
#include <quire/numa.h>
#include <quire/port.h>

_Static_assert(ACPI_NODES_MAX <= PAGE_NODES_MAX, "every node the tables have becomes one of ours");

static struct acpi_numa tables;
static struct page_node_range ranges[ACPI_NODE_RANGES_MAX];
static struct page_nodes nodes = {.count = 1, .ranges = ranges};

static const void *map_table(paddr_t base, uint64_t bytes)
{
	if (base.a >= DIRECT_MAP_BYTES || bytes > DIRECT_MAP_BYTES - base.a)
		return NULL;
	for (uint64_t at = align_down(base.a, PAGE_BYTES); at < base.a + bytes; at += PAGE_BYTES) {
		struct arch_mapping m;

		arch_lookup((vaddr_t){DIRECT_MAP_BASE + at}, &m);
		if (!m.present)
			return NULL;
	}
	return port_phys_to_virt(base);
}

/* Whole frames; the lower range has the frame in which two of them meet. */
static void set_ranges(void)
{
	uint64_t end = 0;

	for (unsigned i = 0; i < tables.range_count; i++) {
		const struct acpi_node_range *r = &tables.ranges[i];
		uint64_t from = r->base >> PAGE_SHIFT, to = bytes_to_pages(r->end);

		if (from < end)
			from = end;
		if (from >= to)
			continue;
		ranges[nodes.range_count++] =
			(struct page_node_range){pfn(from), to - from, r->node};
		end = to;
	}
}

const struct page_nodes *numa_init(paddr_t rsdp)
{
	acpi_read_numa(rsdp, map_table, &tables);
	if (tables.nodes < 2)
		return &nodes;
	nodes.count = tables.nodes;
	for (unsigned a = 0; a < tables.nodes; a++)
		for (unsigned b = 0; b < tables.nodes; b++)
			nodes.distance[a][b] = tables.distances[a][b];
	set_ranges();
	log_info("%u nodes with %u CPUs and %zu ranges of memory, distances %s", nodes.count,
		 tables.cpu_count, nodes.range_count,
		 tables.distances_given ? "from the firmware" : "unknown");
	if (tables.nodes_joined)
		log_warn("more than %u nodes: the others count as node %u", ACPI_NODES_MAX,
			 ACPI_NODES_MAX - 1);
	if (tables.left_out)
		log_warn("%u entries too many in the SRAT: they count as node 0", tables.left_out);
	return &nodes;
}

void numa_cpu_online(unsigned cpu, uint32_t id)
{
	unsigned node = 0;

	for (unsigned i = 0; i < tables.cpu_count; i++)
		if (tables.cpus[i].apic_id == id)
			node = tables.cpus[i].node;
	page_set_cpu_node(&kernel_pages, cpu, node);
}

const struct page_nodes *numa_nodes(void)
{
	return &nodes;
}

uint32_t numa_domain(unsigned node)
{
	return node < tables.nodes ? tables.domains[node] : 0;
}
