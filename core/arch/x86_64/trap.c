/* SPDX-License-Identifier: MIT */
/*
 * The IDT and the one place every exception and interrupt comes through.
 *
 * Vectors 0 to 31 are the CPU's own and end in a report, but for #BP with
 * interrupts on, which reports and goes on. The rest go to the handler set for them; a vector
 * without one is counted and logged once. Handlers are set during boot, before
 * their interrupt is let in, so the table needs no lock.
 */
#define LOG_TAG "trap"
#include "platform.h"
#include "restart.h"
#include <quire/arch.h>
#include <quire/assert.h>
#include <quire/kheap_guard.h>
#include <quire/log.h>
#include <quire/thread.h>

#define VECTORS 256

/* Intel SDM 3A figure 6-8. */
struct idt_gate {
	uint16_t offset_low;
	uint16_t selector;
	uint8_t ist;
	uint8_t type; /* 0x8e: present, ring 0, interrupt gate (IF is cleared) */
	uint16_t offset_middle;
	uint32_t offset_high;
	uint32_t reserved;
};
_Static_assert(sizeof(struct idt_gate) == 16, "the CPU's layout");

static struct idt_gate idt[VECTORS] __attribute__((aligned(16)));
static interrupt_handler handlers[VECTORS];
void (*trap_step)(const struct trap_frame *f);

extern char trap_stubs[]; /* trap_entry.S: 16 bytes a vector */
void trap_dispatch(struct trap_frame *f);

static uint8_t ist_of(unsigned vector)
{
	switch (vector) {
	case VECTOR_DOUBLE_FAULT:
		return IST_DOUBLE_FAULT;
	case VECTOR_NMI:
		return IST_NMI;
	case VECTOR_MACHINE_CHECK:
		return IST_MACHINE_CHECK;
	default:
		return IST_NONE;
	}
}

void trap_load(void)
{
	struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} idtr = {.limit = sizeof idt - 1, .base = (uintptr_t)idt};

	__asm__ volatile("lidt %0" : : "m"(idtr) : "memory");
}

void trap_init(void)
{
	for (unsigned v = 0; v < VECTORS; v++) {
		uintptr_t entry = (uintptr_t)trap_stubs + v * 16ul;

		idt[v] = (struct idt_gate){
			.offset_low = (uint16_t)entry,
			.selector = SELECTOR_KERNEL_CODE,
			.ist = ist_of(v),
			.type = 0x8e,
			.offset_middle = (uint16_t)(entry >> 16),
			.offset_high = (uint32_t)(entry >> 32),
		};
	}
	restart_init();
	trap_load();
}

void interrupt_set_handler(unsigned vector, interrupt_handler handler)
{
	assert(vector >= VECTOR_EXCEPTIONS && vector < VECTORS);
	handlers[vector] = handler;
}

/* The firmware may have left one pending; unacknowledged it would hold back all others. */
static void interrupt_unknown(uint64_t vector)
{
	static bool logged;

	(void)apic_end_stray((unsigned)vector);
	this_cpu()->unknown_interrupts++;
	if (!__atomic_exchange_n(&logged, true, __ATOMIC_RELAXED))
		log_warn("interrupt vector 0x%llx has no handler; further ones are only counted",
			 (unsigned long long)vector);
}

/* Not mapped, and read from or written to: is it a guarded object? Then kmalloc has reported it. */
static bool guarded_object_fault(const struct trap_frame *f)
{
	if (f->vector != VECTOR_PAGE_FAULT || f->error & (PF_PRESENT | PF_FETCH))
		return false;
	return kheap_guard_fault(&kernel_heap, read_cr2(), f->error & PF_WRITE, f->rip);
}

static void exception(struct trap_frame *f)
{
	if (guarded_object_fault(f))
		return;
	/* With interrupts off it may lie under the console's lock: then its report is the last. */
	if (f->vector == VECTOR_BREAKPOINT && (f->rflags & RFLAGS_IF)) {
		trap_report(f);
		return;
	}
	if (f->vector == VECTOR_DEBUG && trap_step) {
		trap_step(f);
		return;
	}
	if (f->vector == VECTOR_NMI)
		smp_stop_if_asked();
	if (firmware_call_active)
		firmware_call_faulted(f->vector, f->rip);
	trap_report_fatal(f);
}

/* From trap_common. Interrupts are off; nothing may allocate or change threads before restart_rewind(). */
void trap_dispatch(struct trap_frame *f)
{
	if (f->vector < VECTOR_EXCEPTIONS) {
		exception(f);
		return;
	}
	restart_rewind(f);
	idle_interrupted();
	if (handlers[f->vector])
		handlers[f->vector]();
	else
		interrupt_unknown(f->vector);
	sched_preempt();
}
