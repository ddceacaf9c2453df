/* SPDX-License-Identifier: MIT */
/*
 * The ACPI tables seen from this CPU. They usually lie in RAM the direct map
 * shows; where they do not (old firmware keeps them below 1 MiB in reserved
 * space) they are mapped. Read once, in boot, then constant.
 */
#define LOG_TAG "acpi"
#include "platform.h"
#include <quire/arch.h>
#include <quire/log.h>

struct boot_facts boot_facts;

static bool in_direct_map(uint64_t base, uint64_t bytes)
{
	if (base >= DIRECT_MAP_BYTES || bytes > DIRECT_MAP_BYTES - base)
		return false;
	for (uint64_t at = align_down(base, PAGE_BYTES); at < base + bytes; at += PAGE_BYTES) {
		struct arch_mapping m;

		arch_lookup((vaddr_t){DIRECT_MAP_BASE + at}, &m);
		if (!m.present)
			return false;
	}
	return true;
}

static const void *map_table(paddr_t base, uint64_t bytes)
{
	if (in_direct_map(base.a, bytes))
		return port_phys_to_virt(base);
	return arch_map_physical(base, bytes, 0);
}

const struct acpi_platform *platform(void)
{
	static struct acpi_platform p;
	static bool done;
	int error;

	if (done)
		return &p;
	done = true;
	error = acpi_read(boot_facts.rsdp, map_table, &p);
	if (error)
		log_warn("no usable ACPI tables: assuming a plain PC");
	else
		log_info("CPUs: %u, I/O APICs: %u, PM timer %s, 8042 %s", p.cpus, p.ioapic_count,
			 p.pm_timer.address ? "present" : "absent",
			 p.no_i8042 ? "absent" : "possible");
	if (p.bad_tables)
		log_warn("%u tables with a wrong checksum or length are ignored", p.bad_tables);
	return &p;
}
