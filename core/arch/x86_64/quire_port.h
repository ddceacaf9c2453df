/* SPDX-License-Identifier: MIT */
/* The inline part of the port on x86-64; what each must do stands in quire/port.h. */
#ifndef QUIRE_X86_64_PORT_H
#define QUIRE_X86_64_PORT_H

#include <quire/types.h>

#define PORT_CPUS_MAX 256

/* What port_phys_to_virt() adds: DIRECT_MAP_BASE of quire/arch.h, which checks that they agree. */
#define PORT_DIRECT_MAP 0xffff800000000000ull
/* The array of page descriptors: DESC_WINDOW_BASE. */
#define PORT_DESCRIPTORS 0xffffe00000000000ull

/* Where a CPU finds its number, relative to GS: struct cpu.index. */
#define PORT_GS_INDEX 8
/* Its magazines, as quire_fast.h may use them: struct cpu.heap. */
#define PORT_GS_HEAP 24

/* And the canary of the thread it runs: struct cpu.stack_canary; -mstack-protector-guard-offset. */
#define PORT_GS_CANARY 16

typedef uint64_t port_irq_t; /* RFLAGS; only IF matters */

static inline port_irq_t port_irq_save(void)
{
	port_irq_t flags;

	__asm__ volatile("pushfq\n\tpopq %0\n\tcli" : "=r"(flags) : : "memory");
	return flags;
}

static inline void port_irq_restore(port_irq_t flags)
{
	if (flags & 0x200)
		__asm__ volatile("sti" : : : "memory");
}

static inline bool port_irq_enabled(void)
{
	uint64_t flags;

	__asm__ volatile("pushfq\n\tpopq %0" : "=r"(flags) : : "memory");
	return (flags & 0x200) != 0;
}

static inline unsigned port_cpu(void)
{
	uint64_t index;

	__asm__ volatile("movl %%gs:%c1, %k0" : "=r"(index) : "i"(PORT_GS_INDEX));
	/* Writing the low half cleared the rest; tell the compiler, or it does so again. */
	if (index >= PORT_CPUS_MAX)
		__builtin_unreachable();
	return (unsigned)index;
}

/* Inlined, an address inside the caller. */
static inline uintptr_t port_here(void)
{
	uintptr_t here;

	__asm__("leaq 0(%%rip), %0" : "=r"(here));
	return here;
}

void tlb_answer(void);

/*
 * Who spins may do so with interrupts off and for a lock whose holder waits for this CPU to
 * forget a translation: so look for that, too. tlb.c.
 */
static inline void port_relax(void)
{
	__asm__ volatile("pause" : : : "memory");
	tlb_answer();
}

static inline void *port_phys_to_virt(paddr_t p)
{
	return (void *)(uintptr_t)(p.a + PORT_DIRECT_MAP);
}

static inline paddr_t port_virt_to_phys(const void *v)
{
	return (paddr_t){(uint64_t)(uintptr_t)v - PORT_DIRECT_MAP};
}

static inline uint64_t port_cycles(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

#endif
