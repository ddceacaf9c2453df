/* SPDX-License-Identifier: MIT */
/*
 * Forgetting translations, on this CPU and on all.
 *
 *   requests          counts the calls of tlb_shootdown()
 *   cpu.tlb_seen      the last request this CPU has met, by forgetting everything not global
 *
 *   request r is met  <=>  every CPU has tlb_seen >= r or is resting
 *
 * A resting CPU is halted; it looks at `requests` after it has said that it rests no more, and
 * the asker looks whether it rests after counting the request: one of the two sees the other.
 * A busy one gets an interrupt. One that spins for a lock with interrupts off answers from
 * port_relax(). So a request may be made under a spinlock: whoever waits for that lock answers
 * while waiting, and everybody else gets to an instruction where interrupts are on.
 *
 * port_cpus_sync() makes requests too, but counts only answers given in the interrupt, or
 * a rest: there the CPU is in no stretch with interrupts off but the handler's own.
 *
 * No lock: `requests` only rises, each CPU writes its own tlb_seen.
 */
#include "paging.h"
#include "platform.h"
#include <quire/assert.h>
#include <quire/time.h>

#define PATIENCE_NS 20000000000ull /* a machine on a busy host may take long */

static uint64_t requests;

void tlb_flush_page(vaddr_t address)
{
	/* Also drops what the CPU cached of the tables above it. Intel SDM 3A section 4.10.4.1. */
	invlpg(address);
}

void tlb_answer(void)
{
	port_irq_t irq = port_irq_save();
	struct cpu *c = this_cpu();
	uint64_t asked = __atomic_load_n(&requests, __ATOMIC_SEQ_CST);

	if (c->tlb_seen != asked) {
		write_cr3(read_cr3());
		c->tlb_flushes++;
		__atomic_store_n(&c->tlb_seen, asked, __ATOMIC_RELEASE);
	}
	port_irq_restore(irq);
}

static void interrupt(void)
{
	struct cpu *c = this_cpu();

	apic_end_of_interrupt();
	tlb_answer();
	__atomic_store_n(&c->sync_seen, c->tlb_seen, __ATOMIC_RELEASE);
}

void tlb_init(void)
{
	interrupt_set_handler(VECTOR_TLB, interrupt);
}

static bool has_met(const struct cpu *c, uint64_t request, bool sync)
{
	return __atomic_load_n(&c->resting, __ATOMIC_SEQ_CST) ||
	       __atomic_load_n(sync ? &c->sync_seen : &c->tlb_seen, __ATOMIC_ACQUIRE) >= request;
}

static void wait_for(const struct cpu *c, uint64_t request, bool sync)
{
	uint64_t from = time_ns();

	while (!has_met(c, request, sync)) {
		if (time_ns() - from > PATIENCE_NS)
			port_panic("CPU %u does not answer", c->index);
		port_relax(); /* and meets what others ask of us */
	}
}

static void ask_all(bool sync)
{
	port_irq_t irq = port_irq_save();
	uint64_t request = __atomic_add_fetch(&requests, 1, __ATOMIC_SEQ_CST);
	/* Counted first: a CPU that joins is listed first, and then looks at the count. */
	unsigned cpus = port_cpus();

	tlb_answer();
	__atomic_store_n(&this_cpu()->sync_seen, request, __ATOMIC_RELAXED); /* we are here */
	for (unsigned i = 0; i < cpus; i++)
		if (!has_met(cpu_at(i), request, sync))
			apic_send(cpu_at(i)->apic_id, APIC_FIXED, VECTOR_TLB);
	port_irq_restore(irq);
	for (unsigned i = 0; i < cpus; i++)
		wait_for(cpu_at(i), request, sync);
}

void tlb_shootdown(void)
{
	if (port_cpus() > 1) /* else the caller has told all there are */
		ask_all(false);
}

void port_cpus_sync(void)
{
	if (port_cpus() == 1)
		return;
	assert(port_irq_enabled());
	ask_all(true);
}
