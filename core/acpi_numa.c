/* SPDX-License-Identifier: MIT */
/*
 * SRAT and SLIT: the machine's nodes, their memory, CPUs and distances.
 *
 *   SRAT  entries    type 0 APIC id ──► domain, 1 memory range ──► domain, 2 x2APIC id ──► domain
 *   SLIT  matrix     N x N bytes, row and column are domains; 10 on the diagonal
 *
 * The SRAT is read twice: first the domains, which become nodes in ascending
 * order, then what belongs to them. "Hot-pluggable" memory is memory; entries
 * that are not enabled are not there. A CPU or memory in no entry is node 0's.
 */
#include "acpi_table.h"
#include <quire/string.h>

#define SRAT_ENTRIES 48u
#define SLIT_MATRIX  44u

#define DISTANCE_LOCAL  10u /* ACPI 6.5 section 5.2.17 */
#define DISTANCE_REMOTE 20u

#define ADDRESS_END (1ull << 52) /* no CPU has more */

enum {
	SRAT_APIC = 0,
	SRAT_MEMORY = 1,
	SRAT_X2APIC = 2
};

/* An enabled entry of the SRAT. */
struct affinity {
	uint8_t type;
	uint32_t domain;
	uint32_t apic_id;
	uint64_t base, end;
};

/* Before revision 2 a domain was one byte and what follows it means nothing. */
static bool parse_entry(struct table e, bool wide, struct affinity *out)
{
	uint64_t bytes;

	*out = (struct affinity){.type = (uint8_t)field(e, 0, 1)};
	switch (out->type) {
	case SRAT_APIC:
		out->domain = (uint32_t)field(e, 2, 1);
		if (wide)
			out->domain |= (uint32_t)field(e, 9, 3) << 8;
		out->apic_id = (uint32_t)field(e, 3, 1);
		return e.bytes >= 16 && field(e, 4, 4) & 1;
	case SRAT_MEMORY:
		out->domain = (uint32_t)field(e, 2, wide ? 4 : 1);
		out->base = field(e, 8, 8);
		bytes = field(e, 16, 8);
		if (e.bytes < 40 || !(field(e, 28, 4) & 1) || !bytes || out->base >= ADDRESS_END)
			return false;
		out->end = bytes < ADDRESS_END - out->base ? out->base + bytes : ADDRESS_END;
		return true;
	case SRAT_X2APIC:
		out->domain = (uint32_t)field(e, 4, 4);
		out->apic_id = (uint32_t)field(e, 8, 4);
		return e.bytes >= 24 && field(e, 12, 4) & 1;
	default:
		return false;
	}
}

/* The next enabled entry from *at on; false at the table's end. */
static bool next_affinity(struct table srat, uint32_t *at, struct affinity *out)
{
	while (srat.bytes - *at >= 2) {
		struct table e = {.data = srat.data + *at, .bytes = srat.data[*at + 1]};

		/* An entry without a length would hold us here for ever. */
		if (e.bytes < 2 || e.bytes > srat.bytes - *at)
			return false;
		*at += e.bytes;
		if (parse_entry(e, field(srat, 8, 1) >= 2, out))
			return true;
	}
	return false;
}

/* Keep the lowest ACPI_NODES_MAX domains, in ascending order. */
static void add_domain(struct acpi_numa *out, uint32_t domain)
{
	unsigned at = 0;

	while (at < out->nodes && out->domains[at] < domain)
		at++;
	if (at < out->nodes && out->domains[at] == domain)
		return;
	if (out->nodes == ACPI_NODES_MAX) {
		out->nodes_joined = true;
		if (at == ACPI_NODES_MAX)
			return;
		out->nodes--;
	}
	for (unsigned i = out->nodes; i > at; i--)
		out->domains[i] = out->domains[i - 1];
	out->domains[at] = domain;
	out->nodes++;
}

