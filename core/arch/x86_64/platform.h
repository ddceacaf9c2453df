/* SPDX-License-Identifier: MIT */
/* The PC around the CPU: interrupt controllers, timers, devices. */
#ifndef QUIRE_X86_PLATFORM_H
#define QUIRE_X86_PLATFORM_H

#include "acpi.h"
#include "trap.h"
#include <quire/arch.h>
#include <quire/boot_info.h>

/* The loader's facts that are needed late. Set by arch_early_init(). */
struct boot_facts {
	paddr_t rsdp;
	uint64_t reset_system; /* EFI_RESET_SYSTEM, physical; 0 = none */
	uint64_t tsc_hz;
};
extern struct boot_facts boot_facts;

/* The ACPI tables, read at first use, which is in arch_paging_init(). */
const struct acpi_platform *platform(void);

/* pic.c: the two 8259s, out of the way for good. */
void pic_disable(void);

/* apic.c: the local APIC of this CPU. */
void apic_init(void); /* panics with a sentence when there is none */
void apic_end_of_interrupt(void);
bool apic_end_stray(unsigned vector);  /* acknowledge one nobody handles, if it is in service */
bool apic_is_pending(unsigned vector); /* it will come once interrupts are on */
uint32_t apic_id(void);
bool apic_is_x2apic(void);
bool apic_init_other(struct cpu *c); /* the same, on another CPU; false: its mode cannot be had */
bool apic_can_reach(uint32_t id);
enum apic_message {
	APIC_FIXED = 0u << 8,
	APIC_NMI = 4u << 8,
	APIC_INIT = 5u << 8,
	APIC_STARTUP = 6u << 8,
};
/* To the CPU with that APIC id; `vector`: of the interrupt, or the page where it starts. */
void apic_send(uint32_t id, enum apic_message kind, unsigned vector);
void apic_timer_oneshot(uint32_t count); /* masked: for calibration */
uint32_t apic_timer_count(void);
void apic_timer_periodic(unsigned vector, uint32_t count);
#define APIC_TIMER_DIVIDER 16u

/* ioapic.c */
void ioapic_init(void);
/* Let ISA interrupt `irq` through to this CPU as VECTOR_ISA + irq. False when nothing leads there. */
bool ioapic_enable_isa(unsigned irq);

/* tick.c */
void tick_init(void);
void tick_start(void); /* on this CPU, at the rate tick_init() has measured */
void tick_stop(void);

/* idle.c: every interrupt, before its handler; a tick on a CPU other than the boot CPU. */
void idle_interrupted(void);
void idle_tick(struct cpu *c);

/* smp.c: for the NMI handler. Another CPU may have stopped all. */
void smp_stop_if_asked(void);

/* serial.c */
void serial_init(void); /* finds a 16550 and makes it a console */
void serial_enable_interrupt(void);
void serial_poll(void); /* from the tick */

/* keyboard.c */
void keyboard_init(void);
void keyboard_poll(void); /* from the tick */

#endif
