/* SPDX-License-Identifier: MIT */
/*
 * The ACPI tables, read once. acpi.h says what is wanted and why nothing is trusted.
 *
 *   RSDP ──► XSDT (or RSDT) ──► MADT "APIC", FADT "FACP"; acpi_numa.c: SRAT, SLIT; others skipped
 *
 * For every field read:  offset + size <= table length <= what `map` gave.
 */
#include "acpi_table.h"
#include <quire/errno.h>
#include <quire/string.h>

#define TABLE_BYTES_MAX (16u << 20) /* longer is nonsense */
#define RSDP_V1_BYTES   20u
#define RSDP_V2_BYTES   36u

static bool sums_to_zero(const uint8_t *data, uint32_t bytes)
{
	uint8_t sum = 0;

	for (uint32_t i = 0; i < bytes; i++)
		sum = (uint8_t)(sum + data[i]);
	return sum == 0;
}

/* Map a whole table and check it. */
static bool table_open(paddr_t at, acpi_map map, struct table *out)
{
	struct table header = {.data = map(at, ACPI_HEADER_BYTES), .bytes = ACPI_HEADER_BYTES};
	uint32_t bytes;

	if (!header.data)
		return false;
	bytes = (uint32_t)field(header, 4, 4);
	if (bytes < ACPI_HEADER_BYTES || bytes > TABLE_BYTES_MAX)
		return false;
	*out = (struct table){.data = map(at, bytes), .bytes = bytes};
	return out->data && sums_to_zero(out->data, bytes);
}

static void madt_ioapic(struct table e, struct acpi_platform *out)
{
	if (e.bytes < 12 || out->ioapic_count == ACPI_IOAPICS_MAX)
		return;
	out->ioapics[out->ioapic_count++] = (struct acpi_ioapic){
		.id = (uint8_t)field(e, 2, 1),
		.base = paddr(field(e, 4, 4)),
		.gsi_base = (uint32_t)field(e, 8, 4),
	};
}

/* MPS INTI flags: 0 = as the bus does it (ISA: high, edge), 1 high/edge, 3 low/level. */
static void madt_override(struct table e, struct acpi_platform *out)
{
	uint64_t irq = field(e, 3, 1), flags = field(e, 8, 2);

	if (e.bytes < 10 || field(e, 2, 1) != 0 || irq >= ACPI_ISA_IRQS)
		return;
	out->isa[irq] = (struct acpi_isa_irq){
		.gsi = (uint32_t)field(e, 4, 4),
		.active_low = (flags & 3) == 3,
		.level = (flags >> 2 & 3) == 3,
	};
}

/*
 * Only "enabled" counts: "online capable" is a promise about CPUs that may be plugged in. Some
 * tables list a CPU as local APIC and again as x2APIC.
 */
static void madt_cpu(uint64_t id, uint64_t flags, struct acpi_platform *out)
{
	if (!(flags & 1))
		return;
	for (unsigned i = 0; i < out->cpus && i < ACPI_CPUS_MAX; i++)
		if (out->cpu_ids[i] == id)
			return;
	if (out->cpus < ACPI_CPUS_MAX)
		out->cpu_ids[out->cpus] = (uint32_t)id;
	out->cpus++;
}

static void madt_entry(struct table e, struct acpi_platform *out)
{
	switch (field(e, 0, 1)) {
	case 0: /* local APIC */
		if (e.bytes >= 8)
			madt_cpu(field(e, 3, 1), field(e, 4, 4), out);
		break;
	case 9: /* local x2APIC */
		if (e.bytes >= 16)
			madt_cpu(field(e, 4, 4), field(e, 8, 4), out);
		break;
	case 1:
		madt_ioapic(e, out);
		break;
	case 2:
		madt_override(e, out);
		break;
	case 4: /* local APIC NMI: which LINT pin */
		if (e.bytes >= 6 && field(e, 5, 1) < 2)
			out->nmi_on_lint[field(e, 5, 1)] = true;
		break;
	case 5: /* local APIC address, 64 bits */
		if (e.bytes >= 12)
			out->local_apic = paddr(field(e, 4, 8));
		break;
	default:
		break;
	}
}

/* ACPI 6.5 section 5.2.12. */
static void read_madt(struct table t, struct acpi_platform *out)
{
	if (out->madt || t.bytes < 44)
		return;
	out->madt = true;
	out->local_apic = paddr(field(t, 36, 4));
	for (uint32_t at = 44; at + 2 <= t.bytes;) {
		struct table e = {.data = t.data + at, .bytes = t.data[at + 1]};

		/* An entry without a length would hold us here for ever. */
		if (e.bytes < 2 || e.bytes > t.bytes - at)
			return;
		madt_entry(e, out);
		at += e.bytes;
	}
}

