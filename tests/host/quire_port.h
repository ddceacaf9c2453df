/* SPDX-License-Identifier: MIT */
/*
 * The inline part of the port on a host (see quire/port.h): a big reserved
 * piece of address space plays physical memory, interrupts are a flag.
 */
#ifndef QUIRE_HOST_PORT_H
#define QUIRE_HOST_PORT_H

#include <quire/types.h>

#define PORT_CPUS_MAX 256

extern char *host_ram;                  /* "physical" address 0; see host_ram_init() */
extern _Thread_local bool host_irq_on;  /* each thread plays a CPU */
extern _Thread_local unsigned host_cpu; /* its number; a test may change places */

typedef bool port_irq_t;

static inline port_irq_t port_irq_save(void)
{
	bool was = host_irq_on;

	host_irq_on = false;
	return was;
}

/* Interrupts go on where they went off, not before. */
void host_irq_unbalanced(void);

static inline void port_irq_restore(port_irq_t was)
{
#ifdef QUIRE_LOCK_CHECK
	if (was && host_irq_on)
		host_irq_unbalanced();
#endif
	host_irq_on = was;
}

static inline bool port_irq_enabled(void)
{
	return host_irq_on;
}

static inline unsigned port_cpu(void)
{
	return host_cpu;
}

/* Inlined, an address inside the caller. */
static inline uintptr_t port_here(void)
{
	uintptr_t here;

	__asm__("leaq 0(%%rip), %0" : "=r"(here));
	return here;
}

static inline void port_relax(void)
{
	__builtin_ia32_pause();
}

static inline void *port_phys_to_virt(paddr_t p)
{
	return host_ram + p.a;
}

static inline paddr_t port_virt_to_phys(const void *v)
{
	return (paddr_t){(uint64_t)((const char *)v - host_ram)};
}

static inline uint64_t port_cycles(void)
{
	return __builtin_ia32_rdtsc();
}

#endif
