/* SPDX-License-Identifier: MIT */
/* The inline part of the port (quire/port.h) for code under Relacy: what a model supplies. */
#ifndef QUIRE_PROVE_PORT_H
#define QUIRE_PROVE_PORT_H

#include "prove.h"
#include <quire/types.h>

#define PORT_CPUS_MAX 256

/* What the compiler makes of assignments of structs is seen as well. */
__asm__(".set memset, prove_memset\n.set memcpy, prove_memcpy");

typedef bool port_irq_t;

static inline port_irq_t port_irq_save(void)
{
	return prove_irq_save();
}

static inline void port_irq_restore(port_irq_t was)
{
	prove_irq_restore(was);
}

static inline bool port_irq_enabled(void)
{
	return prove_irq_enabled();
}

static inline unsigned port_cpu(void)
{
	return prove_cpu();
}

static inline uintptr_t port_here(void)
{
	return 0;
}

static inline void port_relax(void)
{
	prove_relax();
}

static inline void *port_phys_to_virt(paddr_t p)
{
	return (void *)(uintptr_t)p.a;
}

static inline paddr_t port_virt_to_phys(const void *v)
{
	return (paddr_t){(uintptr_t)v};
}

static inline uint64_t port_cycles(void)
{
	return 0;
}

#endif
