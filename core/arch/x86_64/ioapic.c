/* SPDX-License-Identifier: MIT */
/*
 * The I/O APICs: everything masked, then the few lines we use let through.
 * Intel 82093AA datasheet. Boot only, one CPU; no lock.
 *
 *   ISA interrupt ── MADT override ──► GSI ── owner: gsi_base <= GSI < gsi_base + pins ──► pin
 */
#define LOG_TAG "ioapic"
#include "platform.h"
#include <quire/arch.h>
#include <quire/log.h>

#define REG_VERSION    0x01u
#define REG_REDIRECT   0x10u /* two words a pin */
#define REDIRECT_LOW   (1u << 13)
#define REDIRECT_LEVEL (1u << 15)
#define REDIRECT_MASK  (1u << 16)

static struct ioapic {
	volatile uint32_t *registers; /* [0] selects, [4] is the data */
	uint32_t gsi_base, pins;
} ioapics[ACPI_IOAPICS_MAX];
static unsigned count;

static uint32_t read_register(const struct ioapic *io, uint32_t index)
{
	io->registers[0] = index;
	return io->registers[4];
}

static void write_register(const struct ioapic *io, uint32_t index, uint32_t value)
{
	io->registers[0] = index;
	io->registers[4] = value;
}

void ioapic_init(void)
{
	const struct acpi_platform *p = platform();

	for (unsigned i = 0; i < p->ioapic_count; i++) {
		struct ioapic *io = &ioapics[count];
		uint32_t version;

		io->registers = arch_map_physical(p->ioapics[i].base, PAGE_BYTES,
						  ARCH_MAP_WRITE | ARCH_MAP_UNCACHED);
		if (!io->registers) {
			log_warn("cannot map the I/O APIC at 0x%llx",
				 (unsigned long long)p->ioapics[i].base.a);
			continue;
		}
		version = read_register(io, REG_VERSION);
		if (version == UINT32_MAX) { /* the table names one that is not there */
			log_warn("no I/O APIC answers at 0x%llx",
				 (unsigned long long)p->ioapics[i].base.a);
			continue;
		}
		io->gsi_base = p->ioapics[i].gsi_base;
		io->pins = (version >> 16 & 0xff) + 1;
		for (uint32_t pin = 0; pin < io->pins; pin++)
			write_register(io, REG_REDIRECT + 2 * pin, REDIRECT_MASK);
		count++;
	}
	if (!count)
		log_warn("no I/O APIC: devices are polled by the timer tick");
}

bool ioapic_enable_isa(unsigned irq)
{
	const struct acpi_isa_irq *isa = &platform()->isa[irq];

	/* The redirection table has 8 bits for the CPU. */
	if (this_cpu()->apic_id > 0xfe)
		return false;
	for (unsigned i = 0; i < count; i++) {
		const struct ioapic *io = &ioapics[i];
		uint32_t pin = isa->gsi - io->gsi_base, low = VECTOR_ISA + irq;

		if (isa->gsi < io->gsi_base || pin >= io->pins)
			continue;
		low |= isa->active_low ? REDIRECT_LOW : 0;
		low |= isa->level ? REDIRECT_LEVEL : 0;
		write_register(io, REG_REDIRECT + 2 * pin + 1, this_cpu()->apic_id << 24);
		write_register(io, REG_REDIRECT + 2 * pin, low);
		return true;
	}
	return false;
}
