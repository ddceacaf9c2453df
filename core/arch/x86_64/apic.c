/* SPDX-License-Identifier: MIT */
/*
 * The local APIC, in the mode the firmware left it: xAPIC through memory, or
 * x2APIC through MSRs (some machines cannot go back). The same registers, one
 * accessor. Intel SDM 3A chapter 10. Each CPU touches only its own; no lock.
 */
#define LOG_TAG "apic"
#include "platform.h"
#include <quire/arch.h>
#include <quire/log.h>

#define REG_ID            0x20u
#define REG_TASK_PRIORITY 0x80u
#define REG_EOI           0xb0u
#define REG_SPURIOUS      0xf0u
#define REG_IN_SERVICE    0x100u /* 8 registers of 32 vectors, 16 bytes apart */
#define REG_REQUESTED     0x200u
#define REG_ERROR         0x280u
#define REG_COMMAND       0x300u
#define REG_DESTINATION   0x310u /* xAPIC only */
#define REG_LVT_TIMER     0x320u
#define REG_LVT_THERMAL   0x330u
#define REG_LVT_PERF      0x340u
#define REG_LVT_LINT0     0x350u
#define REG_LVT_LINT1     0x360u
#define REG_LVT_ERROR     0x370u
#define REG_TIMER_INITIAL 0x380u
#define REG_TIMER_CURRENT 0x390u
#define REG_TIMER_DIVIDE  0x3e0u

#define LVT_MASKED   (1u << 16)
#define LVT_PERIODIC (1u << 17)
#define LVT_NMI      (4u << 8)

#define COMMAND_PENDING (1u << 12)
#define COMMAND_ASSERT  (1u << 14)
#define SEND_TRIES      100000u

#define SPURIOUS_ENABLE (1u << 8)
#define DIVIDE_BY_16    3u

#define APIC_BASE_ENABLE ((uint64_t)1 << 11)
#define APIC_BASE_X2APIC ((uint64_t)1 << 10)

static volatile uint32_t *registers; /* xAPIC; NULL in x2APIC mode */
static bool x2apic, found;

static uint32_t apic_read(uint32_t offset)
{
	return x2apic ? (uint32_t)rdmsr(MSR_X2APIC + offset / 16) : registers[offset / 4];
}

static void apic_write(uint32_t offset, uint32_t value)
{
	if (x2apic)
		wrmsr(MSR_X2APIC + offset / 16, value);
	else
		registers[offset / 4] = value;
}

void apic_end_of_interrupt(void)
{
	apic_write(REG_EOI, 0);
}

static bool in_service(unsigned vector)
{
	return apic_read(REG_IN_SERVICE + vector / 32 * 16) >> vector % 32 & 1;
}

bool apic_is_pending(unsigned vector)
{
	return apic_read(REG_REQUESTED + vector / 32 * 16) >> vector % 32 & 1;
}

/* An interrupt the firmware had going would hold back all below it until it is acknowledged. */
bool apic_end_stray(unsigned vector)
{
	if (!found || !in_service(vector))
		return false;
	apic_end_of_interrupt();
	return true;
}

static void end_leftovers(void)
{
	for (unsigned vector = 255; vector >= VECTOR_EXCEPTIONS; vector--)
		if (apic_end_stray(vector))
			log_info("the firmware left interrupt 0x%x unacknowledged", vector);
}

uint32_t apic_id(void)
{
	uint32_t id = apic_read(REG_ID);

	return x2apic ? id : id >> 24;
}

bool apic_is_x2apic(void)
{
	return x2apic;
}

/* The APIC withdrew an interrupt; the manual forbids an end-of-interrupt for it. */
static void spurious(void)
{
	this_cpu()->spurious++;
}

static void find(void)
{
	uint64_t base;

	if (!(cpuid(1, 0).edx >> 9 & 1))
		port_panic("this CPU has no local APIC: no timer, no interrupts");
	base = rdmsr(MSR_APIC_BASE);
	if (!(base & APIC_BASE_ENABLE)) {
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE);
		base = rdmsr(MSR_APIC_BASE);
		if (!(base & APIC_BASE_ENABLE))
			port_panic("the local APIC is disabled and cannot be enabled");
	}
	x2apic = (base & APIC_BASE_X2APIC) != 0;
	if (x2apic)
		return;
	registers = arch_map_physical(paddr(base & 0x000ffffffffff000ull), PAGE_BYTES,
				      ARCH_MAP_WRITE | ARCH_MAP_UNCACHED);
	if (!registers)
		port_panic("no page table left to map the local APIC");
}