static struct acpi_address read_address(struct table t, uint32_t offset)
{
	return (struct acpi_address){
		.space = (uint8_t)field(t, offset, 1),
		.bits = (uint8_t)field(t, offset + 1, 1),
		.address = field(t, offset + 4, 8),
	};
}

/* ACPI 6.5 section 5.2.9. Old tables are shorter: fields past the end read as 0. */
static void read_fadt(struct table t, struct acpi_platform *out)
{
	uint64_t revision = field(t, 8, 1), flags = field(t, 112, 4);

	if (out->fadt || t.bytes < 116)
		return;
	out->fadt = true;
	out->pm_timer = read_address(t, 208);
	if (!out->pm_timer.address && field(t, 91, 1) == 4)
		out->pm_timer = (struct acpi_address){
			.space = ACPI_SPACE_PORTS, .bits = 32, .address = field(t, 76, 4)};
	out->pm_timer_32bit = (flags >> 8 & 1) != 0;
	if (flags >> 10 & 1) {
		out->reset = read_address(t, 116);
		out->reset_value = (uint8_t)field(t, 128, 1);
	}
	/* IAPC_BOOT_ARCH, bit 1: an 8042 is there. Before revision 3 the bit means nothing. */
	out->no_i8042 = revision >= 3 && !(field(t, 109, 2) >> 1 & 1);
}

static void read_table(paddr_t at, acpi_map map, struct acpi_platform *out)
{
	struct table t;

	if (!at.a)
		return;
	if (!table_open(at, map, &t)) {
		out->bad_tables++;
		return;
	}
	if (!memcmp(t.data, "APIC", 4))
		read_madt(t, out);
	else if (!memcmp(t.data, "FACP", 4))
		read_fadt(t, out);
}

/* The root table and the width of its entries; XSDT first. */
static int open_root(paddr_t rsdp, acpi_map map, struct table *root, unsigned *entry_bytes)
{
	struct table r = {.bytes = RSDP_V1_BYTES};
	const uint8_t *whole;
	paddr_t xsdt, rsdt;

	if (!rsdp.a)
		return -ENOENT;
	r.data = map(rsdp, r.bytes);
	if (!r.data || memcmp(r.data, "RSD PTR ", 8) || !sums_to_zero(r.data, r.bytes))
		return -EINVAL;
	rsdt = paddr(field(r, 16, 4));
	if (field(r, 15, 1) >= 2) {
		whole = map(rsdp, RSDP_V2_BYTES);
		if (whole && sums_to_zero(whole, RSDP_V2_BYTES)) {
			r = (struct table){.data = whole, .bytes = RSDP_V2_BYTES};
			xsdt = paddr(field(r, 24, 8));
			*entry_bytes = 8;
			if (xsdt.a && table_open(xsdt, map, root) && !memcmp(root->data, "XSDT", 4))
				return 0;
		}
	}
	*entry_bytes = 4;
	if (rsdt.a && table_open(rsdt, map, root) && !memcmp(root->data, "RSDT", 4))
		return 0;
	return -EINVAL;
}

int acpi_read(paddr_t rsdp, acpi_map map, struct acpi_platform *out)
{
	unsigned entry_bytes;
	struct table root;
	int error;

	*out = (struct acpi_platform){0};
	for (uint32_t i = 0; i < ACPI_ISA_IRQS; i++)
		out->isa[i].gsi = i;
	error = open_root(rsdp, map, &root, &entry_bytes);
	if (error)
		return error;
	for (uint32_t at = ACPI_HEADER_BYTES; at + entry_bytes <= root.bytes; at += entry_bytes)
		read_table(paddr(field(root, at, entry_bytes)), map, out);
	return 0;
}

bool acpi_find_table(paddr_t rsdp, acpi_map map, const char *signature, struct table *out)
{
	unsigned entry_bytes;
	struct table root;

	if (open_root(rsdp, map, &root, &entry_bytes))
		return false;
	for (uint32_t at = ACPI_HEADER_BYTES; at + entry_bytes <= root.bytes; at += entry_bytes) {
		paddr_t table = paddr(field(root, at, entry_bytes));
		const void *name = table.a ? map(table, ACPI_HEADER_BYTES) : NULL;

		if (name && !memcmp(name, signature, 4) && table_open(table, map, out))
			return true;
	}
	return false;
}
