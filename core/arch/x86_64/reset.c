/* SPDX-License-Identifier: MIT */
/*
 * Ending it: the firmware first, because it knows the board, then whatever a
 * PC has had since 1984. Interrupts off; nothing returns. No lock.
 */
#define LOG_TAG "reset"
#include "firmware.h"
#include "platform.h"
#include <quire/arch.h>
#include <quire/console.h>
#include <quire/time.h>

#define SETTLE_NS 100000000ull /* how long a way gets to work before the next is tried */

/* ACPI 6.5 section 4.8.3.6: ports, memory, or configuration space of bus 0. */
static void reset_by_acpi(void)
{
	const struct acpi_platform *p = platform();
	volatile uint8_t *memory;
	uint64_t a = p->reset.address;

	if (!a)
		return;
	switch (p->reset.space) {
	case ACPI_SPACE_PORTS:
		outb((uint16_t)a, p->reset_value);
		break;
	case ACPI_SPACE_MEMORY:
		memory = arch_map_physical(paddr(a), 1, ARCH_MAP_WRITE | ARCH_MAP_UNCACHED);
		if (memory)
			*memory = p->reset_value;
		break;
	case ACPI_SPACE_PCI: /* device in bits 47:32, function in 31:16, register in 15:0 */
		outl(0xcf8, 0x80000000u | (uint32_t)(a >> 32 & 0x1f) << 11 |
				    (uint32_t)(a >> 16 & 7) << 8 | (uint32_t)(a & 0xfc));
		outb((uint16_t)(0xcfc + (a & 3)), p->reset_value);
		break;
	default:
		break;
	}
}

/* The chipset's reset control register: first say "hard", then do it. */
static void reset_by_chipset(void)
{
	outb(0xcf9, 0x02);
	io_wait();
	outb(0xcf9, 0x06);
}

/* The keyboard controller holds the CPU's reset line. */
static void reset_by_keyboard(void)
{
	for (unsigned i = 0; i < 10000 && (inb(0x64) & 2); i++)
		io_wait();
	outb(0x64, 0xfe);
}

/* An exception without an IDT, twice over: the CPU shuts down and the board resets it. */
static void reset_by_triple_fault(void)
{
	struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} nothing = {0};

	__asm__ volatile("lidt %0\n\tint3" : : "m"(nothing));
}

static void reset_without_firmware(void)
{
	static void (*const ways[])(void) = {reset_by_acpi, reset_by_chipset, reset_by_keyboard,
					     reset_by_triple_fault};

	for (size_t i = 0; i < array_len(ways); i++) {
		ways[i]();
		time_delay_ns(SETTLE_NS);
	}
	arch_halt();
}

static void stay_on(void)
{
	console_printf("\nThe machine does not switch itself off. It is safe to do it now.\n");
	arch_halt();
}

void arch_reboot(void)
{
	firmware_reset(FIRMWARE_RESET_COLD, reset_without_firmware);
}

void arch_poweroff(void)
{
	firmware_reset(FIRMWARE_RESET_SHUTDOWN, stay_on);
}
