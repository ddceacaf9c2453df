/* SPDX-License-Identifier: MIT */
/* Under test: core/arch/x86_64/tlb.c, idle.c, and of smp.c what brings a CPU online. */
#define QUIRE_X86_H /* the instructions are the model's */
#define EFER_LME    ((uint64_t)1 << 8)
#define EFER_NXE    ((uint64_t)1 << 11)
#include "real_tlb.h"
#include <quire/types.h>

static inline uint64_t read_cr3(void)
{
	return 0;
}

static inline void write_cr3(uint64_t root)
{
	(void)root;
	prove_forget();
}

static inline void invlpg(vaddr_t v)
{
	(void)v;
}

/* What the headers define in terms of GS is the model's, too. */
#define this_cpu gs_this_cpu
#include "paging.h"
#include "platform.h"
#undef this_cpu
#define this_cpu prove_this_cpu

struct cpu boot_cpu, other_cpus[PROVE_CPUS - 1];

static struct cpu *this_cpu(void)
{
	return prove_cpu() ? &other_cpus[prove_cpu() - 1] : &boot_cpu;
}

/* Every asm statement below is of the form __asm__ volatile("…" …). */
#include <quire/assert.h>
#include <quire/errno.h>
#include <quire/kmalloc.h>
#include <quire/log.h>
#include <quire/memory.h>
#include <quire/string.h>
#include <quire/thread.h>
#include <quire/time.h>
#define __asm__
#define volatile(...) prove_instruction(#__VA_ARGS__)

#include "../../../core/arch/x86_64/tlb.c"
#undef PATIENCE_NS
#define kicked idle_kicked
#include "../../../core/arch/x86_64/idle.c"
#undef LOG_TAG
#include "../../../core/arch/x86_64/smp.c"

static interrupt_handler handlers[256];

void interrupt_set_handler(unsigned vector, interrupt_handler handler)
{
	handlers[vector] = handler;
}

void real_tlb_interrupt(void)
{
	handlers[VECTOR_TLB]();
}

void real_kick_init(void)
{
	arch_smp_init();
}

void real_kicked(void)
{
	handlers[VECTOR_KICK]();
}

void apic_end_of_interrupt(void)
{
}

void apic_send(uint32_t id, enum apic_message kind, unsigned vector)
{
	(void)kind;
	(void)vector;
	prove_send(id);
}

uint64_t time_ns(void)
{
	return 0;
}

void port_panic(const char *format, ...)
{
	(void)format;
	__builtin_trap();
}

void port_assert_failed(const char *expression, const char *file, int line)
{
	(void)expression;
	(void)file;
	(void)line;
	__builtin_trap();
}

void tick_start(void)
{
}

void tick_stop(void)
{
}

/* ---- what begin() does to its CPU ---- */

paddr_t kernel_root;

void segments_load(struct cpu *c)
{
	(void)c;
}

void trap_load(void)
{
}

void features_enable_early(void)
{
}

void features_enable_paging(void)
{
}

bool apic_init_other(struct cpu *c)
{
	c->spurious = 0; /* whatever it does before it is alive */
	return true;
}

void arch_halt(void)
{
	__builtin_trap();
}

/* Unless the scheduler is under test, too (real_wake.c). */
__attribute__((weak)) void sched_cpu_run(void)
{
	prove_first_thread();
	__builtin_trap();
}

/* ---- for the models ---- */

void real_begin(unsigned cpu)
{
	begin(&other_cpus[cpu - 1]);
}

uintptr_t real_gs(unsigned cpu)
{
	return (uintptr_t)(cpu ? &other_cpus[cpu - 1] : &boot_cpu);
}

void real_online(unsigned count)
{
	online = count;
}

void real_release(void)
{
	struct cpu *c = &other_cpus[online - 1];

	while (start_state(c) == CPU_SILENT)
		prove_relax();
	c->spurious++;
	cpus[online] = c; /* as arch_smp_start() */
	arch_smp_release();
}

static void share_cpu(struct cpu *c)
{
	prove_share(&c->tlb_seen, sizeof c->tlb_seen);
	prove_share(&c->sync_seen, sizeof c->sync_seen);
	prove_share(&c->resting, sizeof c->resting);
	prove_share(&c->started, sizeof c->started);
	prove_share_pointer(&c->heap, sizeof c->heap);
}

void real_reset(unsigned count)
{
	requests = 0;
	online = count;
	boot_cpu = (struct cpu){0};
	tlb_init();
	prove_share(&requests, sizeof requests);
	prove_share(&online, sizeof online);
	share_cpu(&boot_cpu);
	for (unsigned i = 1; i < PROVE_CPUS; i++) {
		other_cpus[i - 1] = (struct cpu){.index = i, .apic_id = i};
		share_cpu(&other_cpus[i - 1]);
		cpus[i] = i < count ? &other_cpus[i - 1] : NULL;
	}
}