/* What every CPU does with its own. */
static void set_up(void)
{
	const struct acpi_platform *p = platform();
	bool boot = this_cpu() == &boot_cpu;
	bool nmi_on_0 = boot && p->nmi_on_lint[0];
	bool nmi_on_1 = boot && (p->nmi_on_lint[1] || !p->nmi_on_lint[0]);

	this_cpu()->apic_id = apic_id();
	apic_write(REG_LVT_TIMER, LVT_MASKED);
	apic_write(REG_LVT_THERMAL, LVT_MASKED);
	apic_write(REG_LVT_PERF, LVT_MASKED);
	apic_write(REG_LVT_ERROR, LVT_MASKED);
	/* While the APIC is off, and after INIT it is, masks cannot be cleared. Section 10.4.7.2. */
	apic_write(REG_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
	/*
	 * LINT0 is where the PIC comes in; LINT1 is NMI on every PC, whether the MADT says so or
	 * not. The wires lead to every CPU: one is to report.
	 */
	apic_write(REG_LVT_LINT0, nmi_on_0 ? LVT_NMI : LVT_MASKED);
	apic_write(REG_LVT_LINT1, nmi_on_1 ? LVT_NMI : LVT_MASKED);
	apic_write(REG_ERROR, 0);
	apic_write(REG_TASK_PRIORITY, 0);
}

void apic_init(void)
{
	find();
	interrupt_set_handler(VECTOR_SPURIOUS, spurious);
	set_up();
	found = true;
	end_leftovers();
	log_info("local APIC %u, %s mode", apic_id(), x2apic ? "x2APIC" : "xAPIC");
}

/* The mode is the boot CPU's. From x2APIC back to xAPIC leads only through "off". */
bool apic_init_other(struct cpu *c)
{
	const uint64_t mode = APIC_BASE_ENABLE | APIC_BASE_X2APIC;
	uint64_t wanted = x2apic ? mode : APIC_BASE_ENABLE;
	uint64_t base = rdmsr(MSR_APIC_BASE);

	if ((base & mode) == mode && !x2apic)
		wrmsr(MSR_APIC_BASE, base & ~mode);
	if ((base & mode) != wanted) {
		wrmsr(MSR_APIC_BASE, (base & ~mode) | APIC_BASE_ENABLE);
		wrmsr(MSR_APIC_BASE, (base & ~mode) | wanted);
	}
	if ((rdmsr(MSR_APIC_BASE) & mode) != wanted || apic_id() != c->apic_id)
		return false;
	set_up();
	end_leftovers();
	return true;
}

/* 0xff means everybody in xAPIC mode. */
bool apic_can_reach(uint32_t id)
{
	return found && (x2apic ? id != UINT32_MAX : id < 0xff);
}

/* The last message has left; it does so within microseconds, or the bus is broken. */
static void wait_until_sent(void)
{
	for (unsigned i = 0; i < SEND_TRIES && (apic_read(REG_COMMAND) & COMMAND_PENDING); i++)
		__asm__ volatile("pause");
}

void apic_send(uint32_t id, enum apic_message kind, unsigned vector)
{
	uint32_t command = (uint32_t)kind | COMMAND_ASSERT | vector;
	port_irq_t irq = port_irq_save(); /* a handler may send, between our two writes */

	if (x2apic) {
		/* This write does not wait for earlier stores. Intel SDM 3A section 10.12.3. */
		__asm__ volatile("mfence\n\tlfence" : : : "memory");
		wrmsr(MSR_X2APIC + REG_COMMAND / 16, (uint64_t)id << 32 | command);
	} else {
		wait_until_sent();
		apic_write(REG_DESTINATION, id << 24);
		apic_write(REG_COMMAND, command);
	}
	port_irq_restore(irq);
}

void apic_timer_oneshot(uint32_t count)
{
	apic_write(REG_TIMER_DIVIDE, DIVIDE_BY_16);
	apic_write(REG_LVT_TIMER, LVT_MASKED);
	apic_write(REG_TIMER_INITIAL, count);
}

uint32_t apic_timer_count(void)
{
	return apic_read(REG_TIMER_CURRENT);
}

void apic_timer_periodic(unsigned vector, uint32_t count)
{
	apic_write(REG_TIMER_DIVIDE, DIVIDE_BY_16);
	apic_write(REG_LVT_TIMER, LVT_PERIODIC | vector);
	apic_write(REG_TIMER_INITIAL, count);
}
