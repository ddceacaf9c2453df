/* SPDX-License-Identifier: MIT */
/*
 * What Quire reads of the ACPI tables: which interrupt controllers and CPUs
 * there are, the power-management timer, how to reset, what is near what. ACPI 6.5 chapter 5.
 *
 * Firmware writes these tables and firmware has bugs: every length is checked
 * against the table, every table against its checksum, and whatever does not
 * fit is left out. Pure reading through `map`, no state. Any context `map` allows.
 */
#ifndef QUIRE_ACPI_H
#define QUIRE_ACPI_H

#include <quire/compiler.h>
#include <quire/types.h>

#define ACPI_IOAPICS_MAX 16
#define ACPI_CPUS_MAX    256
#define ACPI_ISA_IRQS    16

enum acpi_space {
	ACPI_SPACE_MEMORY,
	ACPI_SPACE_PORTS,
	ACPI_SPACE_PCI,
};

/* Generic address structure, ACPI 6.5 section 5.2.3.2; address 0 = none. */
struct acpi_address {
	uint8_t space; /* enum acpi_space or something we do not use */
	uint8_t bits;
	uint64_t address;
};

struct acpi_ioapic {
	uint8_t id;
	uint32_t gsi_base; /* its first interrupt's global number */
	paddr_t base;
};

/* How an ISA interrupt arrives, after the MADT's overrides. */
struct acpi_isa_irq {
	uint32_t gsi;
	bool active_low, level;
};

struct acpi_platform {
	/* MADT */
	bool madt;
	paddr_t local_apic;
	unsigned cpus;                   /* enabled ones, also those past the end of cpu_ids */
	uint32_t cpu_ids[ACPI_CPUS_MAX]; /* their APIC ids, each once, in the table's order */
	bool nmi_on_lint[2];
	unsigned ioapic_count;
	struct acpi_ioapic ioapics[ACPI_IOAPICS_MAX];
	struct acpi_isa_irq isa[ACPI_ISA_IRQS];
	/* FADT */
	bool fadt;
	bool no_i8042; /* the table is new enough to say so, and does */
	struct acpi_address pm_timer;
	bool pm_timer_32bit; /* else 24 */
	struct acpi_address reset;
	uint8_t reset_value;
	/* what was wrong */
	unsigned bad_tables; /* left out: checksum or length */
};

/* `bytes` of physical memory to read, or NULL when there is nothing there. */
typedef const void *(*acpi_map)(paddr_t base, uint64_t bytes);

/*
 * Read what the RSDP leads to. `out` is always filled in: without tables it says what every PC
 * may assume. 0; -ENOENT: no RSDP; -EINVAL: the RSDP or the root table is broken.
 */
must_check int acpi_read(paddr_t rsdp, acpi_map map, struct acpi_platform *out);

#define ACPI_NODES_MAX       16
#define ACPI_NODE_RANGES_MAX 64
#define ACPI_NODE_CPUS_MAX   512

/*
 * NUMA: which memory and which CPUs are near each other. Firmware numbers nodes as it likes
 * ("proximity domains", any 32-bit numbers); here they are 0, 1, ... in the order of those.
 */
struct acpi_numa {
	unsigned nodes;                   /* 0: the tables do not say */
	bool nodes_joined;                /* more than fit: the rest counts as the last */
	uint32_t domains[ACPI_NODES_MAX]; /* the firmware's numbers, ascending */
	uint8_t distances[ACPI_NODES_MAX][ACPI_NODES_MAX]; /* 10 = local, 20 = twice as far */
	bool distances_given;                              /* else 10 and 20 are our guess */
	/* Memory, in address order and disjoint; ranges the table gives twice are the first one's. */
	unsigned range_count;
	struct acpi_node_range {
		uint64_t base, end;
		unsigned node;
	} ranges[ACPI_NODE_RANGES_MAX];
	unsigned cpu_count;
	struct acpi_node_cpu {
		uint32_t apic_id;
		unsigned node;
	} cpus[ACPI_NODE_CPUS_MAX];
	unsigned left_out; /* entries that found no room in these tables */
};

/* SRAT and SLIT, ACPI 6.5 sections 5.2.16 and 5.2.17. `out` is always filled in. */
void acpi_read_numa(paddr_t rsdp, acpi_map map, struct acpi_numa *out);

#endif