static unsigned node_of(const struct acpi_numa *numa, uint32_t domain)
{
	unsigned node = 0;

	while (node + 1 < numa->nodes && numa->domains[node] != domain)
		node++;
	return node;
}

static void add_cpu(struct acpi_numa *out, uint32_t apic_id, unsigned node)
{
	if (out->cpu_count == ACPI_NODE_CPUS_MAX) {
		out->left_out++;
		return;
	}
	out->cpus[out->cpu_count++] = (struct acpi_node_cpu){apic_id, node};
}

/* In address order; of what overlaps, the earlier address wins, and the table's order decides ties. */
static void add_range(struct acpi_numa *out, uint64_t base, uint64_t end, unsigned node)
{
	unsigned at = out->range_count;

	if (at == ACPI_NODE_RANGES_MAX) {
		out->left_out++;
		return;
	}
	for (; at > 0 && out->ranges[at - 1].base > base; at--)
		out->ranges[at] = out->ranges[at - 1];
	out->ranges[at] = (struct acpi_node_range){base, end, node};
	out->range_count++;
}

static void clip_overlaps(struct acpi_numa *out)
{
	unsigned kept = 0;
	uint64_t end = 0;

	for (unsigned i = 0; i < out->range_count; i++) {
		struct acpi_node_range r = out->ranges[i];

		if (r.base < end)
			r.base = end;
		if (r.base >= r.end)
			continue;
		end = r.end;
		out->ranges[kept++] = r;
	}
	out->range_count = kept;
}

static void read_srat(struct table srat, struct acpi_numa *out)
{
	struct affinity a;

	for (uint32_t at = SRAT_ENTRIES; next_affinity(srat, &at, &a);)
		add_domain(out, a.domain);
	for (uint32_t at = SRAT_ENTRIES; next_affinity(srat, &at, &a);) {
		if (a.type == SRAT_MEMORY)
			add_range(out, a.base, a.end, node_of(out, a.domain));
		else
			add_cpu(out, a.apic_id, node_of(out, a.domain));
	}
	clip_overlaps(out);
}

static uint8_t slit_distance(struct table slit, uint64_t count, uint64_t from, uint64_t to)
{
	return slit.data[SLIT_MATRIX + from * count + to];
}

/* Firmware has delivered matrices of zeros, and of tens. Local is 10 and all else is farther. */
static bool slit_is_sane(struct table slit, uint64_t count)
{
	for (uint64_t from = 0; from < count; from++)
		for (uint64_t to = 0; to < count; to++) {
			uint8_t d = slit_distance(slit, count, from, to);

			if (from == to ? d != DISTANCE_LOCAL : d <= DISTANCE_LOCAL)
				return false;
		}
	return true;
}

static void read_slit(struct table slit, struct acpi_numa *out)
{
	uint64_t count = field(slit, ACPI_HEADER_BYTES, 8);

	if (slit.bytes < SLIT_MATRIX || !count || count > (slit.bytes - SLIT_MATRIX) / count)
		return;
	if (!slit_is_sane(slit, count))
		return;
	for (unsigned a = 0; a < out->nodes; a++)
		for (unsigned b = 0; b < out->nodes; b++)
			if (out->domains[a] < count && out->domains[b] < count)
				out->distances[a][b] = slit_distance(slit, count, out->domains[a],
								     out->domains[b]);
	out->distances_given = true;
}

void acpi_read_numa(paddr_t rsdp, acpi_map map, struct acpi_numa *out)
{
	struct table t;

	memset(out, 0, sizeof *out);
	if (acpi_find_table(rsdp, map, "SRAT", &t) && t.bytes >= SRAT_ENTRIES)
		read_srat(t, out);
	for (unsigned a = 0; a < out->nodes; a++)
		for (unsigned b = 0; b < out->nodes; b++)
			out->distances[a][b] = a == b ? DISTANCE_LOCAL : DISTANCE_REMOTE;
	if (out->nodes > 1 && acpi_find_table(rsdp, map, "SLIT", &t))
		read_slit(t, out);
}
